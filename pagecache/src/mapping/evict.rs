//! Giving up clean pages.

use std::ops::Range;

use braidfs_mm::EntryRef;

use super::state::State;
use super::version::was_written;
use crate::candidates::Candidate;
use crate::planted::{Mistake, planted};

impl State {
    /// Evicts those candidates that are clean pages of this mapping. Returns how many were.
    pub(crate) fn evict(&mut self, candidates: &[Candidate]) -> u64 {
        let mut evicted = 0;
        let mut outdated = false;
        for candidate in candidates {
            let Some(entry) =
                self.table.get(candidate.page).filter(|entry| is_evictable(candidate, entry))
            else {
                continue;
            };
            outdated |= was_written(entry.mark);
            evicted += u64::from(self.table.remove(candidate.page).is_ok());
        }
        if outdated && !planted(Mistake::EvictionKeepsFills) {
            self.outdate_fills();
        }
        evicted
    }

    /// Drops the clean pages of a range. Fills under way are outdated.
    pub(crate) fn drop_clean(&mut self, pages: Range<u64>) {
        self.live.hide(&pages);
        let mut next = pages.start;
        while next < pages.end {
            let pending = self.next_pending(next).unwrap_or(pages.end).min(pages.end);
            if next < pending {
                // Nothing to account: these are clean. If it is refused they stay, which does no
                // harm.
                let _ = self.table.remove_range(next..pending, |_, _| {});
            }
            next = pending.saturating_add(1);
        }
        self.outdate_fills();
    }
}

/// Whether the page is what the hint says, and clean.
fn is_evictable(candidate: &Candidate, entry: &EntryRef<'_>) -> bool {
    (entry.tags.is_empty() || planted(Mistake::EvictionIgnoresTags)) && candidate.is_held_by(entry)
}
