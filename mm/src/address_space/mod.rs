//! Address spaces: which pages are mapped, from where, and what they hold.
//!
//! An [`AddressSpace`] is [regions](crate::Regions) over a [page table](crate::PageTable): the
//! regions say what backs a range and what may be done there, the table what was found out page by
//! page. It does in memory of ours what a kernel's address space does with a processor's tables, and
//! is what a live mapping of a file is built on: that puts what [`AddressSpace::fault`] gives into
//! real memory.
//!
//! * [`source`]: who fills the pages of a region.
//! * [`mapped`]: what is known of a region; why an access is refused.
//! * [`fault`]: what an access to a page leads to.
//! * [`changes`]: what happened while a source was asked.
//!
//! # Invariants
//!
//! * The table has entries in regions only; nothing is left of it when all is unmapped.
//! * An entry tagged [`Tag::Dirty`] was given out to be written since the last
//!   [`take_written`](AddressSpace::take_written); no other may be written.
//! * A frame that another space or a source sees is written only in a shared region, where that is
//!   the point.
//!
//! # Locks
//!
//! One reader-writer lock a space. Sources are asked without it, and what they said is used only if
//! nothing happened to the page meanwhile. Visitors and installers run under it and must not call
//! the space.

mod changes;
mod fault;
mod mapped;
mod source;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::RwLock;

use changes::Changes;
pub use fault::Resolved;
pub use mapped::{Access, Fault, Mapped, Protection, Signal, SpaceError};
pub use source::{Backing, PageSource, SourcePage, WritablePage};

use crate::{
    FramePool, LastLookup, MAX_PAGES, Page, PageTable, Regions, TableCounts, TableError, Tag,
    ZeroPages,
};

/// Mapped ranges of pages, and what their pages hold. See the module.
pub struct AddressSpace<S: ?Sized> {
    state: RwLock<State<S>>,
    zero_pages: Arc<ZeroPages>,
}

/// What is under the lock.
struct State<S: ?Sized> {
    regions: Regions<Mapped<S>>,
    table: PageTable,
    changes: Changes,
}

impl<S: PageSource + ?Sized> AddressSpace<S> {
    /// A space where nothing is mapped, with frames of that pool. Holes in it read as these zero
    /// pages.
    pub fn new(pool: &Arc<FramePool>, zero_pages: &Arc<ZeroPages>) -> Self {
        Self::of(Regions::new(), PageTable::new(pool), Arc::clone(zero_pages))
    }

    fn of(regions: Regions<Mapped<S>>, table: PageTable, zero_pages: Arc<ZeroPages>) -> Self {
        let state = State { regions, table, changes: Changes::default() };
        Self { state: RwLock::new(state), zero_pages }
    }

    /// Maps a range of pages where nothing is mapped yet.
    pub fn map(
        &self,
        pages: Range<u64>,
        backing: Backing<S>,
        protection: Protection,
    ) -> Result<(), SpaceError> {
        check_end(&pages)?;
        Ok(self.state.write().regions.insert(pages, Mapped { backing, protection })?)
    }

    /// Unmaps what is mapped in a range; regions that reach beyond are cut. `visit` is told of each
    /// run of pages that held something, before they go. Returns how many pages were mapped.
    pub fn unmap(
        &self,
        pages: Range<u64>,
        visit: impl FnMut(Range<u64>),
    ) -> Result<u64, SpaceError> {
        let removed = {
            let mut state = self.state.write();
            state.forget(pages.clone(), visit)?;
            state.regions.remove(pages)
        };
        // The last handle to a source may go with a region: not under the lock.
        Ok(removed.into_iter().map(|(range, _)| range.end - range.start).sum())
    }

    /// Forgets what the pages of a range hold (madvise DONTNEED): sources are asked again, what
    /// anonymous pages held is lost, and so is what was written to private ones. `visit` is told of
    /// each run of pages that held something, before they go. Returns how many these were.
    pub fn discard(
        &self,
        pages: Range<u64>,
        visit: impl FnMut(Range<u64>),
    ) -> Result<u64, SpaceError> {
        Ok(self.state.write().forget(pages, visit)?)
    }

