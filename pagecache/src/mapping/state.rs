//! What a mapping knows, under its lock: the live table, the open version, the versions in flight.
//!
//! # Invariants
//!
//! * An entry with a tag is not durable. It is dirty in the open version if it has the stamp of
//!   that version, and then its tag is `Dirty`; otherwise it belongs to the frozen version of its
//!   stamp, and its tag is `Dirty` until the pages of that version were gathered, `Writeback`
//!   after.
//! * `open_pages` is the number of entries that are dirty in the open version.
//! * A version is in `in_flight` from its freeze until it was completed or failed.
//! * An entry without a tag equals what the backing would fill in.

use std::collections::HashMap;
use std::ops::Range;

use braidfs_mm::{Entry, EntryRef, Frame, PageTable, TableError, Tag, TagSet};

use super::live::Live;
use super::tally::Tally;
use super::version::{Standing, Version};
use crate::planted::{Mistake, planted};
use crate::registry::OwnerId;

/// A frozen version that is not durable yet.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) version: Version,
    /// Copies of pages that it read from the live table, until they changed there.
    pub(super) kept: HashMap<u64, Frame>,
    /// Whether pages were lent to it.
    pub(super) borrows: bool,
    /// Frames that only this version still needs.
    pub(super) sole_frames: u64,
    /// Whether its pages were gathered; until then it shares nodes with the live table.
    pub(super) gathered: bool,
}

/// What was true when a fill started; compared with what is true when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch {
    generation: u64,
    completions: u64,
}

/// The state of a mapping.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) table: PageTable,
    pub(crate) owner: Option<OwnerId>,
    pub(super) open: Version,
    pub(super) open_pages: u64,
    pub(super) in_flight: Vec<InFlight>,
    pub(super) live: Live,
    epoch: Epoch,
}

impl State {
    pub(crate) fn new(table: PageTable) -> Self {
        Self {
            table,
            owner: None,
            open: Version::default(),
            open_pages: 0,
            in_flight: Vec::new(),
            live: Live::default(),
            epoch: Epoch { generation: 0, completions: 0 },
        }
    }

    /// Pages dirty in the open version.
    pub(crate) fn open_pages(&self) -> u64 {
        self.open_pages
    }

    /// Pages that are not durable: dirty or under writeback.
    pub(crate) fn pending_pages(&self) -> u64 {
        let counts = self.table.counts();
        counts.tagged(Tag::Dirty) + counts.tagged(Tag::Writeback)
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether a fill that started at `then` may be installed: no page may have gone meanwhile that
    /// was newer.
    pub(crate) fn accepts_fill(&self, then: Epoch) -> bool {
        self.epoch.generation == then.generation || planted(Mistake::FillIgnoresEpochs)
    }

    /// Whether a fill of these pages that started at `then` may have failed only because it was
    /// overtaken: by a change that freed the blocks it was reading.
    pub(crate) fn overtook_fill(&self, then: Epoch, pages: Range<u64>) -> bool {
        self.epoch != then
            || self.table.next_present(pages.start).is_some_and(|page| page < pages.end)
    }

    /// Outdates the fills under way.
    pub(crate) fn outdate_fills(&mut self) {
        self.epoch.generation = self.epoch.generation.wrapping_add(1);
    }

    /// Notes that the backing has newer content than before.
    pub(super) fn note_completion(&mut self) {
        self.epoch.completions = self.epoch.completions.wrapping_add(1);
    }

    /// Whether some frozen version still shares nodes with the live table.
    pub(crate) fn is_shared(&self) -> bool {
        self.in_flight.iter().any(|version| !version.gathered)
    }

    pub(crate) fn standing(&self, entry: &EntryRef<'_>) -> Standing {
        Standing::of(entry, self.open)
    }

    /// The first page from `from` on that is not durable.
    pub(crate) fn next_pending(&self, from: u64) -> Option<u64> {
        let dirty = self.table.next_tagged(from, Tag::Dirty);
        let writeback = self.table.next_tagged(from, Tag::Writeback);
        dirty.into_iter().chain(writeback).min()
    }

    /// Puts new content for a page that is dirty from now on, and accounts what was there.
    pub(crate) fn put_dirty(
        &mut self,
        page: u64,
        entry: Entry,
        tally: &mut Tally,
    ) -> Result<(), TableError> {
        let old = self.table.get(page);
        let standing = old.as_ref().map_or(Standing::Clean, |old| self.standing(old));
        let needed_by = old
            .filter(|_| !cfg!(braidfs_without_fork_check))
            .and_then(|old| needing_version(&self.in_flight, &old));
        let loses_tags = planted(Mistake::SwapLosesTags) && standing == Standing::InFlight;
        let tags = if loses_tags { TagSet::EMPTY } else { Tag::Dirty.into() };
        self.table.insert_tagged(page, entry.with_mark(self.open.mark()), tags)?;
        if let Some(version) = needed_by {
            self.in_flight[version].sole_frames += 1;
            tally.frozen += 1;
            tally.forks += 1;
        }
        self.open_pages += u64::from(standing != Standing::Open);
        tally.dirtied += u64::from(standing == Standing::Clean);
        Ok(())
    }

    /// Makes a page that was written in place dirty in the open version.
    pub(crate) fn redirty(
        &mut self,
        page: u64,
        standing: Standing,
        tally: &mut Tally,
    ) -> Result<(), TableError> {
        if standing == Standing::Open {
            return Ok(());
        }
        self.table.change_mark_and_tags(page, self.open.mark(), Tag::Dirty, Tag::Writeback)?;
        self.open_pages += 1;
        tally.dirtied += u64::from(standing == Standing::Clean);
        Ok(())
    }

    /// Drops pages, dirty or not; fills under way are outdated.
    pub(crate) fn drop_pages(
        &mut self,
        pages: Range<u64>,
        tally: &mut Tally,
    ) -> Result<(), TableError> {
        let Self { table, open, open_pages, in_flight, .. } = self;
        table.remove_range(pages, |pages, entry| {
            let count = pages.end - pages.start;
            match Standing::of(&entry, *open) {
                Standing::Clean => {}
                Standing::Open => {
                    *open_pages -= count;
                    tally.dropped_dirty += count;
                }
                Standing::InFlight => {
                    tally.dropped_dirty += count;
                    if let Some(version) = needing_version(in_flight, &entry) {
                        in_flight[version].sole_frames += 1;
                        tally.frozen += 1;
                    }
                }
            }
        })?;
        if !planted(Mistake::DropKeepsFills) {
            self.outdate_fills();
        }
        Ok(())
    }
}

/// Which of the versions in flight needs the frame of an entry: the one it was frozen with, unless
/// that has a copy of its own.
pub(super) fn needing_version(in_flight: &[InFlight], entry: &EntryRef<'_>) -> Option<usize> {
    let frame = entry.frame().filter(|_| !entry.tags.is_empty())?;
    let at = in_flight.iter().position(|one| one.version.stamped(entry.mark))?;
    let shares_nodes = !in_flight[at].gathered;
    (shares_nodes || frame.metadata().references() > 1).then_some(at)
}
