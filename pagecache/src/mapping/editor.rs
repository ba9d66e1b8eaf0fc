//! Changing pages under the lock: the fork rule.
//!
//! | page | whole page written | part of it written |
//! |---|---|---|
//! | in a frame that nobody else sees | in place | in place |
//! | in a frame that a frozen version needs | new frame | new frame, copied |
//! | hole or zeros | new frame | new frame, zeroed |
//! | not cached | new frame | to be filled first |
//! | full of zeros, with dedup | no frame | |
//!
//! Whether somebody else sees a frame is not looked up in any bookkeeping of ours: the page table
//! gives out the bytes only if nobody does, so a frozen page cannot be changed by mistake. The
//! policy comes in where a new frame would be taken for a page in flight: to fork, or to wait.
//!
//! A page whose frame keeps its place is written in place, and the frozen version gets the copy: see
//! [`placed`](super::placed).

use std::ops::Range;

use braidfs_mm::{Content, ContentRef, Entry, FrameMut, FrameRun, Page, TableError, is_zero_page};

use super::Mapping;
use super::placed::is_zero_within;
use super::state::{Epoch, State};
use super::tally::Tally;
use super::version::Standing;
use crate::config::WritebackPolicy;
use crate::error::CacheError;
use crate::heat;
use crate::page::Segment;

/// What is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    /// These bytes, as many as the segment has.
    Bytes(&'a [u8]),
    /// Zeros; a page that reads as zeros already is left alone.
    Zeros,
}

impl Source<'_> {
    fn copy_to(self, target: &mut [u8]) {
        match self {
            Self::Bytes(bytes) => target.copy_from_slice(bytes),
            Self::Zeros => target.fill(0),
        }
    }

    /// Whether this is a whole page of zeros.
    fn is_zero_page(self) -> bool {
        match self {
            Self::Bytes(bytes) => <&Page>::try_from(bytes).is_ok_and(is_zero_page),
            Self::Zeros => false,
        }
    }
}

/// Why an edit stopped. Nothing of the page it stopped at was changed.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// The page must be filled first.
    NotCached { page: u64, epoch: Epoch },
    /// The page must not be changed until writeback made progress.
    Writeback,
    /// There is no free frame.
    NoFrame,
    /// The edit cannot succeed.
    Failed(CacheError),
}

impl From<TableError> for Obstacle {
    fn from(error: TableError) -> Self {
        Self::Failed(error.into())
    }
}

/// One hold of the lock by somebody who changes pages.
#[derive(Debug)]
pub(crate) struct Editor<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) state: &'a mut State,
    pub(super) policy: WritebackPolicy,
    /// Whether this edit waits where it may not fork; if it was admitted, it does not.
    pub(super) waits: bool,
    dedup_zero: bool,
    pub(super) tally: Tally,
    spare_frames: Option<FrameRun>,
}

impl<'a> Editor<'a> {
    pub(crate) fn new(mapping: &'a Mapping, state: &'a mut State, waits: bool) -> Self {
        let cache = mapping.cache();
        Self {
            mapping,
            state,
            policy: cache.policy(),
            waits,
            dedup_zero: cache.dedups_zero(),
            tally: Tally::default(),
            spare_frames: None,
        }
    }

    /// Accounts what was changed. To be called before the lock is let go.
    pub(crate) fn finish(self) {
        self.tally.apply(self.mapping.cache());
    }

    /// Writes part of a page, or all of it. `pages_left` says how many more frames the caller may
    /// need, itself included.
    pub(crate) fn write(
        &mut self,
        segment: Segment,
        source: Source<'_>,
        pages_left: usize,
    ) -> Result<(), Obstacle> {
        let page = segment.page;
        let Some(entry) = self.state.table.get(page) else {
            return self.write_missing(segment, source, pages_left);
        };
        let standing = self.state.standing(&entry);
        if matches!(source, Source::Zeros) && reads_as_zeros(entry.content, segment) {
            return Ok(());
        }
        let frame = match entry.content {
            ContentRef::Frame(frame) => frame,
            ContentRef::Placed(_) => return self.write_placed(segment, source, standing),
            ContentRef::HoleZero => return self.write_new(segment, source, pages_left),
            ContentRef::DedupZero => return self.unshare_zeros(segment, source, pages_left),
        };
        heat::note_use(frame.metadata());
        if standing == Standing::InFlight && self.must_wait_for(page) {
            return Err(Obstacle::Writeback);
        }
        if self.dedup_zero && source.is_zero_page() {
            return self.write_zeros(page);
        }
        if self.write_in_place(segment, source) {
            return Ok(self.state.redirty(page, standing, &mut self.tally)?);
        }
        self.write_copy(segment, source, pages_left)
    }

