//! What programs map of a file: memory whose pages are those of the live table.
//!
//! A page that a program touches moves to its place in an [arena](braidfs_mm::Arena), 1 GiB of the
//! file each, and from then on everybody uses it there: the ranges show it, and reads and writes of
//! the file copy from and to it. How such pages are forked stands in [`placed`](super::placed).
//!
//! # Invariants
//!
//! * Placed entries exist only while something is mapped; the last to unmap moves them out.
//! * A page is shown to be written only if it is dirty in the open version. A freeze takes the right
//!   to write back from exactly these pages, with the mapping locked: a store after that waits in
//!   its fault for the lock, and belongs to the next version. So what is frozen is the state at one
//!   moment, and costs as much as was written, not as much as is mapped.
//! * A page that is shown in any way is marked as referenced in the metadata of its frame; the
//!   evictor [hides](State::evict_placed) it once and takes it if it was not wanted until the next
//!   round.
//! * A page is hidden in all ranges before its frame is given up.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use braidfs_mm::{Arena, ContentRef, FramePool, LiveError, LiveRange, Section};

use super::state::State;
use super::version::was_written;
use super::writeback::{FrozenContent, FrozenEntry};
use crate::error::CacheError;

/// Pages of an arena, and of the part of a file that it is for.
pub(super) const ARENA_PAGES: u64 = Arena::PAGES as u64;
/// Entries an evictor looks at under one hold of the lock.
const EVICTION_SCAN: usize = 1024;

/// A range that shows pages of the file.
#[derive(Debug)]
struct View {
    range: Arc<LiveRange>,
    /// The page of the file that it shows first.
    first: u64,
}

impl View {
    /// Some pages of the file, as pages of the range; empty if it shows none of them.
    fn within(&self, pages: &Range<u64>) -> Range<u64> {
        let end = self.first + self.range.pages();
        let start = pages.start.clamp(self.first, end);
        start - self.first..pages.end.clamp(start, end) - self.first
    }
}

/// The mapped parts of a file.
#[derive(Debug, Default)]
pub(crate) struct Live {
    arenas: BTreeMap<u64, Arc<Arena>>,
    views: Vec<View>,
    /// Where the evictor goes on.
    hand: u64,
}

impl Live {
    pub(super) fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// The sections of a range of pages; arenas are made where there is none.
    pub(super) fn sections(
        &mut self,
        pages: Range<u64>,
        pool: &Arc<FramePool>,
    ) -> Result<Vec<Section>, CacheError> {
        let mut sections = Vec::new();
        let mut page = pages.start;
        while page < pages.end {
            let (part, first) = (page / ARENA_PAGES, page % ARENA_PAGES);
            let count = (ARENA_PAGES - first).min(pages.end - page);
            let arena = match self.arenas.get(&part) {
                Some(arena) => Arc::clone(arena),
                None => {
                    let arena = Arena::new(pool)
                        .map_err(|error| CacheError::Mapped { reason: error.to_string() })?;
                    Arc::clone(self.arenas.entry(part).or_insert(arena))
                }
            };
            // Both are at most the pages of an arena.
            sections.push(Section { arena, first: first as usize, pages: count as usize });
            page += count;
        }
        Ok(sections)
    }

    /// Adds a range that shows pages from `first` on.
    pub(super) fn add(&mut self, range: Arc<LiveRange>, first: u64) {
        self.views.push(View { range, first });
    }

    /// Removes a range. The arenas stay until [`Self::forget_arenas`].
    pub(super) fn remove(&mut self, range: &LiveRange) {
        self.views.retain(|view| !std::ptr::eq(&*view.range, range));
    }

    /// Lets go of the arenas, unless something is mapped.
    pub(super) fn forget_arenas(&mut self) {
        if self.is_empty() {
            self.arenas.clear();
        }
    }

