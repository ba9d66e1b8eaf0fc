//! Ranges of files: preallocating, punching, zeroing, seeking data and holes.

use std::ops::Range;

use braidfs_format::{BLOCK_SIZE, ExtentContent, InodeNumber, MapChange};
use braidfs_pagecache::Admission;
use braidfs_store::{Reservation, UNBORN};

use super::Volume;
use super::admission::DataChange;
use super::file::checked_end;
use super::map::{blocks_of_tail, mapped_tail};
use crate::delta::ChangeGuard;
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::inode::{Backed, Inode, InodeState, PinnedInode, now};
use crate::types::{FallocateMode, SeekTarget};

const BLOCK_BYTES: u64 = BLOCK_SIZE as u64;
/// Blocks whose map `seek` looks at in one go, at first.
const SEEK_BLOCKS: u64 = 1 << 16;

impl Volume {
    /// Preallocates, punches a hole or makes zeros, as fallocate(2).
    ///
    /// # Errors
    /// `Invalid` (empty range), `FileTooLarge`, `NoSpace`, `ReadOnly`.
    pub fn fallocate(
        &self,
        inode: InodeNumber,
        mode: FallocateMode,
        offset: u64,
        length: u64,
    ) -> FsResult<()> {
        let done = || {
            if length == 0 {
                return Err(FsError::new(FsErrorKind::Invalid, "the range is empty"));
            }
            let range = offset..checked_end(offset, length)?;
            let pinned = self.pin_regular(inode)?;
            self.check_writable()?;
            self.drop_capabilities(&pinned)?;
            match mode {
                FallocateMode::PunchHole => self.with_memory(|| self.punch(&pinned, range.clone())),
                FallocateMode::Allocate { keep_size } => self.allocate(&pinned, range, keep_size),
                FallocateMode::ZeroRange { keep_size } => {
                    let end = range.end;
                    let inside = range.start..end.min(pinned.state().record.size.max(range.start));
                    if !inside.is_empty() {
                        self.with_memory(|| self.punch(&pinned, inside.clone()))?;
                    }
                    self.allocate(&pinned, range, keep_size)
                }
            }
        };
        done().map_err(|error: FsError| error.during("fallocate").on(inode).at(offset))
    }

    fn punch(&self, inode: &PinnedInode<'_>, range: Range<u64>) -> FsResult<()> {
        self.make_room();
        let (start, end) = (range.start.div_ceil(BLOCK_BYTES), range.end / BLOCK_BYTES);
        let reservation = self.reserve(edges(&range).count() as u64)?;
        let DataChange { guard, _io, admission } =
            self.enter_data_change(inode, |_| edges(&range).collect())?;
        let mapping = inode.mapping(&self.cache);
        let punched = self.punch_pages(inode, admission, &range);
        self.change_data(&guard, inode, |state| {
            state.reservation.join(reservation);
            state.reservation.trim_to(mapping.dirty_pages());
            if punched.is_ok() && start < end {
                let hole = MapChange { start, length: end - start, extent: None };
                state.change_map(hole, &self.store);
            }
            state.record.modified = now();
            state.record.changed = state.record.modified;
        });
        punched
    }

    /// Zeroes the edges first: that may fail, dropping what is between them may not.
    fn punch_pages(
        &self,
        inode: &PinnedInode<'_>,
        admission: Admission<'_>,
        range: &Range<u64>,
    ) -> FsResult<()> {
        let filler = self.filler(inode);
        let start = range.start.next_multiple_of(BLOCK_BYTES);
        let end = range.end - range.end % BLOCK_BYTES;
        if start > end {
            return admission.punch(range.clone(), &filler);
        }
        admission.punch(range.start..start, &filler)?;
        admission.punch(end..range.end, &filler)?;
        admission.punch(start..end, &filler)
    }