    /// Writes to a page in its frame; says whether it could, since nobody else sees the frame.
    fn write_in_place(&mut self, segment: Segment, source: Source<'_>) -> bool {
        let Some(mut bytes) = self.state.table.page_mut(segment.page) else {
            return false;
        };
        source.copy_to(&mut bytes[segment.range()]);
        true
    }

    /// Drops whole pages.
    pub(crate) fn drop_pages(&mut self, pages: Range<u64>) -> Result<(), Obstacle> {
        self.state.keep_lent_range(pages.clone(), &mut self.tally)?;
        self.state.live.hide(&pages);
        Ok(self.state.drop_pages(pages, &mut self.tally)?)
    }

    /// What a page holds, if it is cached.
    pub(super) fn content(&self, page: u64) -> Option<ContentRef<'_>> {
        self.state.table.get(page).map(|entry| entry.content)
    }

    /// Whether a page in flight may not be forked now. One that was copied when it was frozen need
    /// not be.
    fn must_wait_for(&mut self, page: u64) -> bool {
        self.waits_for_writeback() && self.state.table.page_mut(page).is_none()
    }

    /// Writes to a page that is not cached.
    fn write_missing(
        &mut self,
        segment: Segment,
        source: Source<'_>,
        pages_left: usize,
    ) -> Result<(), Obstacle> {
        if !segment.is_whole_page() {
            return Err(Obstacle::NotCached { page: segment.page, epoch: self.state.epoch() });
        }
        self.write_new(segment, source, pages_left)
    }

    /// Writes a page of zeros that takes no frame.
    fn write_zeros(&mut self, page: u64) -> Result<(), Obstacle> {
        self.tally.zero_dedups += 1;
        self.put(page, Entry::new(Content::DedupZero))
    }

    /// Writes to a page of zeros, which gets a frame unless zeros are written.
    fn unshare_zeros(
        &mut self,
        segment: Segment,
        source: Source<'_>,
        pages_left: usize,
    ) -> Result<(), Obstacle> {
        self.write_new(segment, source, pages_left)?;
        let unshared = self.state.table.get(segment.page).is_some_and(|now| now.frame().is_some());
        self.tally.zero_unshares += u64::from(unshared);
        Ok(())
    }

    /// Writes to a page that has no frame yet and reads as zeros around the segment.
    fn write_new(
        &mut self,
        segment: Segment,
        source: Source<'_>,
        pages_left: usize,
    ) -> Result<(), Obstacle> {
        if self.dedup_zero && source.is_zero_page() {
            return self.write_zeros(segment.page);
        }
        let mut frame = self.take_frame(pages_left)?;
        let range = segment.range();
        frame[..range.start].fill(0);
        frame[range.end..].fill(0);
        source.copy_to(&mut frame[range]);
        self.put_frame(segment.page, frame)
    }

    /// Writes to a page whose frame somebody else sees, into a frame of its own.
    fn write_copy(
        &mut self,
        segment: Segment,
        source: Source<'_>,
        pages_left: usize,
    ) -> Result<(), Obstacle> {
        let mut frame = self.take_frame(pages_left)?;
        let original = self.state.table.get(segment.page).and_then(|entry| entry.frame());
        if let Some(original) = original {
            heat::inherit(frame.metadata(), original.metadata());
            if !segment.is_whole_page() {
                frame.copy_from_slice(original.page());
                self.tally.copies += 1;
            }
        }
        source.copy_to(&mut frame[segment.range()]);
        self.put_frame(segment.page, frame)
    }

    fn put_frame(&mut self, page: u64, frame: FrameMut) -> Result<(), Obstacle> {
        self.mapping.claim(self.state, frame.metadata(), page);
        self.put(page, Entry::from(frame))
    }

    fn put(&mut self, page: u64, entry: Entry) -> Result<(), Obstacle> {
        Ok(self.state.put_dirty(page, entry, &mut self.tally)?)
    }

    /// A frame; several are taken at once, side by side, if more will be needed.
    fn take_frame(&mut self, wanted: usize) -> Result<FrameMut, Obstacle> {
        if let Some(frame) = self.spare_frames.as_mut().and_then(Iterator::next) {
            return Ok(frame);
        }
        let pool = self.state.table.pool();
        if wanted < 2 {
            return pool.allocate().map_err(|_| Obstacle::NoFrame);
        }
        let mut run = pool.allocate_run(wanted).map_err(|_| Obstacle::NoFrame)?;
        let frame = run.next().ok_or(Obstacle::NoFrame);
        self.spare_frames = Some(run);
        frame
    }
}

/// Whether a page of that content reads as zeros within the segment.
fn reads_as_zeros(content: ContentRef<'_>, segment: Segment) -> bool {
    match content {
        ContentRef::Frame(frame) => frame.page()[segment.range()].iter().all(|byte| *byte == 0),
        ContentRef::Placed(frame) => is_zero_within(frame, segment),
        ContentRef::HoleZero | ContentRef::DedupZero => true,
    }
}
