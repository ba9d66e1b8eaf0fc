//! Mapping a file, and unmapping it.

use std::ops::Range;
use std::sync::Arc;

use braidfs_mm::{
    Content, ContentRef, Entry, FaultHandler, FaultMechanism, LiveRange, MappedMemory, TableError,
};

use super::Mapping;
use super::live::refused;
use super::state::State;
use super::version::is_lent;
use crate::error::CacheError;
use crate::page::{PAGE_INDEX_END, check_range, page_start};

/// Pages moved out of their places under one hold of the lock.
const PAGES_A_HOLD: usize = 256;

/// Memory that shows pages of a mapping, until this is dropped.
#[derive(Debug)]
pub struct MappedPages {
    memory: MappedMemory,
    /// Dropped after the memory, whose faults may wait for the lock that this takes.
    _shown: Shown,
}

/// The mapping's knowledge of a range.
#[derive(Debug)]
struct Shown {
    range: Arc<LiveRange>,
    mapping: Arc<Mapping>,
}

impl MappedPages {
    /// The memory.
    pub fn memory(&self) -> &MappedMemory {
        &self.memory
    }

    /// The memory, for those who need it to themselves.
    pub fn memory_mut(&mut self) -> &mut MappedMemory {
        &mut self.memory
    }
}

impl Mapping {
    /// Maps pages of the file, of which those before `end` are there. `handler` is asked for pages
    /// when they are touched; it calls [`fault`](Self::fault).
    pub fn map(
        &self,
        pages: Range<u64>,
        writable: bool,
        mechanism: FaultMechanism,
        handler: Arc<dyn FaultHandler>,
        end: u64,
    ) -> Result<MappedPages, CacheError> {
        let gone = || CacheError::Mapped { reason: "the mapping of the file is gone".into() };
        let mapping = self.this.upgrade().ok_or_else(gone)?;
        let last = pages.end.min(PAGE_INDEX_END + 1);
        check_range(0, page_start(last))?;
        let mut state = self.state().write();
        let sections = state.live.sections(pages.clone(), self.cache().pool())?;
        let there = end.saturating_sub(pages.start);
        let memory = MappedMemory::new(sections, writable, mechanism, handler, there);
        let memory = memory.map_err(refused).inspect_err(|_| state.live.forget_arenas())?;
        let range = Arc::clone(memory.range());
        state.live.add(Arc::clone(&range), pages.start);
        drop(state);
        self.cache().note_mapped(&mapping);
        Ok(MappedPages { memory, _shown: Shown { range, mapping } })
    }

    /// Whether any of it is mapped.
    pub fn is_mapped(&self) -> bool {
        !self.state().read().live.is_empty()
    }

    /// Says how many pages the file has: mapped memory beyond raises SIGBUS from then on, and memory
    /// within is there. To be called with every change of the size, with faults kept out.
    pub fn set_mapped_end(&self, pages: u64) -> Result<(), CacheError> {
        self.state().read().live.set_end(pages)
    }

    /// Moves the placed pages out, unless something is mapped; some at a time.
    fn move_out(&self) {
        let mut next = 0;
        loop {
            let mut state = self.state().write();
            if !state.live.is_empty() {
                return;
            }
            let pages = state.placed_pages(next, PAGES_A_HOLD);
            let Some(last) = pages.last() else {
                return state.live.forget_arenas();
            };
            next = last + 1;
            for page in pages {
                // The entry is there, so the table needs nothing that could be refused.
                let moved = state.move_page_out(self, page);
                debug_assert!(moved.is_ok(), "page {page}: {moved:?}");
            }
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.mapping.state().write().live.remove(&self.range);
        self.mapping.move_out();
    }
}

impl State {
    /// Placed pages from `from` on, so many at most.
    fn placed_pages(&self, from: u64, most: usize) -> Vec<u64> {
        let entries = self.table.entries(from..u64::MAX);
        let placed = entries.filter(|(_, entry)| matches!(entry.content, ContentRef::Placed(_)));
        placed.map(|(page, _)| page).take(most).collect()
    }

    /// Gives up the place of a page: a clean one is forgotten, a dirty one gets a frame of the pool.
    fn move_page_out(&mut self, mapping: &Mapping, page: u64) -> Result<(), TableError> {
        let Some(entry) = self.table.get(page) else { return Ok(()) };
        let (tags, mark) = (entry.tags, entry.mark);
        let Some(Entry { content: Content::Placed(placed), .. }) = self.table.remove(page)? else {
            return Ok(());
        };
        if tags.is_empty() {
            self.outdate_fills();
            return Ok(());
        }
        // Nobody else has a handle of it: a version that it is lent to has none.
        let Ok(frame) = self.table.pool().clone().displace(placed) else { return Ok(()) };
        mapping.claim(self, frame.metadata(), page);
        let frame = frame.share();
        let mut mark = mark;
        let borrower = self.in_flight.iter_mut().find(|one| one.version.stamped(mark));
        if let Some(borrower) = borrower.filter(|_| is_lent(mark)) {
            // From now on it has the frame too, as if the page had never been placed.
            borrower.kept.insert(page, frame.clone());
            mark = borrower.version.mark();
        }
        self.table.insert_tagged(page, Entry::from(frame).with_mark(mark), tags)?;
        Ok(())
    }
}
