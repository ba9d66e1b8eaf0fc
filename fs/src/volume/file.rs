//! The content of files: reading, writing, cutting, making durable.

use std::time::Instant;

use braidfs_format::{BLOCK_SIZE, InodeNumber, MapChange};
use braidfs_pagecache::{Admission, is_mapped};
use braidfs_store::Reservation;

use super::Volume;
use super::admission::DataChange;
use super::attributes::{SUID_SGID, clear_suid_sgid};
use super::map::{blocks_of_tail, mapped_tail};
use crate::delta::{ChangeGuard, Done, Scope};
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::inode::{InodeState, MAP_END, PinnedInode, now};
use crate::statistics::Measure;

/// The largest file: what a signed 64-bit offset reaches.
pub(super) const MAX_FILE_BYTES: u64 = i64::MAX as u64;
const BLOCK_BYTES: u64 = BLOCK_SIZE as u64;

impl Volume {
    /// Reads into `buffer` from `offset` and returns how many bytes there were: fewer than asked only
    /// at the end of the file.
    ///
    /// # Errors
    /// `Io` with file, offset and block if a block can't be read or its checksum does not fit.
    pub fn read(&self, inode: InodeNumber, offset: u64, buffer: &mut [u8]) -> FsResult<usize> {
        let mut read = || {
            if is_mapped(buffer) {
                return self.read_into_mapped(inode, offset, buffer);
            }
            let pinned = self.pin_regular(inode)?;
            self.touch_accessed(&pinned);
            let _io = pinned.io.read();
            let size = pinned.state().record.size;
            let available = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
            let count = buffer.len().min(available);
            if count > 0 {
                let mapping = pinned.mapping(&self.cache);
                mapping.read(offset, &mut buffer[..count], &self.filler(&pinned))?;
            }
            Ok(count)
        };
        let started = Instant::now();
        let outcome = read();
        self.recorders.record_since(Measure::Read, started);
        self.recorders.add_read_bytes(*outcome.as_ref().unwrap_or(&0));
        outcome.map_err(|error: FsError| error.during("read").on(inode).at(offset))
    }

