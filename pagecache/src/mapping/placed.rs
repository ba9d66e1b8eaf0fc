//! Pages whose frame keeps its place: a program maps it, or holds it, and may write it at any time.
//!
//! Such a page cannot be forked by giving the live table another frame. So its frame stays, and
//! *the frozen side gets the copy*, as late as can be:
//!
//! * When a version is gathered, a placed page is *lent* to it: the version has no frame of it, and
//!   the live entry is marked ([`is_lent`]).
//! * Writeback copies it when it is about to write it, never before. What is summed and written is
//!   the copy.
//! * Whoever is about to change a lent page (a store of the program, a write, a truncation) first
//!   has a copy [kept](State::keep_lent) for the version that it is lent to.
//!
//! So a page costs a frame only if it is written again before the version is durable, as with
//! forks; and the copy for writing it lasts as long as that write.

use std::ops::Range;

use braidfs_mm::{ContentRef, PlacedRef, TableError, Tag};

use super::editor::{Editor, Obstacle, Source};
use super::state::State;
use super::tally::Tally;
use super::version::{Standing, Version, is_lent};
use super::writeback::copy_of;
use crate::config::WritebackPolicy;
use crate::heat;
use crate::page::{PAGE_SIZE, PageBytes, Segment};

impl State {
    /// Has a copy of a page kept for the version that it is lent to, if it is: the page is about to
    /// change.
    pub(super) fn keep_lent(&mut self, page: u64, tally: &mut Tally) -> Result<(), Obstacle> {
        let Some(entry) = self.table.get(page).filter(|entry| is_lent(entry.mark)) else {
            return Ok(());
        };
        let mark = entry.mark;
        let borrower = self.in_flight.iter_mut().find(|one| one.version.stamped(mark));
        if let Some(borrower) = borrower {
            let copy = copy_of(entry.content, self.table.pool()).map_err(|_| Obstacle::NoFrame)?;
            borrower.kept.insert(page, copy);
            borrower.sole_frames += 1;
            tally.frozen += 1;
            tally.forks += 1;
            tally.copies += 1;
        }
        Ok(())
    }

    /// Keeps copies of all lent pages of a range that is about to be dropped.
    pub(super) fn keep_lent_range(
        &mut self,
        pages: Range<u64>,
        tally: &mut Tally,
    ) -> Result<(), Obstacle> {
        if !self.in_flight.iter().any(|one| one.borrows) {
            return Ok(());
        }
        let mut next = pages.start;
        while let Some(page) = self.table.next_tagged(next, Tag::Writeback) {
            if page >= pages.end {
                break;
            }
            self.keep_lent(page, tally)?;
            self.take_back(page)?;
            next = page + 1;
        }
        Ok(())
    }

    /// Notes that a version no longer reads the page here.
    fn take_back(&mut self, page: u64) -> Result<(), TableError> {
        let Some(mark) = self.table.get(page).map(|entry| entry.mark).filter(|mark| is_lent(*mark))
        else {
            return Ok(());
        };
        let version = self.in_flight.iter().map(|one| one.version).find(|one| one.stamped(mark));
        version.map_or(Ok(()), |version| self.table.set_mark(page, version.mark()))
    }

    /// A copy of a page that was lent to a version: of what was kept for it, or of the live page,
    /// which did not change since.
    pub(super) fn copy_lent(&self, page: u64, version: Version) -> Box<PageBytes> {
        let mut copy = Box::new([0; PAGE_SIZE]);
        let borrower = self.in_flight.iter().find(|one| one.version == version);
        let kept = borrower.and_then(|borrower| borrower.kept.get(&page));
        match (kept, self.table.get(page).map(|entry| entry.content)) {
            (Some(frame), _) => copy.copy_from_slice(&frame[..]),
            (None, Some(ContentRef::Placed(frame))) => frame.load(0, &mut copy[..]),
            (None, Some(ContentRef::Frame(frame))) => copy.copy_from_slice(&frame[..]),
            (None, content) => debug_assert!(content.is_some(), "page {page} was lent and is gone"),
        }
        copy
    }
}

impl Editor<'_> {
    /// Writes to a placed page: in place, after the frozen side has its copy.
    pub(super) fn write_placed(
        &mut self,
        segment: Segment,
        source: Source<'_>,
        standing: Standing,
    ) -> Result<(), Obstacle> {
        self.ready_placed(segment.page, standing)?;
        let Some(ContentRef::Placed(frame)) = self.content(segment.page) else {
            return Ok(());
        };
        match source {
            Source::Bytes(bytes) => frame.store(segment.start, bytes),
            Source::Zeros => frame.store(segment.start, &vec![0; segment.length]),
        }
        Ok(())
    }

    /// Makes a placed page dirty in the open version, so that it may be changed in place.
    pub(super) fn ready_placed(&mut self, page: u64, standing: Standing) -> Result<(), Obstacle> {
        let Some(entry) = self.state.table.get(page) else { return Ok(()) };
        if let ContentRef::Placed(frame) = entry.content {
            heat::note_use(frame.metadata());
        }
        if is_lent(entry.mark) && self.waits_for_writeback() {
            return Err(Obstacle::Writeback);
        }
        self.state.keep_lent(page, &mut self.tally)?;
        Ok(self.state.redirty(page, standing, &mut self.tally)?)
    }

    /// Whether a page that a frozen version needs must be left alone until it is written.
    pub(super) fn waits_for_writeback(&self) -> bool {
        let full = || self.mapping.cache().pressure().frozen_is_full();
        self.waits && (self.policy == WritebackPolicy::Wait || full())
    }
}

/// Whether a placed page reads as zeros within the segment.
pub(super) fn is_zero_within(frame: PlacedRef<'_>, segment: Segment) -> bool {
    let mut bytes = [0; PAGE_SIZE];
    let bytes = &mut bytes[..segment.length];
    frame.load(segment.start, bytes);
    bytes.iter().all(|byte| *byte == 0)
}
