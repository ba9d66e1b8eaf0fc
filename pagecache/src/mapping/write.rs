//! Writing, truncating, punching: edits that go on until they are through.
//!
//! An edit holds the lock for as many pages as it can change in one go. Where it meets an
//! [`Obstacle`] it lets the lock go, overcomes the obstacle, and goes on where it stopped.

use std::ops::Range;

use super::Mapping;
use super::admit::{Admission, Patience};
use super::editor::{Editor, Obstacle, Source};
use super::fill::{FillMemory, FillRequest, FilledPages};
use super::state::Epoch;
use crate::backing::Backing;
use crate::page::{
    PAGE_INDEX_END, PAGE_SIZE, Segment, check_range, offset_in_page, page_of, page_start,
    pages_spanned,
};
use crate::wait_queue::Ticket;

/// Pages changed under one hold of the lock, so that readers get their turn during a large write.
const PAGES_A_HOLD: usize = 512;
/// How often an error of a fill that was overtaken is forgiven.
const MAX_ATTEMPTS: u32 = 8;

/// What is left to be written.
#[derive(Debug, Clone, Copy)]
struct Remaining<'a> {
    offset: u64,
    data: &'a [u8],
}

impl Remaining<'_> {
    /// Writes until everything is written or an obstacle comes up. Says whether the lock should be
    /// let go in between.
    fn write(&mut self, editor: &mut Editor<'_>) -> Result<Hold, Obstacle> {
        for _ in 0..PAGES_A_HOLD {
            if self.data.is_empty() {
                return Ok(Hold::Done);
            }
            let segment = Segment::first(self.offset, self.data.len());
            let (bytes, rest) = self.data.split_at(segment.length);
            editor.write(segment, Source::Bytes(bytes), self.data.len().div_ceil(PAGE_SIZE))?;
            self.data = rest;
            self.offset += segment.length as u64;
        }
        Ok(Hold::More)
    }
}

/// Whether an edit is through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// It is.
    Done,
    /// It wants to go on after others had their turn.
    More,
}

impl Mapping {
    /// Writes the data at `offset`, which makes its pages dirty in the open version.
    ///
    /// Whole pages need no fill. A page that a frozen version needs is forked, or waited for, as
    /// the policy says; so under [`WritebackPolicy::Wait`](crate::WritebackPolicy::Wait), or with
    /// the limit of frozen copies reached, the caller must not hold a lock that writeback takes. One
    /// that does asks [`admit`](Self::admit) first. After an error the first part of the data may
    /// be written.
    pub fn write<B: Backing>(&self, offset: u64, data: &[u8], backing: &B) -> Result<(), B::Error> {
        Admission { mapping: self, waits: true }.write(offset, data, backing)
    }

    /// Cuts the file to `size` bytes: drops the pages beyond, dirty or not, and zeroes the rest of
    /// the last page (which becomes dirty, if there was anything but zeros).
    ///
    /// The backing must know before any other read or write of the file comes: what it fills from
    /// now on must lie below the new size. Nothing happens to pages below, so there is no need to
    /// call this when a file grows.
    pub fn truncate<B: Backing>(&self, size: u64, backing: &B) -> Result<(), B::Error> {
        Admission { mapping: self, waits: true }.truncate(size, backing)
    }

    /// Makes a range of bytes read as zeros: drops the pages that lie wholly in it, dirty or not,
    /// and zeroes the parts of those at its edges.
    ///
    /// The backing must know the dropped pages as holes before any other read or write of the file
    /// comes. They are those from the first page boundary in `range` to the last.
    pub fn punch<B: Backing>(&self, range: Range<u64>, backing: &B) -> Result<(), B::Error> {
        Admission { mapping: self, waits: true }.punch(range, backing)
    }
}

