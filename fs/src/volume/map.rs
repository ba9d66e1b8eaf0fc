//! Live mappings: the content of a file as memory of a program that links the library.
//!
//! A [`LiveMapping`] shows the cached pages of a file. The first access to a page, and the first
//! store to it after a delta, fault into [`Faults`], which does what a read or a write would do:
//! waits for room, promises space, enters the open delta. So stores belong to deltas like every
//! other change, and a delta has the content of all mapped files as of the moment it was closed.
//!
//! # Locks
//!
//! A fault for writing takes what a write takes (see [`crate::volume`]), one for reading what a read
//! takes. The thread that faults holds none of our locks, since nothing here touches
//! mapped memory; buffers that callers hand in are looked at (`is_mapped`) and copied first. Whoever
//! closes a delta, or writes back, needs no fault to be answered.

use std::ops::Range;
use std::sync::{Arc, Weak};

use braidfs_format::{BLOCK_SIZE, InodeNumber};
use braidfs_pagecache::{
    Access, Admission, FaultHandler, FaultMechanism, LiveRange, MappedMemory, MappedPages,
    Unresolvable,
};
use braidfs_store::Reservation;

use super::Volume;
use super::admission::DataChange;
use super::file::checked_end;
use crate::delta::{ChangeGuard, Scope};
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::inode::{Inode, InodeState, PinnedInode, now};

const BLOCK_BYTES: u64 = BLOCK_SIZE as u64;

/// How a file is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MapOptions {
    /// Stores raise SIGSEGV.
    pub read_only: bool,
    /// How faults are noticed.
    pub mechanism: FaultMechanism,
}

/// A range of a file as memory, until this is dropped. See the module, and
/// [`MappedMemory`] for how the memory may be used.
pub struct LiveMapping {
    /// Dropped first: what follows needs the memory to be gone.
    pages: MappedPages,
    file: MappedFile,
}

/// The file of a mapping, kept open.
struct MappedFile {
    volume: Arc<Volume>,
    inode: Arc<Inode>,
}

/// Who answers the faults of a mapping.
struct Faults {
    volume: Weak<Volume>,
    inode: InodeNumber,
    first_page: u64,
}

impl Volume {
    /// Maps a range of a file, which begins at a page. Beyond the end of the file it raises SIGBUS,
    /// until the file grows.
    ///
    /// # Errors
    /// `Invalid` (empty or unaligned range, or memory that cannot be had), `FileTooLarge`, `ReadOnly`,
    /// and those of [`Volume::open`].
    pub fn map(
        self: &Arc<Self>,
        inode: InodeNumber,
        range: Range<u64>,
        options: MapOptions,
    ) -> FsResult<LiveMapping> {
        let mapped = || {
            let length = range.end.saturating_sub(range.start);
            checked_end(range.start, length)?;
            if length == 0 || !range.start.is_multiple_of(BLOCK_BYTES) {
                let detail = "a mapping begins at a multiple of 4096 and is not empty";
                return Err(FsError::new(FsErrorKind::Invalid, detail));
            }
            if !options.read_only {
                self.check_writable()?;
            }
            let pinned = self.pin_regular(inode)?;
            self.touch_accessed(&pinned);
            self.open(inode, false)?;
            // From here on the handle is given back by the drop.
            let file = MappedFile { volume: self.clone(), inode: pinned.share() };
            let pages = range.start / BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES);
            let faults = Faults { volume: Arc::downgrade(self), inode, first_page: pages.start };
            let _io = pinned.io.write();
            let end = pinned.state().record.size.div_ceil(BLOCK_BYTES);
            let (writable, handler) = (!options.read_only, Arc::new(faults));
            self.committer.note_mapped(&file.inode);
            let mapping = pinned.mapping(&self.cache);
            let pages = mapping.map(pages, writable, options.mechanism, handler, end)?;
            Ok(LiveMapping { pages, file })
        };
        mapped().map_err(|error: FsError| error.during("map").on(inode).at(range.start))
    }

    /// Makes a page readable in mapped memory.
    fn show_page(&self, inode: &PinnedInode<'_>, range: &LiveRange, page: u64) -> FsResult<()> {
        let _io = inode.io.read();
        let end = inode.state().record.size.div_ceil(BLOCK_BYTES);
        if page >= end {
            // It was cut off meanwhile, and raises SIGBUS.
            return Ok(());
        }
        let mapping = inode.mapping(&self.cache);
        let window = mapping.fault_window(page, end, Access::Read);
        mapping.fault(range, window, Access::Read, &self.filler(inode))
    }

    /// Makes a page writable in mapped memory, in the open delta.
    fn open_page(&self, inode: &PinnedInode<'_>, range: &LiveRange, page: u64) -> FsResult<()> {
        self.check_writable()?;
        self.make_room();
        let mapping = inode.mapping(&self.cache);
        let end = inode.state().record.size.div_ceil(BLOCK_BYTES);
        let mut window = mapping.fault_window(page, end.max(page + 1), Access::Write);
        let reservation = match self.reserve(window.end - window.start) {
            Err(error) if error.kind() == FsErrorKind::NoSpace => {
                window = page..page + 1;
                self.reserve_for_write(inode, page_bytes(&window), 1)?
            }
            reserved => reserved?,
        };
        let bytes = page_bytes(&window);
        let touched = |_: &InodeState| Vec::from([(bytes.start, bytes.end)]);
        let DataChange { guard, _io, admission } = self.enter_data_change(inode, touched)?;
        let end = inode.state().record.size.div_ceil(BLOCK_BYTES);
        if page >= end {
            return Ok(());
        }
        let window = window.start..window.end.min(end);
        let opened = admission.fault(range, window, Access::Write, &self.filler(inode));
        self.change_data(&guard, inode, |state| {
            state.reservation.join(reservation);
            state.reservation.trim_to(mapping.dirty_pages());
            if opened.is_ok() {
                state.record.modified = now();
                state.record.changed = state.record.modified;
            }
        });
        opened
    }

    /// Zeroes what programs may have stored behind the end of a mapped file, in its last page: before
    /// the file grows over it. The caller was admitted for [`mapped_tail`], has the promise of
    /// [`blocks_of_tail`], and joins that to the file's reservation.
    pub(super) fn clear_tail(
        &self,
        inode: &PinnedInode<'_>,
        admission: Admission<'_>,
    ) -> FsResult<()> {
        let (start, end) = mapped_tail(inode, &inode.state());
        if start == end { Ok(()) } else { admission.punch(start..end, &self.filler(inode)) }
    }

    /// Tells mapped memory that the file's size has changed.
    pub(super) fn note_size(&self, inode: &PinnedInode<'_>) -> FsResult<()> {
        let Some(mapping) = inode.existing_mapping() else { return Ok(()) };
        let pages = inode.state().record.size.div_ceil(BLOCK_BYTES);
        Ok(mapping.set_mapped_end(pages)?)
    }

    /// Zeroes the tail of a file that is about to be mapped no more.
    fn clear_tail_alone(&self, inode: InodeNumber) -> FsResult<()> {
        let pinned = self.pin(inode)?;
        let (start, end) = mapped_tail(&pinned, &pinned.state());
        if start == end || self.check_writable().is_err() {
            return Ok(());
        }
        self.with_memory(|| {
            let reservation = self.reserve(1)?;
            let touched = |state: &InodeState| Vec::from([mapped_tail(&pinned, state)]);
            let DataChange { guard, _io, admission } = self.enter_data_change(&pinned, touched)?;
            let cleared = self.clear_tail(&pinned, admission);
            self.keep_reservation(&guard, &pinned, reservation);
            cleared
        })
    }

    /// Gives a reservation to the dirty pages of a file, as far as there are any.
    pub(super) fn keep_reservation(
        &self,
        guard: &ChangeGuard<'_>,
        inode: &PinnedInode<'_>,
        reservation: Reservation,
    ) {
        let dirty = inode.existing_mapping().map_or(0, |mapping| mapping.dirty_pages());
        if dirty > 0 {
            self.change_data(guard, inode, |state| {
                state.reservation.join(reservation);
                state.reservation.trim_to(dirty);
            });
        }
    }
}