    fn allocate(
        &self,
        inode: &PinnedInode<'_>,
        range: Range<u64>,
        keep_size: bool,
    ) -> FsResult<()> {
        let blocks = range.start / BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES);
        let mut space = Reservation::default();
        let mut for_tail = self.reserve(blocks_of_tail(inode))?;
        loop {
            let touched = |state: &InodeState| Vec::from([mapped_tail(inode, state)]);
            let DataChange { guard, _io, admission } = self.enter_data_change(inode, touched)?;
            let backed = self.filler(inode).backed(blocks.clone())?;
            let backed_blocks: u64 = backed.iter().map(|part| u64::from(part.extent.length)).sum();
            let needed = (blocks.end - blocks.start).saturating_sub(backed_blocks);
            if space.blocks() < needed {
                drop((_io, guard));
                space = self.reserve(needed)?;
                continue;
            }
            self.fill_holes(&guard, inode, blocks, &backed, space)?;
            if !keep_size && range.end > inode.state().record.size {
                self.clear_tail(inode, admission)?;
                self.keep_reservation(&guard, inode, std::mem::take(&mut for_tail));
            }
            self.change_data(&guard, inode, |state| {
                if !keep_size && range.end > state.record.size {
                    state.record.size = range.end;
                    state.record.modified = now();
                }
                state.record.changed = now();
            });
            return self.note_size(inode);
        }
    }

    /// Puts unwritten blocks where the map has holes.
    fn fill_holes(
        &self,
        guard: &ChangeGuard<'_>,
        inode: &PinnedInode<'_>,
        blocks: Range<u64>,
        backed: &[Backed],
        mut reservation: Reservation,
    ) -> FsResult<()> {
        let mut start = blocks.start;
        let ends = backed
            .iter()
            .map(|backed| (backed.start, backed.start + u64::from(backed.extent.length)));
        for (hole_end, next_start) in ends.chain([(blocks.end, blocks.end)]) {
            if hole_end > start {
                let count = hole_end - start;
                let extents = self.store.allocate_unwritten(&mut reservation, UNBORN, count)?;
                self.change_data(guard, inode, |state| {
                    for extent in extents {
                        let length = u64::from(extent.length);
                        let change = MapChange { start, length, extent: Some(extent) };
                        state.change_map(change, &self.store);
                        start += length;
                    }
                });
            }
            start = next_start;
        }
        Ok(())
    }

    /// Promises space for a write. Where the volume is full but the range is preallocated, the
    /// preallocated blocks are given up for it.
    pub(super) fn reserve_for_write(
        &self,
        inode: &PinnedInode<'_>,
        range: Range<u64>,
        pages: u64,
    ) -> FsResult<Reservation> {
        match self.reserve(pages) {
            Err(error) if error.kind() == FsErrorKind::NoSpace => {
                let blocks = range.start / BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES);
                if self.give_up_unwritten(inode, blocks)? {
                    self.reclaim_space()?;
                    return Ok(self.store.reserve_prepaid(pages)?);
                }
                Err(error)
            }
            reserved => reserved,
        }
    }

    /// Turns the unwritten blocks of a range into holes; false if there were none.
    fn give_up_unwritten(&self, inode: &PinnedInode<'_>, blocks: Range<u64>) -> FsResult<bool> {
        let guard = self.enter_change()?;
        let _io = inode.io.write();
        self.prepare_data(&guard, inode);
        let mut backed = self.filler(inode).backed(blocks)?;
        backed.retain(|part| matches!(part.extent.content, ExtentContent::Unwritten { .. }));
        if backed.is_empty() {
            return Ok(false);
        }
        self.change_data(&guard, inode, |state| {
            for part in &backed {
                let length = u64::from(part.extent.length);
                let hole = MapChange { start: part.start, length, extent: None };
                state.change_map(hole, &self.store);
            }
        });
        Ok(true)
    }

    /// The next data, or the next hole, at or behind `offset`. Cached dirty pages count as data; the end
    /// of the file is a hole.
    ///
    /// # Errors
    /// `NoSuchOffset` (ENXIO) at or past the end of the file, or when no data follows.
    pub fn seek(&self, inode: InodeNumber, offset: u64, target: SeekTarget) -> FsResult<u64> {
        let found = || {
            let pinned = self.pin_regular(inode)?;
            let _io = pinned.io.read();
            let size = pinned.state().record.size;
            let past_end = || FsError::new(FsErrorKind::NoSuchOffset, "nothing follows there");
            if offset >= size {
                return Err(past_end());
            }
            let end_block = size.div_ceil(BLOCK_BYTES);
            let block = match target {
                SeekTarget::Data => self.next_data(&pinned, offset / BLOCK_BYTES..end_block)?,
                SeekTarget::Hole => Some(self.next_hole(&pinned, offset / BLOCK_BYTES..end_block)?),
            };
            let at = block.ok_or_else(past_end)?.saturating_mul(BLOCK_BYTES);
            Ok(at.clamp(offset, size))
        };
        found().map_err(|error: FsError| error.during("seek").on(inode).at(offset))
    }

    fn next_data(&self, inode: &Inode, blocks: Range<u64>) -> FsResult<Option<u64>> {
        let mapping = inode.existing_mapping();
        let dirty = mapping.and_then(|mapping| mapping.next_dirty(blocks.start));
        let limit = dirty.unwrap_or(blocks.end).min(blocks.end);
        let (mut at, mut window) = (blocks.start, SEEK_BLOCKS);
        while at < limit {
            let until = limit.min(at.saturating_add(window));
            let backed = self.filler(inode).backed(at..until)?;
            let written = backed.iter().find(|backed| is_data(&backed.extent.content));
            if let Some(written) = written {
                return Ok(Some(written.start));
            }
            at = until;
            // A hole may be as large as a file can be.
            window = window.saturating_mul(2);
        }
        Ok(dirty.filter(|dirty| *dirty < blocks.end))
    }

    fn next_hole(&self, inode: &Inode, blocks: Range<u64>) -> FsResult<u64> {
        let mut at = blocks.start;
        while at < blocks.end {
            let until = blocks.end.min(at + SEEK_BLOCKS);
            for backed in self.filler(inode).backed(at..until)? {
                if !is_data(&backed.extent.content) {
                    continue;
                }
                at = skip_dirty(inode, at, backed.start);
                if at < backed.start {
                    return Ok(at);
                }
                at = at.max(backed.start + u64::from(backed.extent.length));
            }
            at = skip_dirty(inode, at, until);
            if at < until {
                return Ok(at);
            }
        }
        Ok(blocks.end)
    }
}

/// The pages that change where a range to be punched does not end at a page's edge: from which byte, and to
/// which.
fn edges(range: &Range<u64>) -> impl Iterator<Item = (u64, u64)> + use<> {
    let cut = |at: &u64| !at.is_multiple_of(BLOCK_BYTES);
    let page = |at: u64| (at - at % BLOCK_BYTES, at.next_multiple_of(BLOCK_BYTES));
    [range.start, range.end].into_iter().filter(cut).map(page)
}

fn is_data(content: &ExtentContent) -> bool {
    !matches!(content, ExtentContent::Unwritten { .. })
}

/// The first block from `at` on, below `end`, that is not dirty in the cache.
fn skip_dirty(inode: &Inode, mut at: u64, end: u64) -> u64 {
    if let Some(mapping) = inode.existing_mapping() {
        while at < end && mapping.is_dirty(at) {
            at += 1;
        }
    }
    at
}