impl Admission<'_> {
    /// As [`Mapping::write`].
    pub fn write<B: Backing>(&self, offset: u64, data: &[u8], backing: &B) -> Result<(), B::Error> {
        check_range(offset, data.len() as u64)?;
        let mut remaining = Remaining { offset, data };
        self.edit(backing, |editor| remaining.write(editor))
    }

    /// As [`Mapping::truncate`].
    pub fn truncate<B: Backing>(&self, size: u64, backing: &B) -> Result<(), B::Error> {
        check_range(size, 0)?;
        self.drop_whole_pages(pages_spanned(size)..PAGE_INDEX_END, backing)?;
        match offset_in_page(size) {
            0 => Ok(()),
            start => self
                .zero(Segment { page: page_of(size), start, length: PAGE_SIZE - start }, backing),
        }
    }

    /// As [`Mapping::punch`].
    pub fn punch<B: Backing>(&self, range: Range<u64>, backing: &B) -> Result<(), B::Error> {
        check_range(range.start, range.end.saturating_sub(range.start))?;
        let whole = pages_spanned(range.start)..page_of(range.end);
        if whole.start > whole.end {
            return self.zero_within_page(range, backing);
        }
        self.drop_whole_pages(whole.clone(), backing)?;
        self.zero_within_page(range.start..page_start(whole.start), backing)?;
        self.zero_within_page(page_start(whole.end)..range.end, backing)
    }

    /// Zeroes a range that lies in one page, or is empty.
    fn zero_within_page<B: Backing>(&self, bytes: Range<u64>, backing: &B) -> Result<(), B::Error> {
        match bytes.end.saturating_sub(bytes.start) {
            0 => Ok(()),
            // Within a page, so it fits.
            length => self.zero(Segment::first(bytes.start, length as usize), backing),
        }
    }

    fn zero<B: Backing>(&self, segment: Segment, backing: &B) -> Result<(), B::Error> {
        self.edit(backing, |editor| editor.write(segment, Source::Zeros, 1).map(|()| Hold::Done))
    }

    fn drop_whole_pages<B: Backing>(&self, pages: Range<u64>, backing: &B) -> Result<(), B::Error> {
        if pages.is_empty() {
            return Ok(());
        }
        self.edit(backing, |editor| editor.drop_pages(pages.clone()).map(|()| Hold::Done))
    }

    /// Runs an edit under the lock, again and again until it is through.
    pub(super) fn edit<B: Backing>(
        &self,
        backing: &B,
        mut step: impl FnMut(&mut Editor<'_>) -> Result<Hold, Obstacle>,
    ) -> Result<(), B::Error> {
        let mapping = self.mapping;
        let cache = mapping.cache();
        let mut patience = Patience::default();
        loop {
            cache.make_room();
            let ticket = cache.pressure().progress().ticket();
            let outcome = {
                let mut state = mapping.state().write();
                let mut editor = Editor::new(mapping, &mut state, self.waits);
                let outcome = step(&mut editor);
                editor.finish();
                outcome
            };
            match outcome {
                Ok(Hold::Done) => return Ok(()),
                Ok(Hold::More) => {}
                Err(obstacle) => self.overcome(obstacle, ticket, &mut patience, backing)?,
            }
        }
    }

    /// Does or awaits what an edit needs to go on. The ticket was taken before the edit met the
    /// obstacle.
    fn overcome<B: Backing>(
        &self,
        obstacle: Obstacle,
        ticket: Ticket,
        patience: &mut Patience,
        backing: &B,
    ) -> Result<(), B::Error> {
        match obstacle {
            Obstacle::NotCached { page, epoch } => {
                self.fill_for_write(page, epoch, ticket, patience, backing)
            }
            Obstacle::Writeback => Ok(self.mapping.cache().wait_for_writeback(ticket)?),
            Obstacle::NoFrame => {
                Ok(self.mapping.cache().wait_for_frame(ticket, &mut patience.frames_until)?)
            }
            Obstacle::Failed(error) => Err(error.into()),
        }
    }

    /// Fills a page that is to be written in part.
    fn fill_for_write<B: Backing>(
        &self,
        page: u64,
        epoch: Epoch,
        ticket: Ticket,
        patience: &mut Patience,
        backing: &B,
    ) -> Result<(), B::Error> {
        let Some(memory) = FillMemory::frames(self.mapping.cache().pool(), 1) else {
            return Ok(self.mapping.cache().wait_for_frame(ticket, &mut patience.frames_until)?);
        };
        let request = FillRequest { first: page, asked: 1, ahead: 0, epoch };
        match FilledPages::ask(request, memory, backing) {
            Ok(filled) => {
                let mut state = self.mapping.state().write();
                if filled.is_current(&state) {
                    filled.install(self.mapping, &mut state);
                }
                Ok(())
            }
            Err(error) => {
                patience.failed_fills += 1;
                let overtaken =
                    self.mapping.state().read().overtook_fill(epoch, request.asked_pages());
                if overtaken && patience.failed_fills < MAX_ATTEMPTS { Ok(()) } else { Err(error) }
            }
        }
    }
}