impl LiveMapping {
    /// The memory.
    pub fn memory(&self) -> &MappedMemory {
        self.pages.memory()
    }

    /// The memory, for slices that are written.
    pub fn memory_mut(&mut self) -> &mut MappedMemory {
        self.pages.memory_mut()
    }

    /// How faults are noticed.
    pub fn mechanism(&self) -> FaultMechanism {
        self.memory().range().mechanism()
    }

    /// Makes all stores that happened before durable: msync(2) with MS_SYNC, or fsync(2) of the file.
    /// Stores of other threads go on meanwhile, and what is durable is the state at one moment.
    ///
    /// # Errors
    /// As [`Volume::fsync`].
    pub fn sync(&self) -> FsResult<()> {
        self.file.volume.fsync(self.file.inode.number(), false)
    }

    /// Ends a delta here without waiting for it to be durable: a crash leaves the file as it is now,
    /// or at a later delta, or (until the next commit) at an earlier one; never in between.
    ///
    /// # Errors
    /// As [`Volume::fsync`].
    pub fn snapshot(&self) -> FsResult<()> {
        let MappedFile { volume, inode } = &self.file;
        volume
            .committer
            .publish_only(Scope::File(inode.clone()))
            .map_err(|error| error.during("snapshot"))
    }
}

impl Drop for LiveMapping {
    fn drop(&mut self) {
        let inode = self.file.inode.number();
        if let Err(error) = self.file.volume.clear_tail_alone(inode) {
            tracing::warn!("what was stored behind the end of inode {inode} stays: {error}");
        }
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        self.volume.committer.note_unmapped(&self.inode);
        self.volume.release(self.inode.number());
    }
}

impl std::fmt::Debug for LiveMapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveMapping")
            .field("inode", &self.file.inode.number())
            .field("pages", &self.pages)
            .finish()
    }
}

impl FaultHandler for Faults {
    fn resolve(&self, range: &LiveRange, page: u64, access: Access) -> Result<(), Unresolvable> {
        let Some(volume) = self.volume.upgrade() else { return Err(Unresolvable) };
        let page = self.first_page + page;
        let answer = || {
            let inode = volume.pin(self.inode)?;
            volume.with_memory(|| match access {
                Access::Read => volume.show_page(&inode, range, page),
                Access::Write => volume.open_page(&inode, range, page),
            })
        };
        answer().map_err(|error: FsError| {
            let error = error.during("fault").on(self.inode).at(page * BLOCK_BYTES);
            tracing::error!("a program gets SIGBUS: {error}");
            Unresolvable
        })
    }
}

/// The bytes from the end of a mapped file to the end of its last page; empty if there are none.
pub(super) fn mapped_tail(inode: &Inode, state: &InodeState) -> (u64, u64) {
    let is_mapped = inode.existing_mapping().is_some_and(|mapping| mapping.is_mapped());
    let size = state.record.size;
    (size, if is_mapped { size.next_multiple_of(BLOCK_BYTES) } else { size })
}

/// Blocks that it takes to change them.
pub(super) fn blocks_of_tail(inode: &Inode) -> u64 {
    u64::from(inode.existing_mapping().is_some_and(|mapping| mapping.is_mapped()))
}

fn page_bytes(pages: &Range<u64>) -> Range<u64> {
    pages.start * BLOCK_BYTES..pages.end * BLOCK_BYTES
}
