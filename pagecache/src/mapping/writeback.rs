//! The way of a version through the state of a mapping: frozen, gathered, settled.
//!
//! Gathering moves the tags of the version's pages from `Dirty` to `Writeback`, settling clears
//! them or makes the pages dirty again. Both touch a live entry only if it still has the stamp of
//! the version: an entry with another stamp is newer, and an entry that is missing was dropped. So
//! versions may end in any order.

use std::collections::HashMap;
use std::sync::Arc;

use braidfs_mm::{
    ContentRef, EntryMark, EntryRef, Frame, FrameMut, FramePool, PageTable, PoolError, TableError,
    Tag, TagSet,
};

use super::state::{InFlight, State};
use super::tally::Tally;
use super::version::{Version, settled_mark};
use crate::planted::{Mistake, planted};

/// A page of a frozen version.
#[derive(Debug)]
pub(crate) struct FrozenEntry {
    pub(crate) page: u64,
    pub(crate) content: FrozenContent,
}

/// Where the bytes of a frozen page are.
#[derive(Debug)]
pub(crate) enum FrozenContent {
    /// Nowhere: they are zeros.
    Zeros,
    /// In this frame.
    Frame(Frame),
    /// In the live table, or with what was kept of it: see [`placed`](super::placed).
    Lent,
}

impl FrozenEntry {
    fn of(page: u64, entry: &EntryRef<'_>) -> Self {
        let content = match entry.content {
            ContentRef::Frame(frame) => FrozenContent::Frame(frame.to_frame()),
            ContentRef::Placed(_) => FrozenContent::Lent,
            ContentRef::HoleZero | ContentRef::DedupZero => FrozenContent::Zeros,
        };
        Self { page, content }
    }
}

/// How a frozen version ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is durable and published.
    Complete,
    /// It could not be written.
    Failed,
}

/// The pages of `table` that are dirty in `version`, in order.
pub(crate) fn dirty_entries(
    table: &PageTable,
    version: Version,
) -> impl Iterator<Item = (u64, EntryRef<'_>)> {
    table.tagged(Tag::Dirty, 0..u64::MAX).filter(move |(_, entry)| version.stamped(entry.mark))
}

/// Takes a reference to each page of a version out of its frozen table.
pub(crate) fn gather(table: &PageTable, version: Version, page_count: u64) -> Vec<FrozenEntry> {
    let mut entries = Vec::with_capacity(usize::try_from(page_count).unwrap_or(0));
    entries
        .extend(dirty_entries(table, version).map(|(page, entry)| FrozenEntry::of(page, &entry)));
    entries
}

impl State {
    /// Ends the open version: what is dirty in it belongs to the frozen table returned. `None` if
    /// nothing is.
    pub(crate) fn freeze(&mut self) -> Option<(PageTable, Version, u64)> {
        if self.open_pages == 0 {
            return None;
        }
        let frozen = (self.table.fork(), self.open, std::mem::take(&mut self.open_pages));
        self.in_flight.push(InFlight {
            version: self.open,
            kept: HashMap::new(),
            borrows: false,
            sole_frames: 0,
            gathered: false,
        });
        self.open = self.open.next();
        Some(frozen)
    }

    /// Notes that the pages of a version were gathered, so that it no longer shares nodes with the
    /// live table.
    pub(crate) fn note_gathered(&mut self, version: Version) {
        if let Some(in_flight) = self.in_flight.iter_mut().find(|one| one.version == version) {
            in_flight.gathered = true;
        }
    }

    /// Accounts copies that only this version needs.
    pub(crate) fn note_copies(&mut self, version: Version, copies: u64) {
        if let Some(in_flight) = self.in_flight.iter_mut().find(|one| one.version == version) {
            in_flight.sole_frames += copies;
        }
    }

    /// Marks gathered pages as being written.
    pub(crate) fn begin_writeback(&mut self, version: Version, entries: &[FrozenEntry]) {
        let borrows = entries.iter().any(|entry| matches!(entry.content, FrozenContent::Lent));
        if let Some(one) = self.in_flight.iter_mut().find(|one| one.version == version) {
            one.borrows |= borrows;
        }
        for entry in entries {
            if self.holds(entry.page, version) {
                unlimited(self.table.change_tags(entry.page, Tag::Writeback, Tag::Dirty));
                if matches!(entry.content, FrozenContent::Lent) {
                    unlimited(self.table.set_mark(entry.page, version.lent_mark()));
                }
            }
        }
    }