    /// The page of the file that the range shows first; `None` if it is not ours any more.
    pub(super) fn first_of(&self, range: &LiveRange) -> Option<u64> {
        let view = self.views.iter().find(|view| std::ptr::eq(&*view.range, range));
        view.map(|view| view.first)
    }

    /// Where the frame of a page belongs.
    pub(super) fn place_of(&self, page: u64) -> Option<(&Arc<Arena>, usize)> {
        let arena = self.arenas.get(&(page / ARENA_PAGES))?;
        Some((arena, (page % ARENA_PAGES) as usize))
    }

    /// Says where the file ends: beyond, ranges raise SIGBUS.
    pub(super) fn set_end(&self, end: u64) -> Result<(), CacheError> {
        for view in &self.views {
            view.range.set_end(end.saturating_sub(view.first)).map_err(refused)?;
        }
        Ok(())
    }

    /// Hides pages in all ranges.
    pub(super) fn hide(&self, pages: &Range<u64>) {
        for view in &self.views {
            let hidden = view.range.hide(view.within(pages));
            debug_assert!(hidden.is_ok(), "hiding {pages:?}: {hidden:?}");
        }
    }

    /// Takes the right to write pages back, in all ranges.
    pub(super) fn protect(&self, entries: &[FrozenEntry]) {
        for view in &self.views {
            let runs =
                lent_runs(entries).map(|run| view.within(&run)).filter(|run| !run.is_empty());
            let protected = view.range.protect(runs).and_then(|()| view.range.mend());
            if protected.is_err() {
                // What is not shown cannot be written either.
                let hidden = view.range.hide(0..view.range.pages());
                debug_assert!(hidden.is_ok(), "{protected:?}, {hidden:?}");
            }
        }
    }
}

/// The runs of placed pages among gathered ones.
fn lent_runs(entries: &[FrozenEntry]) -> impl Iterator<Item = Range<u64>> {
    let lent = entries.iter().filter(|entry| matches!(entry.content, FrozenContent::Lent));
    runs(lent.map(|entry| entry.page))
}

/// The error of a range that could not be changed.
pub(super) fn refused(error: LiveError) -> CacheError {
    CacheError::Mapped { reason: error.to_string() }
}

impl State {
    /// Looks at some placed pages that are clean: gives up those that were not wanted since they
    /// were hidden, and hides the others. Returns how many were given up, and whether it has been
    /// round.
    pub(crate) fn evict_placed(&mut self, wanted: u64) -> (u64, bool) {
        let (mut cold, mut shown) = (Vec::new(), Vec::new());
        let mut next = u64::MAX;
        for (seen, (page, entry)) in self.table.entries(self.live.hand..u64::MAX).enumerate() {
            if seen == EVICTION_SCAN || cold.len() as u64 == wanted {
                next = page;
                break;
            }
            let ContentRef::Placed(frame) = entry.content else { continue };
            if !entry.tags.is_empty() {
                continue;
            }
            let list = if frame.metadata().take_referenced() { &mut shown } else { &mut cold };
            list.push((page, was_written(entry.mark)));
        }
        let is_round = next == u64::MAX;
        self.live.hand = if is_round { 0 } else { next };
        for run in runs(shown.iter().map(|(page, _)| *page)) {
            self.live.hide(&run);
        }
        let mut evicted = 0;
        for (page, _) in &cold {
            evicted += u64::from(self.table.remove(*page).is_ok());
        }
        if cold.iter().any(|(_, written)| *written) {
            self.outdate_fills();
        }
        (evicted, is_round)
    }
}

/// Ascending pages as runs.
fn runs(pages: impl Iterator<Item = u64>) -> impl Iterator<Item = Range<u64>> {
    let mut pages = pages.peekable();
    std::iter::from_fn(move || {
        let first = pages.next()?;
        let mut end = first + 1;
        while pages.next_if_eq(&end).is_some() {
            end += 1;
        }
        Some(first..end)
    })
}
