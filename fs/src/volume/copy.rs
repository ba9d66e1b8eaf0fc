//! Copying ranges of files: blocks that are published are shared, the rest is copied.
//!
//! Where both offsets lie alike within a block, whole blocks of the target get the extents of the
//! source (a *reflink*): no data is read or written. What the open delta has changed of the source is
//! published first, without waiting for it to be durable. Edges within a block, content that lies in
//! the log itself, and what is changed again meanwhile, are copied through the page cache.
//!
//! Lock order: the gate, then the `io` locks of both files by number.

use std::ops::Range;

use braidfs_format::item::MAX_TREE_INLINE_BYTES;
use braidfs_format::{BLOCK_SIZE, Extent, ExtentContent, InodeNumber, MapChange};
use braidfs_pagecache::{Admission, Patience};
use braidfs_store::{Mapped, Reservation};
use parking_lot::{RwLockReadGuard, RwLockWriteGuard};

use super::Volume;
use super::file::checked_end;
use crate::delta::{ChangeGuard, Scope};
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::inode::{PinnedInode, now};

const BLOCK_BYTES: u64 = BLOCK_SIZE as u64;
/// Bytes that are copied at a time.
const COPY_BYTES: u64 = 1 << 20;
/// Blocks that are shared at a time: their checksums must fit the memory and the log.
const SHARE_BLOCKS: u64 = 1 << 16;
/// A source whose changes are not published yet is published for so many blocks, not for fewer.
const PUBLISH_BLOCKS: u64 = 16;
/// Unstaged runs of a file above which it is staged before it gets more.
const MANY_RUNS: usize = 8192;
/// How often is tried again what a unify, or a writer, came in between of.
const ATTEMPTS: u32 = 4;

/// A range that is to be copied; both ends move alike.
#[derive(Debug, Clone, Copy)]
struct Copy {
    from: u64,
    to: u64,
    length: u64,
}

/// What can be done with the next bytes of a copy.
enum Step {
    /// So many are done.
    Done(u64),
    /// So many have to be copied.
    CopyBytes(u64),
}

/// A copy that has begun. Its locks are let go in this order.
struct CopyChange<'a> {
    /// Edits of the edges of the target.
    admission: Admission<'a>,
    /// The blocks of the source that can be shared.
    whole: Range<u64>,
    _locks: Locks<'a>,
    guard: ChangeGuard<'a>,
}

/// The locks of both files; of one file once.
struct Locks<'a> {
    _target: RwLockWriteGuard<'a, ()>,
    _source: Option<RwLockReadGuard<'a, ()>>,
}

impl Copy {
    /// Without the first `done` bytes.
    fn advanced(self, done: u64) -> Self {
        Self { from: self.from + done, to: self.to + done, length: self.length - done }
    }

    /// The blocks of the source that can be shared whole; `to_size` is the target's size. The last
    /// block of the source counts as whole where nothing follows it in the target either.
    fn whole_blocks(&self, from_size: u64, to_size: u64) -> Range<u64> {
        if self.from % BLOCK_BYTES != self.to % BLOCK_BYTES {
            return 0..0;
        }
        let end = self.from + self.length;
        let last = if end == from_size && self.to + self.length >= to_size {
            end.div_ceil(BLOCK_BYTES)
        } else {
            end / BLOCK_BYTES
        };
        self.from.div_ceil(BLOCK_BYTES)..last
    }

    /// The parts of the source's range before and behind these blocks.
    fn edges(&self, blocks: &Range<u64>) -> [Range<u64>; 2] {
        let end = self.from + self.length;
        [self.from..blocks.start * BLOCK_BYTES, (blocks.end * BLOCK_BYTES).min(end)..end]
    }
}

