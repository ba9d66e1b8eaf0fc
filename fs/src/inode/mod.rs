//! Files as they are in memory.
//!
//! Purpose: [`Inode`] is the live state of one file: its record, its cached pages, the changes of
//! its map that no delta has staged yet. [`InodeTable`] finds inodes by number and keeps them while
//! anybody needs them.
//!
//! Invariants: there is at most one `Inode` a number; an inode stays in memory while the kernel refers
//! to it, a handle is open on it, an operation uses it, or it has changes that are not published.
//! Every byte past the size of a file, to the end of its last page, is zero, and no map or page
//! lies wholly past the size but preallocated (unwritten) extents.
//!
//! Lock order: `entries` (directories: by number), `io` (by number), `state`, `extents`.

mod extent_map;
mod filler;
mod state;
mod table;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use braidfs_format::{FileKind, InodeNumber, InodeRecord, Timestamp};
use braidfs_pagecache::{Mapping, PageCache};
use parking_lot::{Mutex, RwLock};

use extent_map::ExtentMap;
pub(crate) use filler::{Backed, Filler};
pub(crate) use state::{FrozenData, FrozenInode, InodeState, MAP_END, Notable};
pub(crate) use table::{InodeTable, PinnedInode};

/// A file in memory.
pub struct Inode {
    number: InodeNumber,
    kind: FileKind,
    /// Held shared to look at, and alone to change, the directory entries or extended attributes.
    pub(crate) entries: RwLock<()>,
    /// Held shared to read, and alone to write, cut or punch, the content.
    pub(crate) io: RwLock<()>,
    state: Mutex<InodeState>,
    mapping: OnceLock<Arc<Mapping>>,
    extents: ExtentMap,
    kernel_references: AtomicU64,
    open_handles: AtomicU64,
    pins: AtomicU64,
    deleted: AtomicBool,
}

impl Inode {
    /// The inode of `record`. `stored` says whether the store knows it already.
    pub(crate) fn new(number: InodeNumber, record: InodeRecord, stored: bool) -> Self {
        Self {
            number,
            kind: record.kind(),
            entries: RwLock::new(()),
            io: RwLock::new(()),
            state: Mutex::new(InodeState::new(record, stored)),
            mapping: OnceLock::new(),
            extents: ExtentMap::default(),
            kernel_references: AtomicU64::new(0),
            open_handles: AtomicU64::new(0),
            pins: AtomicU64::new(0),
            deleted: AtomicBool::new(false),
        }
    }

    /// The inode's number.
    pub fn number(&self) -> InodeNumber {
        self.number
    }

    /// Its type; it never changes.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// The mutable state.
    pub(crate) fn state(&self) -> parking_lot::MutexGuard<'_, InodeState> {
        self.state.lock()
    }

    /// The cached pages, made on first use: most inodes never need any.
    pub(crate) fn mapping(&self, cache: &Arc<PageCache>) -> &Arc<Mapping> {
        self.mapping.get_or_init(|| Mapping::new(cache))
    }

    /// The cached pages, if there ever were any.
    pub(crate) fn existing_mapping(&self) -> Option<&Arc<Mapping>> {
        self.mapping.get()
    }

    /// What the store said about its blocks.
    pub(crate) fn extents(&self) -> &ExtentMap {
        &self.extents
    }

    pub(crate) fn add_kernel_reference(&self) {
        self.kernel_references.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn drop_kernel_references(&self, count: u64) {
        // A kernel that forgets more than it was given must not wrap the counter.
        let _ = self.kernel_references.fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| {
            Some(held.saturating_sub(count))
        });
    }

    pub(crate) fn add_open_handle(&self) {
        self.open_handles.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn drop_open_handle(&self) {
        let _ = self
            .open_handles
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| Some(held.saturating_sub(1)));
    }

    /// Notes that the inode is deleted: nobody finds it any more.
    pub(crate) fn note_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
    }

    fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Whether the kernel or an open handle refers to it.
    pub(crate) fn is_referenced(&self) -> bool {
        self.kernel_references.load(Ordering::Acquire) > 0
            || self.open_handles.load(Ordering::Acquire) > 0
    }

    /// Whether nobody would notice if it left memory.
    fn is_idle(&self) -> bool {
        self.pins.load(Ordering::Acquire) == 0 && !self.is_referenced() && self.state().is_idle()
    }
}

/// The present, as inodes record it: by the clock that the kernel takes the times from that it sets
/// itself, as of writes into its cache. By a finer one, what came later would seem to be earlier.
pub(crate) fn now() -> Timestamp {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    Timestamp { seconds: time.tv_sec, nanoseconds: u32::try_from(time.tv_nsec).unwrap_or(0) }
}
