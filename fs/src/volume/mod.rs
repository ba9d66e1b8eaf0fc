//! The volume: every operation of the filesystem, without FUSE.
//!
//! Purpose: [`Volume`] is what the FUSE adapter and the tests drive. One method an operation, one
//! file a family of operations.
//!
//! An operation that changes something: waits for room in the page cache (`throttle`) and for space
//! (`reserve`), holding no lock; enters the open delta ([`ChangeGuard`]); takes the locks of the inodes
//! it changes; freezes what a closed delta still needs; changes the live state. What it reads
//! of the namespace it reads through its guard's view: open delta, closed delta, store.
//!
//! Invariant: an operation either happens wholly in one delta or not at all; a check that can fail
//! comes before the first change.

mod access;
mod admission;
mod attributes;
mod background;
mod control;
mod copy;
mod create;
mod extended;
mod file;
mod map;
mod names;
mod ranges;
mod readdir;
mod references;
mod remove;
mod rename;
mod shutdown;
mod statistics;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use braidfs_block::BlockDevice;
use braidfs_format::{FileKind, InodeNumber, InodeRecord, NameHasher, Superblock};
use braidfs_pagecache::{CacheConfig, PageCache, WritebackPolicy};
use braidfs_store::{FormatOptions, OpenOptions, ReplayReport, Reservation, Store, StoreError};
use parking_lot::Mutex;

use crate::delta::{ChangeGuard, Committer, Scope};
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::inode::{Filler, Inode, InodeState, InodeTable, PinnedInode};
use crate::options::{MkfsOptions, MountOptions};
use crate::settings::Settings;
use crate::statistics::{Baseline, Recorders};
use background::Background;

pub use map::{LiveMapping, MapOptions};

pub use crate::statistics::VolumeStatistics;

/// The open delta is staged before it grows past this share of what a delta may have in the log.
const OPEN_DELTA_SHARE: u64 = 4;
/// How long a writer waits for a page before everything is written back for it.
const MEMORY_DEADLINE: Duration = Duration::from_millis(100);

/// Reports how much of a long step is done: done, of all.
pub type Progress<'a> = &'a dyn Fn(u64, u64);

/// A mounted volume.
pub struct Volume {
    store: Arc<Store>,
    cache: Arc<PageCache>,
    inodes: Arc<InodeTable>,
    committer: Arc<Committer>,
    background: Mutex<Option<Background>>,
    /// Held by renames from one directory to another, so that no two of them make a loop.
    rename: Mutex<()>,
    /// Held by whoever makes room on a full volume.
    reclaiming: Mutex<()>,
    /// Held by whoever unmounts.
    closing: Mutex<()>,
    /// Held by whoever changes settings.
    controlling: Mutex<()>,
    commit_interval_ms: AtomicU64,
    recorders: Arc<Recorders>,
    /// How the counters stood at the last reset.
    baseline: Mutex<Baseline>,
    mounted_at: Instant,
    hasher: NameHasher,
    shut_down: AtomicBool,
    options: MountOptions,
    replay: ReplayReport,
}

impl Volume {
    /// Makes a volume on `device`.
    ///
    /// # Errors
    /// `Invalid` for sizes that make no sense; those of writing the device.
    pub fn mkfs(
        device: &dyn BlockDevice,
        options: &MkfsOptions,
        progress: Progress<'_>,
    ) -> FsResult<Superblock> {
        let format = FormatOptions {
            label: options.label.clone(),
            volume_id: options.volume_id,
            log_blocks: options.log_blocks,
            root_uid: options.root_uid,
            root_gid: options.root_gid,
            ..FormatOptions::default()
        };
        Store::format(device, &format, progress)
            .map_err(|error| FsError::from(error).during("mkfs"))
    }

    /// Mounts the volume on `device`: replays its log and deletes its orphans.
    ///
    /// # Errors
    /// Those of [`Store::open`]: not a volume, newer format, damaged; a cache that can't be had.
    pub fn mount(device: Arc<dyn BlockDevice>, options: MountOptions) -> FsResult<Arc<Self>> {
        Self::mount_with_progress(device, options, &|_, _| ())
    }

