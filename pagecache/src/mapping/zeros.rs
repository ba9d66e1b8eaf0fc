//! Finding pages full of zeros that nobody wrote as such: zeroed in place by partial writes, written
//! while deduplication was off, or read from a disk that has them.
//!
//! A page becomes [`Content::DedupZero`](braidfs_mm::Content::DedupZero) with the tags it had: what
//! was dirty stays dirty and is written back as a hole. Two kinds of pages are passed. One in flight
//! has its frame in a frozen version too, so nothing would be gained, and its account would be wrong.
//! And while the table shares nodes with a frozen version, each change would copy one.

use braidfs_mm::{EntryRef, is_zero_page};

use super::state::State;
use super::version::{Standing, settled_mark, was_written};
use crate::candidates::Candidate;

impl State {
    /// Those candidates that are full of zeros and may be turned.
    pub(crate) fn full_of_zeros(&self, candidates: &[Candidate]) -> Vec<Candidate> {
        if self.is_shared() {
            return Vec::new();
        }
        candidates.iter().copied().filter(|candidate| self.is_full_of_zeros(candidate)).collect()
    }

    /// Turns those candidates that are full of zeros, still. Returns how many were.
    pub(crate) fn dedup_zeros(&mut self, candidates: &[Candidate]) -> u64 {
        let mut turned = 0;
        if self.is_shared() {
            return 0;
        }
        for candidate in candidates {
            if self.is_full_of_zeros(candidate) && self.table.dedup_zero(candidate.page) == Ok(true)
            {
                self.settle_zeros(candidate.page);
                turned += 1;
            }
        }
        turned
    }

    fn is_full_of_zeros(&self, candidate: &Candidate) -> bool {
        let is_zeros = |entry: EntryRef<'_>| {
            entry.frame().is_some_and(|frame| {
                // Somebody who holds the frame may write it: a live mapping, say.
                frame.metadata().references() == 1 && is_zero_page(frame.page())
            })
        };
        self.table.get(candidate.page).is_some_and(|entry| {
            candidate.is_held_by(&entry)
                && self.standing(&entry) != Standing::InFlight
                && is_zeros(entry)
        })
    }

    /// Gives a clean page of zeros the mark of all such, so that neighbours collapse.
    fn settle_zeros(&mut self, page: u64) {
        let Some(entry) = self.table.get(page) else { return };
        if entry.tags.is_empty() && was_written(entry.mark) {
            // Refused only for want of table memory, which is not limited; then it does not collapse.
            let _ = self.table.set_mark(page, settled_mark());
        }
    }
}