    /// Settles some pages of a version, and lets go of its references to them.
    pub(crate) fn settle(
        &mut self,
        version: Version,
        entries: impl Iterator<Item = FrozenEntry>,
        outcome: Outcome,
    ) -> u64 {
        let mut cleaned = 0;
        for entry in entries {
            if !self.holds(entry.page, version) {
                continue;
            }
            match outcome {
                Outcome::Complete => {
                    self.clean(&entry);
                    cleaned += 1;
                }
                Outcome::Failed => self.reopen(entry.page),
            }
        }
        cleaned
    }

    /// Forgets a version all of whose pages were settled. Says how many frames were needed by it
    /// alone.
    pub(crate) fn end_version(&mut self, version: Version) -> u64 {
        let Some(at) = self.in_flight.iter().position(|one| one.version == version) else {
            return 0;
        };
        self.in_flight.swap_remove(at).sole_frames
    }

    /// Whether the live page is still the one that was frozen with `version`.
    fn holds(&self, page: u64, version: Version) -> bool {
        self.table
            .get(page)
            .is_some_and(|entry| !entry.tags.is_empty() && belongs(version, entry.mark))
    }

    fn clean(&mut self, entry: &FrozenEntry) {
        unlimited(self.table.change_tags(entry.page, TagSet::EMPTY, Tag::Writeback));
        if !matches!(entry.content, FrozenContent::Frame(_)) {
            unlimited(self.table.set_mark(entry.page, settled_mark()));
        }
    }

    fn reopen(&mut self, page: u64) {
        if planted(Mistake::FailureCleans) {
            unlimited(self.table.change_tags(page, TagSet::EMPTY, Tag::Writeback));
            return;
        }
        unlimited(self.table.set_mark(page, self.open.mark()));
        unlimited(self.table.change_tags(page, Tag::Dirty, Tag::Writeback));
        self.open_pages += 1;
    }
}

/// Whether an entry with this mark belongs to the version.
fn belongs(version: Version, mark: EntryMark) -> bool {
    version.stamped(mark) || planted(Mistake::SettleIgnoresVersions)
}

/// Unwraps a change of an entry that is there. It cannot fail: the index was accepted before, and
/// the memory of tables is not limited (see [`PageCache::new`](crate::PageCache::new)).
fn unlimited<T>(result: Result<T, TableError>) {
    debug_assert!(
        result.is_ok(),
        "changing an entry that is there needs nothing that can be refused"
    );
}

/// A copy of a page, whatever it is in, in a frame of its own.
pub(super) fn copy_of(content: ContentRef<'_>, pool: &Arc<FramePool>) -> Result<Frame, PoolError> {
    let copy = match content {
        ContentRef::Frame(frame) => pool.allocate_copy(frame.page()),
        ContentRef::Placed(frame) => pool.allocate().map(|mut copy| {
            frame.load(0, &mut copy[..]);
            copy
        }),
        ContentRef::HoleZero | ContentRef::DedupZero => pool.allocate_zeroed(),
    };
    copy.map(FrameMut::share)
}

/// Copies the pages of a frozen version, so that the live table keeps the originals to itself.
/// Beyond `most` copies, or without memory for one, a page is shared instead and will be forked
/// when it is written.
pub(crate) fn copy_pages(
    table: &PageTable,
    version: Version,
    most: u64,
    tally: &mut Tally,
) -> Vec<FrozenEntry> {
    let copy = |(page, entry): (u64, EntryRef<'_>)| {
        if entry.content.is_zero() || tally.copies >= most {
            return FrozenEntry::of(page, &entry);
        }
        let Ok(copy) = copy_of(entry.content, table.pool()) else {
            return FrozenEntry::of(page, &entry);
        };
        tally.copies += 1;
        tally.frozen += 1;
        FrozenEntry { page, content: FrozenContent::Frame(copy) }
    };
    dirty_entries(table, version).map(copy).collect()
}