    /// As [`Volume::mount`], telling how far replay got.
    ///
    /// # Errors
    /// As [`Volume::mount`].
    pub fn mount_with_progress(
        device: Arc<dyn BlockDevice>,
        options: MountOptions,
        progress: Progress<'_>,
    ) -> FsResult<Arc<Self>> {
        let open = OpenOptions { read_only: options.read_only, ..OpenOptions::default() };
        let (store, replay) = Store::open(device, open, progress)?;
        let store = Arc::new(store);
        let settings = Settings::of_mount(&options);
        settings.check()?;
        let zero_colours = options.zero_colours;
        let cache = PageCache::new(CacheConfig { zero_colours, ..settings.cache_config() })?;
        cache.set_memory_deadline(MEMORY_DEADLINE);
        let superblock = store.superblock();
        let inodes = Arc::new(InodeTable::new(store.next_inode()));
        let recorders: Arc<Recorders> = Arc::default();
        let committer = Committer::new(store.clone(), cache.clone(), inodes.clone());
        let committer = Arc::new(committer.with_recorders(recorders.clone()));
        let volume = Arc::new(Self {
            hasher: NameHasher::new(superblock.hash_key),
            store,
            cache,
            inodes,
            committer,
            background: Mutex::new(None),
            rename: Mutex::new(()),
            reclaiming: Mutex::new(()),
            closing: Mutex::new(()),
            controlling: Mutex::new(()),
            commit_interval_ms: AtomicU64::new(settings.commit_interval_ms),
            recorders,
            baseline: Mutex::default(),
            mounted_at: Instant::now(),
            shut_down: AtomicBool::new(false),
            options,
            replay,
        });
        if !volume.options.read_only {
            volume.delete_orphans()?;
            volume.start_background();
        }
        Ok(volume)
    }

    /// Makes everything durable, folds the log into the tree and marks the volume clean. Later
    /// changes are refused. Calling it again does nothing.
    ///
    /// # Errors
    /// `Io` if anything could not be written: then the next mount replays what is durable.
    pub fn unmount(&self) -> FsResult<()> {
        let background = self.background.lock().take();
        if let Some(background) = background {
            background.stop();
        }
        if self.options.read_only || self.is_shut_down() {
            return Ok(());
        }
        // Most is written while operations may still come; from the seal on none changes anything.
        self.committer.commit(Scope::Everything)?;
        let _one_at_a_time = self.closing.lock();
        self.committer.gate.seal();
        self.committer.commit(Scope::Everything)?;
        self.store.close()?;
        Ok(())
    }

    /// Folds what is durable into the tree and retires its part of the log.
    ///
    /// # Errors
    /// `Io` if anything could not be written; then the volume is read-only.
    pub fn unify(&self) -> FsResult<()> {
        self.check_writable()?;
        Ok(self.store.unify()?)
    }

    /// What the last mount replayed.
    pub fn replay_report(&self) -> &ReplayReport {
        &self.replay
    }

    /// Changes what a writer does when it hits a page under writeback.
    pub fn set_policy(&self, policy: WritebackPolicy) {
        self.cache.set_policy(policy);
    }