    /// Reads into mapped memory, which may be that of the same file: by way of memory that is not.
    fn read_into_mapped(
        &self,
        inode: InodeNumber,
        offset: u64,
        buffer: &mut [u8],
    ) -> FsResult<usize> {
        let mut bytes = vec![0; buffer.len()];
        let count = self.read(inode, offset, &mut bytes)?;
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    /// Writes `data` at `offset`, wholly or not at all. `clear_suid_sgid` drops those mode bits.
    ///
    /// # Errors
    /// `FileTooLarge`, `NoSpace`, `ReadOnly`; `Io` if a page that is written in part can't be read.
    pub fn write(
        &self,
        inode: InodeNumber,
        offset: u64,
        data: &[u8],
        clear_suid_sgid: bool,
    ) -> FsResult<usize> {
        let started = Instant::now();
        let written = || {
            let end = checked_end(offset, data.len() as u64)?;
            // To touch mapped memory may fault, which must not happen under our locks.
            let copy = is_mapped(data).then(|| data.to_vec());
            let data = copy.as_deref().unwrap_or(data);
            let pinned = self.pin_regular(inode)?;
            if data.is_empty() {
                return Ok(0);
            }
            let under_writeback =
                pinned.existing_mapping().is_some_and(|mapping| mapping.is_under_writeback());
            self.with_memory(|| self.write_pages(&pinned, offset, end, data, clear_suid_sgid))?;
            self.recorders.record_since(Measure::Write, started);
            self.recorders.add_written_bytes(data.len());
            if under_writeback {
                self.recorders.record_since(Measure::WriteDuringWriteback, started);
            }
            Ok(data.len())
        };
        written().map_err(|error: FsError| error.during("write").on(inode).at(offset))
    }

    /// Does what may run out of cache memory; if it does, writes everything back and tries again.
    pub(super) fn with_memory<R>(&self, attempt: impl Fn() -> FsResult<R>) -> FsResult<R> {
        match attempt() {
            Err(error) if error.kind() == FsErrorKind::OutOfMemory => {
                self.committer.commit(Scope::Everything)?;
                attempt()
            }
            outcome => outcome,
        }
    }

    fn write_pages(
        &self,
        inode: &PinnedInode<'_>,
        offset: u64,
        end: u64,
        data: &[u8],
        drop_suid: bool,
    ) -> FsResult<()> {
        self.check_writable()?;
        self.drop_capabilities(inode)?;
        self.make_room();
        let pages = end.div_ceil(BLOCK_BYTES) - offset / BLOCK_BYTES;
        let mut reservation = self.reserve_for_write(inode, offset..end, pages)?;
        reservation.join(self.reserve(blocks_of_tail(inode))?);
        let touched = |state: &InodeState| Vec::from([(offset, end), mapped_tail(inode, state)]);
        let DataChange { guard, _io, admission } = self.enter_data_change(inode, touched)?;
        let mapping = inode.mapping(&self.cache);
        let filler = self.filler(inode);
        let grows = end > inode.state().record.size;
        let cleared = if grows { self.clear_tail(inode, admission) } else { Ok(()) };
        let written = cleared.and_then(|()| admission.write(offset, data, &filler));
        if written.is_err() {
            self.drop_past_end(inode, end);
        }
        // Even a write that failed half-way may have left dirty pages.
        self.change_data(&guard, inode, |state| {
            state.reservation.join(reservation);
            state.reservation.trim_to(mapping.dirty_pages());
            if written.is_ok() {
                state.record.size = state.record.size.max(end);
                state.record.modified = now();
                state.record.changed = state.record.modified;
            }
        });
        if drop_suid && inode.state().record.mode & SUID_SGID != 0 {
            self.change_record(&guard, inode, clear_suid_sgid);
        }
        written.and_then(|()| self.note_size(inode))
    }

    /// Takes back what a write up to `end` left past the end of the file before it failed: it must not
    /// show when the file grows later.
    pub(super) fn drop_past_end(&self, inode: &PinnedInode<'_>, end: u64) {
        let size = inode.state().record.size;
        if end <= size {
            return;
        }
        let mapping = inode.mapping(&self.cache);
        if let Err(error) = mapping.truncate(size, &self.filler(inode)) {
            tracing::warn!("what a failed write left could not be dropped: {error}");
        }
    }

    /// Cuts the file to `size`, or extends it by a hole.
    ///
    /// # Errors
    /// `FileTooLarge`, `IsADirectory`, `ReadOnly`; `Io` if the last page can't be read.
    pub(super) fn truncate(&self, inode: InodeNumber, size: u64) -> FsResult<()> {
        checked_end(size, 0)?;
        let pinned = self.pin_regular(inode)?;
        self.check_writable()?;
        self.drop_capabilities(&pinned)?;
        self.with_memory(|| self.set_size(&pinned, size))
    }

    fn set_size(&self, inode: &PinnedInode<'_>, size: u64) -> FsResult<()> {
        self.make_room();
        let mut space = Reservation::default();
        loop {
            let touched = |state: &InodeState| {
                last_page(state, size).into_iter().chain([mapped_tail(inode, state)]).collect()
            };
            let DataChange { guard, _io, admission } = self.enter_data_change(inode, touched)?;
            let cuts = u64::from(last_page(&inode.state(), size).is_some());
            let needed = cuts.max(blocks_of_tail(inode));
            if space.blocks() < needed {
                drop((_io, guard));
                space = self.reserve(needed)?;
                continue;
            }
            if inode.state().is_cut_by(size) {
                self.cut_pages(&guard, inode, admission, size, space)?;
            } else if needed > 0 {
                self.clear_tail(inode, admission)?;
                self.keep_reservation(&guard, inode, space);
            }
            self.change_data(&guard, inode, |state| {
                state.record.size = size;
                state.record.modified = now();
                state.record.changed = state.record.modified;
            });
            return self.note_size(inode);
        }
    }

    fn cut_pages(
        &self,
        guard: &ChangeGuard<'_>,
        inode: &PinnedInode<'_>,
        admission: Admission<'_>,
        size: u64,
        reservation: Reservation,
    ) -> FsResult<()> {
        let mapping = inode.mapping(&self.cache);
        let start = size.div_ceil(BLOCK_BYTES);
        // Zeroing the rest of the last page may fail; dropping whole pages reads nothing.
        let filler = self.filler(inode);
        let cut = admission
            .punch(size..start.saturating_mul(BLOCK_BYTES), &filler)
            .and_then(|()| admission.truncate(start.saturating_mul(BLOCK_BYTES), &filler));
        self.change_data(guard, inode, |state| {
            state.reservation.join(reservation);
            state.reservation.trim_to(mapping.dirty_pages());
            if cut.is_ok() {
                let hole = MapChange { start, length: MAP_END - start, extent: None };
                state.change_map(hole, &self.store);
            }
        });
        cut
    }

    /// Makes the file's content and attributes durable, and every namespace change before.
    /// `data_only` (fdatasync) has nothing to leave out: the delta is the same.
    ///
    /// # Errors
    /// `Io` after the first failed write or flush of the volume, then and ever after.
    pub fn fsync(&self, inode: InodeNumber, _data_only: bool) -> FsResult<()> {
        if self.options.read_only {
            return Ok(());
        }
        let started = Instant::now();
        let synced = || {
            let pinned = self.pin(inode)?;
            self.committer.commit(Scope::File(pinned.share()))?;
            self.unify_ahead();
            Ok(())
        };
        let outcome = synced();
        self.recorders.record_since(Measure::Fsync, started);
        outcome.map_err(|error: FsError| error.during("fsync").on(inode))
    }

    /// As [`Volume::fsync`], but joins a commit that another thread leads without waiting for it:
    /// `done` gets the outcome, on this thread or on the leader's.
    pub fn fsync_then(&self, inode: InodeNumber, done: Done) {
        if self.options.read_only {
            return done(Ok(()));
        }
        match self.pin(inode) {
            Ok(pinned) => {
                let (started, recorders) = (Instant::now(), self.recorders.clone());
                let done = move |outcome: FsResult<()>| {
                    recorders.record_since(Measure::Fsync, started);
                    done(outcome.map_err(|error| error.during("fsync").on(inode)));
                };
                self.committer.commit_then(Scope::File(pinned.share()), Box::new(done));
                self.unify_ahead();
            }
            Err(error) => done(Err(error.during("fsync"))),
        }
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// As [`Volume::fsync`].
    pub fn syncfs(&self) -> FsResult<()> {
        if self.options.read_only {
            return Ok(());
        }
        self.committer.commit(Scope::Everything).map_err(|error| error.during("syncfs"))
    }

    /// Reports the error that made the volume read-only, if there was one; writes nothing (close(2)
    /// promises no durability).
    ///
    /// # Errors
    /// `Io`.
    pub fn flush(&self, inode: InodeNumber) -> FsResult<()> {
        match self.failure() {
            Some(failure) => Err(failure.during("flush").on(inode)),
            None => Ok(()),
        }
    }
}

/// The bytes, from and to, that become zeros in the last page of a file that is cut; none if the cut is
/// at a page's edge.
fn last_page(state: &InodeState, size: u64) -> Option<(u64, u64)> {
    let changes = !size.is_multiple_of(BLOCK_BYTES) && size < state.record.size;
    changes.then(|| (size, size.next_multiple_of(BLOCK_BYTES)))
}

/// The end of a range, if a file can reach there.
pub(super) fn checked_end(offset: u64, length: u64) -> FsResult<u64> {
    offset.checked_add(length).filter(|end| *end <= MAX_FILE_BYTES).ok_or_else(|| {
        FsError::new(FsErrorKind::FileTooLarge, "a file can't be larger than 2^63 - 1 bytes")
    })
}
