//! The cached pages of one file.
//!
//! # Responsibility boundary
//!
//! The mapping owns the *pages*: their bytes, whether they are dirty, which frozen version needs
//! them. The filesystem owns the *size* of the file and the *map* from pages to blocks: it clips
//! reads, tells the mapping what to drop, and through [`Backing`](crate::Backing) says what a
//! missing page contains. Neither calls the other with a lock held.
//!
//! # Synchronisation
//!
//! The state of a mapping (see [`state`]) is under one reader-writer lock. Hits are read without it
//! (but for placed pages, and where a page is just being changed: these are read under the shared
//! lock). Fills run without it too, and so does everything that writeback does with frozen pages.
//! What makes each pair of operations on the same page come out right:
//!
//! | | hit | miss | write | truncate, punch | freeze | gather | settle | evict |
//! |---|---|---|---|---|---|---|---|---|
//! | **hit** | both read | *hold* | *hold* | *hold* | same page | *frame* | same page | *hold* |
//! | **miss** | | *absent* | *absent* | *epoch* | lock | lock | *epoch* | *epoch* |
//! | **write** | | | lock | lock | *version* | *frame* | *version* | *tag* |
//! | **truncate, punch** | | | | lock | *version* | *frame* | *version* | lock |
//! | **freeze** | | | | | lock | *version* | *version* | *tag* |
//! | **gather** | | | | | | *version* | once each, in this order | *tag* |
//! | **settle** | | | | | | | *version* | *tag* |
//! | **evict** | | | | | | | | lock |
//!
//! Turning a page of zeros into one without memory does what a write of zeros does, but leaves the
//! page as dirty as it was. It passes pages in flight, so it stands to the others as a write to a
//! page that is clean or open does.
//!
//! Asking for admission ([`Mapping::admit`]) changes no content and no tag; it takes the lock, unless
//! there is plenty of everything. Until the edit the caller keeps writes, truncations, punches and
//! freezes away, so only a miss, a settling or an eviction comes between. Settling can only make a
//! fork needless. An eviction may take a page that the edit then needs a frame for, and a miss may
//! take that frame: the edit waits for another one.
//!
//! * *lock*: both take the lock; whoever is first comes first, and either order is right. A read
//!   that overlaps a write may see part of it, as everywhere.
//! * *hold*: a hit looks the page up in the live table as it is at some moment of the look-up, and
//!   holds its frame while it copies (see [`TableReader`]). Before that moment the other operation
//!   has not happened to this page, after it it has. A frame that is held is not written in place
//!   but replaced, and not given to anybody else, so a hit sees each page whole.
//! * *absent*: a fill is installed only where there is no page. Of two fills one is installed, and
//!   a fill never replaces a write.
//! * *epoch*: an absent page says nothing if a newer one was there meanwhile. A truncation, a
//!   punch, and the eviction of a page that had been written outdate all fills under way (see
//!   [`fill`]). A page that is settled stays where it is; only its eviction after that counts.
//! * *version*: a page dirtied before the freeze has the frozen version's stamp, one dirtied after
//!   has a newer one. Settling touches only live entries with its own stamp, so versions settle in
//!   any order.
//! * *frame*: the page table gives out the bytes of a frame for writing only if nobody else sees
//!   it, so what is being gathered or written back cannot change.
//! * *tag*: an entry is tagged from the write that dirties it until it is settled, without a gap,
//!   and a tagged entry is not evicted.
//!
//! # Lock order
//!
//! The clock's hands, then the lock of one mapping, then the registry. The wait queues are leaves,
//! and nobody waits in one with a lock held. No lock is held while the backing fills.

mod admit;
mod editor;
mod evict;
#[cfg(all(test, not(shuttle)))]
mod examine;
mod fault;
mod fill;
mod frozen;
mod live;
mod mapped;
mod placed;
mod read;
mod readahead;
mod state;
mod tally;
mod version;
mod write;
mod writeback;
mod zeros;

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use braidfs_mm::{FrameMetadata, PageTable, TableCounts, TableReader};

pub use admit::{Admission, Patience, Stall};
pub use frozen::{Frozen, FrozenPage, FrozenRun};
pub use mapped::MappedPages;

use crate::cache::PageCache;
use crate::candidates::Candidate;
use crate::config::WritebackPolicy;
use crate::counters::Event;
use crate::heat;
use crate::registry::OwnerId;
use crate::sync::RwLock;
use fault::WriteAhead;
use readahead::Readahead;
use state::State;
use tally::Tally;
use version::Version;
use writeback::FrozenEntry;

/// The cached pages of one file.
///
/// It owns the pages: their bytes, whether they are dirty, which frozen version needs them. The
/// filesystem owns the size of the file and the map from pages to blocks: it clips reads, tells the
/// mapping what to drop, and through [`Backing`](crate::Backing) says what a missing page contains.
pub struct Mapping {
    cache: Arc<PageCache>,
    this: Weak<Mapping>,
    readahead: Readahead,
    write_ahead: WriteAhead,
    /// Versions in flight, to be looked at without the lock.
    versions_in_flight: AtomicU64,
    /// Looks up pages of the table in `state` without its lock.
    pages: TableReader,
    state: RwLock<State>,
}