    fn pin(&self, number: InodeNumber) -> FsResult<PinnedInode<'_>> {
        self.inodes.pin(number, &self.store)
    }

    fn pin_directory(&self, number: InodeNumber) -> FsResult<PinnedInode<'_>> {
        let inode = self.pin(number)?;
        if !inode.is_directory() {
            return Err(FsError::new(FsErrorKind::NotADirectory, "not a directory").on(number));
        }
        Ok(inode)
    }

    fn pin_regular(&self, number: InodeNumber) -> FsResult<PinnedInode<'_>> {
        let inode = self.pin(number)?;
        match inode.kind() {
            FileKind::Regular => Ok(inode),
            FileKind::Directory => {
                Err(FsError::new(FsErrorKind::IsADirectory, "is a directory").on(number))
            }
            _ => Err(FsError::new(FsErrorKind::Invalid, "not a regular file").on(number)),
        }
    }

    fn filler<'a>(&'a self, inode: &'a Inode) -> Filler<'a> {
        Filler { inode, store: &self.store }
    }

    fn check_writable(&self) -> FsResult<()> {
        if self.options.read_only {
            return Err(FsError::new(FsErrorKind::ReadOnly, "the volume is mounted read-only"));
        }
        self.check_not_shut_down()?;
        match self.failure() {
            None => Ok(()),
            Some(failure) => Err(FsError::new(
                FsErrorKind::ReadOnly,
                format!(
                    "the volume is read-only since an error ({failure}); unmount, check, mount"
                ),
            )),
        }
    }

    /// The error that made the volume read-only: of a commit, or of a write or flush that the store did
    /// outside of one.
    fn failure(&self) -> Option<FsError> {
        let committed = self.committer.failure().cloned();
        committed.or_else(|| self.store.poisoned().map(FsError::from))
    }

    /// Enters the open delta. One that holds much already is committed first, so that it always fits
    /// a transaction. The caller holds no lock but that of renames.
    fn enter_change(&self) -> FsResult<ChangeGuard<'_>> {
        self.check_writable()?;
        let most = self.store.max_delta_bytes() / OPEN_DELTA_SHARE;
        loop {
            let guard = self.committer.gate.enter();
            if guard.is_sealed() {
                return Err(FsError::new(FsErrorKind::ReadOnly, "the volume is unmounted"));
            }
            if guard.changes().log_bytes() as u64 <= most {
                return Ok(guard);
            }
            drop(guard);
            self.committer.commit(Scope::Namespace)?;
        }
    }

    /// Promises `blocks`, for a change to come; if there are too few, folds what is freed but not yet reusable, then tries
    /// once more. The caller holds no lock and no guard.
    fn reserve(&self, blocks: u64) -> FsResult<Reservation> {
        self.check_writable()?;
        match self.store.reserve(blocks) {
            Err(error) if error.errno() == libc::ENOSPC => self.reserve_reclaimed(blocks, error),
            reserved => Ok(reserved?),
        }
    }

    /// As [`Self::reserve`], when `error` said that there are too few. Those who find the volume full
    /// at once reclaim once, and nobody does when there is nothing to reclaim.
    fn reserve_reclaimed(&self, blocks: u64, error: StoreError) -> FsResult<Reservation> {
        if blocks > self.store.statistics().data_blocks {
            return Err(error.into());
        }
        let _one_at_a_time = self.reclaiming.lock();
        if let Ok(reservation) = self.store.reserve(blocks) {
            return Ok(reservation);
        }
        if !self.committer.has_changes() && !self.store.has_log() {
            return Err(error.into());
        }
        self.reclaim_space()?;
        Ok(self.store.reserve(blocks)?)
    }

    /// Makes blocks that were freed fit for use.
    fn reclaim_space(&self) -> FsResult<()> {
        self.committer.commit(Scope::Everything)?;
        self.unify()
    }

    /// Changes the record of an inode in the open delta.
    fn change_record<R>(
        &self,
        guard: &ChangeGuard<'_>,
        inode: &PinnedInode<'_>,
        change: impl FnOnce(&mut InodeRecord) -> R,
    ) -> R {
        let mut state = inode.state();
        state.freeze_if_due(guard.delta(), guard.closed_full(), inode.existing_mapping());
        let result = change(&mut state.record);
        if state.is_removed() {
            return result;
        }
        if state.mark_record(guard.delta()) {
            guard.changes().push_dirty_record(inode.share());
        }
        result
    }

    /// Freezes what a closed delta needs of a file, before its pages change.
    fn prepare_data(&self, guard: &ChangeGuard<'_>, inode: &PinnedInode<'_>) {
        let mut state = inode.state();
        state.freeze_if_due(guard.delta(), guard.closed_full(), inode.existing_mapping());
    }

    /// Changes the data attributes or the map of a file in the open delta. The file was prepared
    /// ([`Self::prepare_data`]) under the same guard.
    fn change_data<R>(
        &self,
        guard: &ChangeGuard<'_>,
        inode: &PinnedInode<'_>,
        change: impl FnOnce(&mut InodeState) -> R,
    ) -> R {
        let mut state = inode.state();
        let result = change(&mut state);
        if !state.is_removed() && state.mark_data(guard.delta()) {
            self.committer.note_dirty_data(&inode.share());
        }
        result
    }
}

impl Drop for Volume {
    /// Stops the background thread. What is not durable is lost, as after a crash: only
    /// [`Volume::unmount`] ends a mount in order.
    fn drop(&mut self) {
        if let Some(background) = self.background.lock().take() {
            background.stop();
        }
    }
}