    /// Changes what may be done to the pages of a range, all of which must be mapped. `visit` is told
    /// of each run of pages that were given out to be written, if that is forbidden from now on.
    pub fn protect(
        &self,
        pages: Range<u64>,
        protection: Protection,
        mut visit: impl FnMut(Range<u64>),
    ) -> Result<(), SpaceError> {
        let mut state = self.state.write();
        if let Some(gap) = state.regions.first_gap(pages.clone()) {
            return Err(SpaceError::Unmapped { page: gap.start });
        }
        if !protection.allows(Access::Write) {
            state.take_written(pages.clone(), &mut visit)?;
        }
        state.changes.note(pages.clone());
        state.regions.update(pages, |mapped| Mapped { protection, ..mapped.clone() });
        Ok(())
    }

    /// Takes back the right to write the pages of a range in place: the next write to each faults
    /// again. `visit` is told of each run of pages that had it, which are those written since it was
    /// last taken back; so a snapshot costs as much as was written, not as much as is mapped. Faults
    /// wait meanwhile. Returns how many pages these were. On failure it is as before for the runs
    /// that were not visited.
    pub fn take_written(
        &self,
        pages: Range<u64>,
        mut visit: impl FnMut(Range<u64>),
    ) -> Result<u64, SpaceError> {
        let mut state = self.state.write();
        state.changes.note(pages.clone());
        Ok(state.take_written(pages, &mut visit)?)
    }

    /// A space that holds the same, in constant time: tables and regions are shared until one of the
    /// two changes them, frames of private pages until one of the two writes them.
    ///
    /// Whoever gave pages out to be written in place takes them back first, in `visit`, which is
    /// told of each run of them; only this takes time for each. Faults wait meanwhile.
    pub fn fork(&self, mut visit: impl FnMut(Range<u64>)) -> Result<Self, SpaceError> {
        let mut state = self.state.write();
        state.changes.note(0..u64::MAX);
        state.take_written(0..u64::MAX, &mut visit)?;
        let (regions, table) = (state.regions.clone(), state.table.fork());
        Ok(Self::of(regions, table, Arc::clone(&self.zero_pages)))
    }

    /// Lets `read` see a page.
    pub fn read_page<R>(
        &self,
        page: u64,
        last: &mut LastLookup<Mapped<S>>,
        read: impl FnOnce(&Page) -> R,
    ) -> Result<R, Fault<S::Error>> {
        self.fault(page, Access::Read, last, |resolved| {
            resolved.content.read(page, &self.zero_pages, read)
        })
    }

    /// The regions as of now.
    pub fn regions(&self) -> Regions<Mapped<S>> {
        self.state.read().regions.clone()
    }

    /// What the pages hold, counted.
    pub fn counts(&self) -> TableCounts {
        self.state.read().table.counts()
    }
}

impl<S: PageSource + ?Sized> State<S> {
    /// Takes out what is known of the pages of a range.
    fn forget(
        &mut self,
        pages: Range<u64>,
        mut visit: impl FnMut(Range<u64>),
    ) -> Result<u64, TableError> {
        self.changes.note(pages.clone());
        self.table.remove_range(pages, |run, _| visit(run))
    }

    /// Takes back the right to write pages in place.
    fn take_written(
        &mut self,
        pages: Range<u64>,
        visit: &mut dyn FnMut(Range<u64>),
    ) -> Result<u64, TableError> {
        let runs: Vec<_> = self.table.tagged_runs(Tag::Dirty, pages).collect();
        let mut taken = 0;
        for run in runs {
            // Paid for in advance, so that a run is taken back as a whole or not at all.
            self.table.reserve(run.clone())?;
            visit(run.clone());
            taken += run.end - run.start;
            for page in run {
                self.table.clear_tag(page, Tag::Dirty)?;
            }
        }
        self.table.unreserve();
        Ok(taken)
    }
}

impl<S: ?Sized> fmt::Debug for AddressSpace<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.read();
        formatter
            .debug_struct("AddressSpace")
            .field("regions", &state.regions.len())
            .field("counts", &state.table.counts())
            .finish_non_exhaustive()
    }
}

/// Refuses ranges that reach beyond what a table can name.
fn check_end(pages: &Range<u64>) -> Result<(), TableError> {
    match pages.end.checked_sub(1).filter(|last| *last >= MAX_PAGES) {
        Some(index) => Err(TableError::IndexTooLarge { index }),
        None => Ok(()),
    }
}