impl Mapping {
    /// A mapping without pages. It takes little memory until it has some.
    pub fn new(cache: &Arc<PageCache>) -> Arc<Self> {
        let mut table = PageTable::new(cache.pool());
        Arc::new_cyclic(|this| Self {
            cache: Arc::clone(cache),
            this: Weak::clone(this),
            readahead: Readahead::default(),
            write_ahead: WriteAhead::default(),
            versions_in_flight: AtomicU64::new(0),
            pages: table.reader(),
            state: RwLock::new(State::new(table)),
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

    /// The first page from `from_page` on that is not durable yet, be it dirty or under writeback:
    /// data that the map of the file may not show.
    pub fn next_dirty(&self, from_page: u64) -> Option<u64> {
        self.state.read().next_pending(from_page)
    }

    /// Whether a frozen version is not durable yet. A hint, for statistics: no lock is taken.
    pub fn is_under_writeback(&self) -> bool {
        self.versions_in_flight.load(Ordering::Relaxed) > 0
    }

    /// Forgets the clean pages of a range, because the backing changed under them. Fills under way
    /// start again.
    pub fn drop_clean(&self, pages: Range<u64>) {
        self.state.write().drop_clean(pages);
    }

    /// Ends the open version and hands out what is dirty in it; `None` if nothing is.
    ///
    /// Takes constant time under [`WritebackPolicy::Fork`] and [`WritebackPolicy::Wait`]; copies
    /// every dirty page under [`WritebackPolicy::Copy`]. If the file is mapped, it looks at every dirty
    /// page, and stores of programs wait until it is done. Several frozen versions may be in flight,
    /// and end in any order.
    pub fn freeze(&self) -> Option<Frozen> {
        let mapping = self.this.upgrade()?;
        let mut state = self.state.write();
        let (table, version, page_count) = state.freeze()?;
        self.versions_in_flight.fetch_add(1, Ordering::Relaxed);
        let copies = self.cache.policy() == WritebackPolicy::Copy;
        if !copies && state.live.is_empty() {
            return Some(Frozen::shared(mapping, version, page_count, table));
        }
        let mut tally = Tally::default();
        let entries = self.gather_now(&state, &table, version, page_count, &mut tally);
        drop(table);
        state.note_copies(version, tally.frozen);
        state.begin_writeback(version, &entries);
        state.note_gathered(version);
        tally.apply(&self.cache);
        Some(Frozen::gathered(mapping, version, entries))
    }

    /// Gathers what was just frozen under the same hold of the lock: where it is to be copied, or
    /// where programs may write it.
    fn gather_now(
        &self,
        state: &State,
        table: &PageTable,
        version: Version,
        page_count: u64,
        tally: &mut Tally,
    ) -> Vec<FrozenEntry> {
        let mut entries = Vec::new();
        if !state.live.is_empty() {
            let started = Instant::now();
            entries = writeback::gather(table, version, page_count);
            state.live.protect(&entries);
            self.cache.events().add_duration(Event::ProtectNanoseconds, started.elapsed());
        }
        if self.cache.policy() == WritebackPolicy::Copy {
            let most = self.cache.pressure().frozen_allowance();
            entries = writeback::copy_pages(table, version, most, tally);
        }
        entries
    }

    /// Gives up mapped pages that nobody wanted of late. Returns how many, and whether it has been
    /// round the file.
    pub(crate) fn evict_placed(&self, wanted: u64) -> (u64, bool) {
        self.state.write().evict_placed(wanted)
    }

    /// Evicts candidates of an evictor. Unless it is `thorough` it passes a mapping that shares
    /// nodes with a frozen version: the frames would not be free before that version is gathered.
    pub(crate) fn evict(&self, candidates: &[Candidate], thorough: bool) -> u64 {
        let mut state = self.state.write();
        if state.is_shared() && !thorough { 0 } else { state.evict(candidates) }
    }

    /// Forgets a version all of whose pages were settled. Says how many frames were needed by it
    /// alone.
    fn end_version(&self, version: Version) -> u64 {
        let sole_frames = self.state.write().end_version(version);
        self.versions_in_flight.fetch_sub(1, Ordering::Relaxed);
        sole_frames
    }

    /// Turns those candidates that are full of zeros into pages without memory, unless they are in
    /// flight. Returns how many were.
    ///
    /// First with readers beside it: most pages are not zeros, and show it at once. Nothing found
    /// then is believed: with the lock for itself each is looked at again before it is turned.
    pub(crate) fn dedup_zeros(&self, candidates: &[Candidate]) -> u64 {
        let found = self.state.read().full_of_zeros(candidates);
        if found.is_empty() { 0 } else { self.state.write().dedup_zeros(&found) }
    }

    /// What is cached, counted.
    pub(crate) fn table_counts(&self) -> TableCounts {
        self.state.read().table.counts()
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
        heat::note_arrival(frame);
        frame.set_owner(self.owner(state).to_word(), page);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        // Versions in flight keep the mapping alive, so what is pending here is dirty in the open
        // version.
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
