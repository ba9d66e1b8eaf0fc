//! The cached pages of one file.
//!
//! # Responsibility boundary
//!
//! The mapping owns the *pages*: their bytes, whether they are dirty, which frozen version needs them. The filesystem owns the *size* of the file and
//! the *map* from pages to blocks: it clips reads, tells the mapping what to drop, and through [`Backing`](crate::Backing) says what a missing page
//! contains. Neither calls the other with a lock held.
//!
//! # Synchronisation
//!
//! Everything below is under one reader-writer lock of the mapping (L). A fill (F) runs without it and is validated when it ends (see [`fill`]).
//! What orders each pair of operations on the same page:
//!
//! | | read | write | truncate, punch | freeze | gather | complete, fail | evict |
//! |---|---|---|---|---|---|---|---|
//! | **read** (hit) | L shared | L | L | L | L | L | L |
//! | **read** (miss) | one installs, the others find it | never over the write: installed only where nothing is | epoch outdates the fill | L | L | L | epoch outdates the fill if the page was written |
//! | **write** | | L | L | before: in this version; after: in the next, by the fork rule | frozen frame is not touched | stamp tells which version is live | L, clean pages only |
//! | **truncate, punch** | | | L | as write | frozen frame lives on | no live entry, nothing to settle | L |
//! | **freeze** | | | | L | own tables | own versions | dirty pages are not evicted |
//! | **gather** | | | | | own versions | same owner, in this order | pages are tagged throughout |
//! | **complete, fail** | | | | | | stamps: any order | before: tagged; after: clean |
//!
//! # Lock order
//!
//! The clock's hand, then the lock of a mapping, then the registry. Wait queues are leaves, and nobody waits in one with a lock held.

mod editor;
mod evict;
mod fill;
mod frozen;
mod read;
mod readahead;
mod state;
mod tally;
mod version;
mod write;
mod writeback;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Weak};

use braidfs_mm::{FrameMetadata, PageTable};
use parking_lot::RwLock;

pub(crate) use evict::Candidate;
pub use frozen::{Frozen, FrozenPage, FrozenRun};

use crate::cache::PageCache;
use crate::config::WritebackPolicy;
use crate::registry::OwnerId;
use readahead::Readahead;
use state::State;
use tally::Tally;

/// The cached pages of one file. See the [module](self) for who is responsible for what.
pub struct Mapping {
    cache: Arc<PageCache>,
    this: Weak<Mapping>,
    readahead: Readahead,
    state: RwLock<State>,
}

impl Mapping {
    /// A mapping without pages. It takes little memory until it has some.
    pub fn new(cache: &Arc<PageCache>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            cache: Arc::clone(cache),
            this: Weak::clone(this),
            readahead: Readahead::default(),
            state: RwLock::new(State::new(PageTable::new(cache.pool()))),
        })
    }

    /// Pages dirty in the open version: those the next [`freeze`](Self::freeze) would take.
    pub fn dirty_pages(&self) -> u64 {
        self.state.read().open_pages()
    }

    /// Pages that are not durable yet, dirty or under writeback.
    pub fn pending_pages(&self) -> u64 {
        self.state.read().pending_pages()
    }

    /// Whether a page is not durable yet, be it dirty or under writeback.
    pub fn is_dirty(&self, page: u64) -> bool {
        self.state.read().next_pending(page) == Some(page)
    }

    /// The first page from `from_page` on that is not durable yet, be it dirty or under writeback: data that the
    /// map of the file may not show.
    pub fn next_dirty(&self, from_page: u64) -> Option<u64> {
        self.state.read().next_pending(from_page)
    }

    /// Forgets the clean pages of a range, because the backing changed under them. Fills under way start again.
    pub fn drop_clean(&self, pages: Range<u64>) {
        self.state.write().drop_clean(pages);
    }

    /// Ends the open version and hands out what is dirty in it; `None` if nothing is.
    ///
    /// Takes constant time under [`WritebackPolicy::Fork`] and [`WritebackPolicy::Wait`]; copies every dirty page under
    /// [`WritebackPolicy::Copy`]. Several frozen versions may be in flight, and end in any order.
    pub fn freeze(&self) -> Option<Frozen> {
        let mapping = self.this.upgrade()?;
        let mut state = self.state.write();
        let (table, version, page_count) = state.freeze()?;
        if self.cache.policy() != WritebackPolicy::Copy {
            return Some(Frozen::shared(mapping, version, page_count, table));
        }
        let mut tally = Tally::default();
        let most = self.cache.pressure().frozen_allowance();
        let entries = writeback::copy_pages(&table, version, most, &mut tally);
        drop(table);
        state.note_copies(version, tally.frozen);
        state.begin_writeback(version, &entries);
        state.note_gathered(version);
        tally.apply(&self.cache);
        Some(Frozen::gathered(mapping, version, entries))
    }

    /// Evicts candidates of an evictor. Unless it is `thorough` it passes a mapping that shares nodes with a frozen
    /// version: the frames would not be free before that version is gathered.
    pub(crate) fn evict(&self, candidates: &[Candidate], thorough: bool) -> u64 {
        let mut state = self.state.write();
        if state.is_shared() && !thorough { 0 } else { state.evict(candidates) }
    }

    pub(crate) fn cache(&self) -> &Arc<PageCache> {
        &self.cache
    }

    fn state(&self) -> &RwLock<State> {
        &self.state
    }

    /// The id of this mapping in the registry, which it joins with its first page.
    fn owner(&self, state: &mut State) -> OwnerId {
        *state.owner.get_or_insert_with(|| self.cache.registry().add(Weak::clone(&self.this)))
    }

    /// Writes into the metadata of a frame that it will hold this page.
    fn claim(&self, state: &mut State, frame: &FrameMetadata, page: u64) {
        frame.set_owner(self.owner(state).to_word(), page);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        // Versions in flight keep the mapping alive, so what is pending here is dirty in the open version.
        self.cache.pressure().remove_dirty(state.pending_pages());
        if let Some(owner) = state.owner {
            self.cache.registry().remove(owner);
        }
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Mapping").field("state", &self.state).finish_non_exhaustive()
    }
}