impl Volume {
    /// Copies `length` bytes from one file to another, or within one; returns how many there were to
    /// copy: the source's end, as it is at first, ends the range. Whole blocks are shared, not
    /// copied, where both offsets lie alike within a block. The ranges must not overlap within one
    /// file.
    ///
    /// # Errors
    /// `Invalid` for overlapping ranges; those of reading and writing.
    pub fn copy_file_range(
        &self,
        from: InodeNumber,
        from_offset: u64,
        to: InodeNumber,
        to_offset: u64,
        length: u64,
    ) -> FsResult<u64> {
        let copied = || {
            let source = self.pin_regular(from)?;
            let size = source.state().record.size;
            let length = length.min(size.saturating_sub(from_offset));
            if from == to && from_offset.abs_diff(to_offset) < length {
                return Err(FsError::new(FsErrorKind::Invalid, "the ranges overlap"));
            }
            if length == 0 {
                return Ok(0);
            }
            checked_end(to_offset, length)?;
            let target = self.pin_regular(to)?;
            self.check_writable()?;
            self.drop_capabilities(&target)?;
            self.copy(&source, &target, Copy { from: from_offset, to: to_offset, length })
        };
        copied().map_err(|error: FsError| error.during("copy").on(to).at(to_offset))
    }

    fn copy(
        &self,
        source: &PinnedInode<'_>,
        target: &PinnedInode<'_>,
        copy: Copy,
    ) -> FsResult<u64> {
        let mut shares = self.prepare_sharing(source, target, &copy)?;
        let mut done = 0;
        while done < copy.length {
            let rest = copy.advanced(done);
            let step = match shares {
                true => self.with_memory(|| self.share_next(source, target, rest)),
                false => Ok(Step::CopyBytes(rest.length)),
            };
            let moved = step.and_then(|step| match step {
                Step::Done(bytes) => Ok(bytes),
                Step::CopyBytes(bytes) => {
                    shares &= bytes < rest.length;
                    self.copy_bytes(source, target, Copy { length: bytes, ..rest })
                }
            });
            match moved {
                Ok(0) => break,
                Ok(moved) => done += moved,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Publishes what is to be shared. Returns whether there is anything.
    fn prepare_sharing(
        &self,
        source: &PinnedInode<'_>,
        target: &PinnedInode<'_>,
        copy: &Copy,
    ) -> FsResult<bool> {
        let from_size = source.state().record.size;
        let whole = copy.whole_blocks(from_size, target.state().record.size);
        if whole.is_empty() {
            return Ok(false);
        }
        for _ in 0..ATTEMPTS {
            if source.state().is_published() {
                break;
            }
            if whole.end - whole.start < PUBLISH_BLOCKS {
                return Ok(false);
            }
            self.committer.publish_only(Scope::File(source.share()))?;
        }
        match self.store.enable_sharing() {
            Err(error) if error.errno() == libc::ENOSPC => Ok(false),
            enabled => Ok(enabled.map(|()| true)?),
        }
    }

    /// Shares as much as can be shared at once of what is at the front of `copy`.
    fn share_next(
        &self,
        source: &PinnedInode<'_>,
        target: &PinnedInode<'_>,
        copy: Copy,
    ) -> FsResult<Step> {
        if target.state().unstaged_runs() > MANY_RUNS {
            self.committer.publish_only(Scope::File(target.share()))?;
        }
        self.make_room();
        // Both edges may lie within a page.
        let reservation = self.reserve(2)?;
        let Some(change) = self.enter_copy(source, target, &copy)? else {
            return Ok(Step::CopyBytes(copy.length));
        };
        let whole = change.whole.clone();
        let blocks = whole.start..whole.end.min(whole.start + SHARE_BLOCKS);
        let Some((blocks, extents)) = self.take_shares(source.number(), blocks)? else {
            return Ok(Step::CopyBytes(copy.length));
        };
        if blocks.is_empty() {
            let inline = (whole.start + 1) * BLOCK_BYTES - copy.from;
            return Ok(Step::CopyBytes(inline.min(copy.length)));
        }
        let shares = Shares { whole: blocks.end == whole.end, blocks, extents };
        self.put_shares(&change, (source, target), copy, shares, reservation).map(Step::Done)
    }

    /// Enters the open delta and takes both files, as [`Volume::enter_data_change`] does one. `None` if
    /// nothing can be shared.
    fn enter_copy<'a>(
        &'a self,
        source: &'a PinnedInode<'_>,
        target: &'a PinnedInode<'_>,
        copy: &Copy,
    ) -> FsResult<Option<CopyChange<'a>>> {
        let mut patience = Patience::default();
        let mapping = target.mapping(&self.cache);
        loop {
            let guard = self.enter_change()?;
            let locks = lock_both(source, target);
            let (from_size, is_published) = {
                let state = source.state();
                (state.record.size, state.is_published())
            };
            let to_size = target.state().record.size;
            let whole = copy.whole_blocks(from_size, to_size);
            // Mapped memory is to be told when its file grows: writing does that.
            let grows_mapped = mapping.is_mapped() && copy.to + copy.length > to_size;
            let differs = from_size < copy.from + copy.length || !is_published;
            if differs || grows_mapped || whole.is_empty() {
                return Ok(None);
            }
            self.prepare_data(&guard, target);
            // There is always a first: nothing at all is admitted at once.
            let mut admitted = mapping.admit(0..0);
            for edge in copy.edges(&whole) {
                let (start, end) = (edge.start - copy.from, edge.end - copy.from);
                admitted = admitted.and_then(|_| mapping.admit(copy.to + start..copy.to + end));
            }
            match admitted {
                Ok(admission) => {
                    return Ok(Some(CopyChange { admission, whole, _locks: locks, guard }));
                }
                Err(stall) => {
                    drop((locks, guard));
                    self.cache.wait_out(stall, &mut patience)?;
                }
            }
        }
    }

    /// Looks up what backs `blocks` of a file and takes a share of it, up to the first block whose
    /// content lies in the log. `None` if it changes all the time.
    fn take_shares(
        &self,
        source: InodeNumber,
        blocks: Range<u64>,
    ) -> FsResult<Option<(Range<u64>, Vec<Mapped>)>> {
        for _ in 0..ATTEMPTS {
            let mut mapped = self.store.map(source, blocks.clone())?;
            let logged = mapped.iter().position(|mapped| is_long_inline(&mapped.extent));
            let end = logged.and_then(|at| mapped.get(at)).map_or(blocks.end, |first| first.start);
            mapped.truncate(logged.unwrap_or(mapped.len()));
            mapped.retain(|mapped| !is_unwritten(&mapped.extent));
            if self.store.share(&mapped)? {
                return Ok(Some((blocks.start..end, mapped)));
            }
        }
        Ok(None)
    }

    /// Puts shared extents into the map of the target, and copies the edges of the range. Returns
    /// how many bytes that makes.
    fn put_shares(
        &self,
        change: &CopyChange<'_>,
        (source, target): (&PinnedInode<'_>, &PinnedInode<'_>),
        copy: Copy,
        shares: Shares,
        reservation: Reservation,
    ) -> FsResult<u64> {
        let Shares { blocks, extents, whole } = shares;
        let end = copy.from + copy.length;
        let middle = blocks.start * BLOCK_BYTES..(blocks.end * BLOCK_BYTES).min(end);
        // The edge behind the last block goes with it.
        let done_end = if whole { end } else { middle.end };
        let edges = [copy.from..middle.start, middle.end..done_end];
        let copied = edges
            .into_iter()
            .try_for_each(|edge| self.copy_edge(&change.admission, (source, target), edge, copy))
            .and_then(|()| {
                let start = blocks.start * BLOCK_BYTES - copy.from + copy.to;
                let length = (blocks.end - blocks.start) * BLOCK_BYTES;
                change.admission.punch(start..start + length, &self.filler(target))
            });
        let to_end = done_end - copy.from + copy.to;
        if copied.is_err() {
            self.drop_past_end(target, to_end);
        }
        let first = (blocks.start * BLOCK_BYTES - copy.from + copy.to) / BLOCK_BYTES;
        let changes = map_changes(&blocks, first, extents);
        let mapping = target.mapping(&self.cache);
        self.change_data(&change.guard, target, |state| {
            state.reservation.join(reservation);
            state.reservation.trim_to(mapping.dirty_pages());
            for change in changes {
                match (&copied, &change.extent) {
                    (Ok(()), _) => state.change_map(change, &self.store),
                    (Err(_), Some(extent)) => self.store.release_unpublished(extent),
                    (Err(_), None) => {}
                }
            }
            if copied.is_ok() {
                state.record.size = state.record.size.max(to_end);
            }
            state.record.modified = now();
            state.record.changed = state.record.modified;
        });
        copied.map(|()| done_end - copy.from)
    }

    /// Copies the part of a page; the caller holds the locks of both files.
    fn copy_edge(
        &self,
        admission: &Admission<'_>,
        (source, target): (&PinnedInode<'_>, &PinnedInode<'_>),
        edge: Range<u64>,
        copy: Copy,
    ) -> FsResult<()> {
        if edge.is_empty() {
            return Ok(());
        }
        let mut bytes = [0; BLOCK_SIZE];
        let bytes = &mut bytes[..((edge.end - edge.start) as usize).min(BLOCK_SIZE)];
        source.mapping(&self.cache).read(edge.start, bytes, &self.filler(source))?;
        let offset = edge.start - copy.from + copy.to;
        admission.write(offset, bytes, &self.filler(target))
    }

    fn copy_bytes(
        &self,
        source: &PinnedInode<'_>,
        target: &PinnedInode<'_>,
        copy: Copy,
    ) -> FsResult<u64> {
        let mut buffer = Vec::new();
        let mut copied = 0;
        while copied < copy.length {
            let rest = copy.advanced(copied);
            buffer.resize(rest.length.min(COPY_BYTES) as usize, 0);
            let count = self.read(source.number(), rest.from, &mut buffer)?;
            if count == 0 {
                break;
            }
            match self.write(target.number(), rest.to, &buffer[..count], false) {
                Ok(written) => copied += written as u64,
                Err(error) if copied == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(copied)
    }
}

/// Extents that the target gets.
struct Shares {
    /// The blocks of the source.
    blocks: Range<u64>,
    extents: Vec<Mapped>,
    /// Whether these are the last ones of the range.
    whole: bool,
}

fn lock_both<'a>(source: &'a PinnedInode<'_>, target: &'a PinnedInode<'_>) -> Locks<'a> {
    if source.number() == target.number() {
        return Locks { _target: target.io.write(), _source: None };
    }
    if source.number() < target.number() {
        let source = source.io.read();
        return Locks { _target: target.io.write(), _source: Some(source) };
    }
    let target = target.io.write();
    Locks { _target: target, _source: Some(source.io.read()) }
}

/// The map of a target whose blocks from `first` on are to be like `blocks` of the source.
fn map_changes(blocks: &Range<u64>, first: u64, extents: Vec<Mapped>) -> Vec<MapChange> {
    let mut changes = Vec::with_capacity(extents.len() + 1);
    let mut at = blocks.start;
    let hole = |from: u64, until: u64| {
        let start = from - blocks.start + first;
        (until > from).then_some(MapChange { start, length: until - from, extent: None })
    };
    for Mapped { start, extent, .. } in extents {
        changes.extend(hole(at, start));
        let length = u64::from(extent.length);
        let first = start - blocks.start + first;
        changes.push(MapChange { start: first, length, extent: Some(extent) });
        at = start + length;
    }
    changes.extend(hole(at, blocks.end));
    changes
}

/// Content that has no block of its own yet, and gets one at the next unify.
fn is_long_inline(extent: &Extent) -> bool {
    matches!(&extent.content, ExtentContent::Inline { bytes } if bytes.len() > MAX_TREE_INLINE_BYTES)
}

fn is_unwritten(extent: &Extent) -> bool {
    matches!(extent.content, ExtentContent::Unwritten { .. })
}
