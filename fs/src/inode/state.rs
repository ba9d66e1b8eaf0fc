//! The mutable state of an inode, and how it is frozen for a closed delta.
//!
//! A file has one live state. When a delta that includes it has been closed, the state as of the
//! close is *frozen* before it changes again: by the next operation that changes the file, or by the
//! stager, whoever comes first. At most one closed delta is unpublished at any time (the stage
//! lock), so one frozen state is enough.
//!
//! Namespace attributes (mode, owner, links, ...) go with every delta. Data attributes (size, content,
//! modification time) go with the deltas that stage the file's data: all full deltas, and the fsync
//! deltas of this file. In between, a record shows the data attributes as last staged.

use std::ops::Range;
use std::sync::Arc;

use bitflags::bitflags;
use braidfs_format::{
    BLOCK_SIZE, DeltaNumber, Extent, FileKind, InodeRecord, MapChange, Timestamp,
};
use braidfs_pagecache::{Frozen, Mapping};
use braidfs_store::{RangeMap, Reservation, Store};

/// The logical block behind the last one a file can have (2^63 bytes); cuts punch up to here.
pub(crate) const MAP_END: u64 = 1 << 51;

bitflags! {
    /// Extended attributes that operations must heed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Notable: u8 {
        /// A list of who may do what.
        const ACCESS_ACL = 1 << 0;
        /// A list that new files in the directory get.
        const DEFAULT_ACL = 1 << 1;
        /// Capabilities of a program, lost when it changes.
        const CAPABILITY = 1 << 2;
    }
}

/// The attributes that go with a file's data, as of its last staging.
#[derive(Clone, Copy)]
struct StagedData {
    size: u64,
    blocks: u64,
    modified: Timestamp,
}

/// A file's data, frozen for one delta.
pub(crate) struct FrozenData {
    /// The pages to write, if any are dirty.
    pub pages: Option<Frozen>,
    /// The map changes that go with them; stay visible to readers until published.
    pub map: Arc<RangeMap>,
    /// Space promised to the pages.
    pub reservation: Reservation,
}

/// An inode, frozen for one delta.
pub(crate) struct FrozenInode {
    /// The record as of the close.
    pub record: InodeRecord,
    /// The data, if the delta takes it.
    pub data: Option<FrozenData>,
}

/// See the module.
pub(crate) struct InodeState {
    /// The live record. Its `blocks` is as of the last staging.
    pub record: InodeRecord,
    /// Map changes that no delta has staged: holes and preallocation.
    pub map: RangeMap,
    /// Space promised to the dirty pages of the open version.
    pub reservation: Reservation,
    /// The target, for a symbolic link that is not published yet.
    pub symlink_target: Option<Arc<[u8]>>,
    /// The delta whose change table has this inode's orphan record, if it is an orphan.
    pub orphaned_in: Option<DeltaNumber>,
    /// Which extended attributes operations must heed; `None` if nobody has looked yet. It changes
    /// under the inode's `entries` lock.
    pub notable: Option<Notable>,
    /// The file was made without a name, and may get its first one.
    pub is_temporary: bool,
    staged: StagedData,
    record_delta: Option<DeltaNumber>,
    data_delta: Option<DeltaNumber>,
    /// A delta that takes the data, though it need not take everybody's.
    wanted_in: Option<DeltaNumber>,
    frozen: Option<FrozenInode>,
    /// Between [`Self::take_frozen`] and [`Self::note_published`]: the store does not know yet what this
    /// inode knows.
    staging: bool,
    staging_map: Option<Arc<RangeMap>>,
    stored: bool,
    removed: bool,
    /// The inode is deleted, and the store does not know yet.
    removal_pending: bool,
}

impl InodeState {
    pub fn new(record: InodeRecord, stored: bool) -> Self {
        let staged = StagedData {
            size: if stored { record.size } else { 0 },
            blocks: record.blocks,
            modified: record.modified,
        };
        Self {
            record,
            map: RangeMap::new(),
            reservation: Reservation::default(),
            symlink_target: None,
            orphaned_in: None,
            notable: (!stored).then_some(Notable::empty()),
            is_temporary: false,
            staged,
            record_delta: None,
            data_delta: None,
            wanted_in: None,
            frozen: None,
            staging: false,
            staging_map: None,
            stored,
            removed: false,
            removal_pending: false,
        }
    }

    /// Freezes the state for the closed delta, if that delta takes anything of this inode and it
    /// has not been frozen yet. To be called before every change, and by the stager.
    pub fn freeze_if_due(
        &mut self,
        open_delta: DeltaNumber,
        closed_full: DeltaNumber,
        mapping: Option<&Arc<Mapping>>,
    ) {
        let record_due = self.record_delta.is_some_and(|delta| delta < open_delta);
        let wanted = self.wanted_in.filter(|delta| *delta < open_delta).unwrap_or(0);
        let data_due = self.data_delta.is_some_and(|delta| delta <= closed_full.max(wanted));
        if record_due || data_due {
            self.freeze(data_due, mapping);
        }
    }

    /// Has this delta, which is open, take the data with it. What a delta closed before needs is frozen
    /// already.
    pub fn want_data_in(&mut self, delta: DeltaNumber) {
        self.wanted_in = Some(delta);
    }

    /// Whether this delta takes the data, whatever else it takes.
    pub fn is_wanted_in(&self, delta: DeltaNumber) -> bool {
        self.wanted_in == Some(delta)
    }

    /// Freezes the state now; `with_data` says whether the closed delta takes the data.
    pub fn freeze(&mut self, with_data: bool, mapping: Option<&Arc<Mapping>>) {
        debug_assert!(self.frozen.is_none(), "two closed deltas unpublished at once");
        let data = with_data.then(|| {
            self.data_delta = None;
            self.wanted_in = None;
            let pages = mapping.and_then(|mapping| mapping.freeze());
            let map = Arc::new(std::mem::take(&mut self.map));
            self.staging_map = Some(map.clone());
            FrozenData { pages, map, reservation: std::mem::take(&mut self.reservation) }
        });
        self.record_delta = None;
        self.stored = true;
        self.frozen = Some(FrozenInode { record: self.record.clone(), data });
    }

    /// Takes the frozen state, for staging.
    pub fn take_frozen(&mut self) -> Option<FrozenInode> {
        let mut frozen = self.frozen.take()?;
        self.staging = true;
        if frozen.data.is_none() && self.record.kind() == FileKind::Regular {
            frozen.record = self.without_new_data(frozen.record);
        }
        frozen.record.blocks = self.staged.blocks;
        Some(frozen)
    }

    /// The record with the data attributes as of the last staging.
    pub fn without_new_data(&self, record: InodeRecord) -> InodeRecord {
        let StagedData { size, blocks, modified } = self.staged;
        InodeRecord { size, blocks, modified, ..record }
    }

    /// Whether a closed delta waits for the stager to take this inode's state.
    pub fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// The file's blocks as of the last staging.
    pub fn staged_blocks(&self) -> u64 {
        self.staged.blocks
    }

    /// Notes what the stager put into the delta.
    pub fn note_staged(&mut self, record: &InodeRecord) {
        let StagedData { size, blocks, modified } = &mut self.staged;
        (*size, *blocks, *modified) = (record.size, record.blocks, record.modified);
        self.record.blocks = record.blocks;
    }

    /// The delta that was staged is published: the store knows its record and map now.
    pub fn note_published(&mut self) {
        self.staging = false;
        self.staging_map = None;
    }

    /// Marks the record changed in `delta`; true if it was not marked yet.
    pub fn mark_record(&mut self, delta: DeltaNumber) -> bool {
        self.record_delta.replace(delta).is_none()
    }

    /// Marks the data changed in `delta`; true if it was clean.
    pub fn mark_data(&mut self, delta: DeltaNumber) -> bool {
        let was_clean = self.data_delta.is_none();
        self.data_delta.get_or_insert(delta);
        was_clean
    }

    /// Whether content, size or map have changes that no closed delta took.
    pub fn has_dirty_data(&self) -> bool {
        self.data_delta.is_some()
    }

    /// Whether anything has changes that no closed delta took.
    pub fn is_dirty(&self) -> bool {
        self.data_delta.is_some() || self.record_delta.is_some()
    }

    /// Whether a closed delta, or the store, has a record of this inode.
    pub fn is_stored(&self) -> bool {
        self.stored
    }

    /// Drops everything pending: the inode is deleted. Its unpublished blocks become free.
    pub fn remove(&mut self, store: &Store) {
        for change in std::mem::take(&mut self.map).into_changes() {
            release(store, change.extent.as_ref());
        }
        self.reservation = Reservation::default();
        self.record_delta = None;
        self.data_delta = None;
        self.removed = true;
        self.removal_pending = self.stored;
    }

    /// The store knows now that the inode is deleted.
    pub fn note_removal_published(&mut self) {
        self.removal_pending = false;
    }

    /// Whether the inode is deleted.
    pub fn is_removed(&self) -> bool {
        self.removed
    }

    /// Whether the store knows the content and the map as they are now.
    pub fn is_published(&self) -> bool {
        self.data_delta.is_none() && self.frozen.is_none() && !self.staging
    }

    /// How many runs of the map have changes that no delta has staged.
    pub fn unstaged_runs(&self) -> usize {
        self.map.len()
    }

    /// Whether the inode could leave memory as far as its own state goes.
    pub fn is_idle(&self) -> bool {
        !self.is_dirty()
            && self.frozen.is_none()
            && !self.staging
            && !self.removal_pending
            && (self.record.links > 0 || self.removed)
    }

    /// Whether setting the size to `size` cuts anything: content, or, if it is the size already, blocks
    /// preallocated past it. A file that grows keeps those.
    pub fn is_cut_by(&self, size: u64) -> bool {
        let blocks = size.div_ceil(BLOCK_SIZE as u64);
        let preallocated = || {
            self.record.blocks > blocks
                || self.unstaged_maps().any(|map| !map.lookup(blocks..MAP_END).is_empty())
        };
        size < self.record.size || (size == self.record.size && preallocated())
    }

    /// Blocks of preallocation that no delta has staged.
    pub fn unstaged_blocks(&self) -> u64 {
        let changes = self.unstaged_maps().flat_map(|map| map.lookup(0..MAP_END));
        changes.filter_map(|change| change.extent).map(|extent| u64::from(extent.length)).sum()
    }

    fn unstaged_maps(&self) -> impl Iterator<Item = &RangeMap> {
        let maps = [Some(&self.map), self.staging_map.as_deref()];
        maps.into_iter().flatten().filter(|map| !map.is_empty())
    }

    /// Records a hole or a preallocation. Preallocated blocks that no delta took and that this
    /// supersedes become free.
    pub fn change_map(&mut self, change: MapChange, store: &Store) {
        if self.removed {
            release(store, change.extent.as_ref());
            return;
        }
        for superseded in self.map.replace(change) {
            release(store, Some(&superseded));
        }
    }

    /// What the changes that are not in the store say about `blocks`, newest first.
    pub fn unpublished_maps(&self, blocks: Range<u64>) -> [Vec<MapChange>; 2] {
        let staging =
            self.staging_map.as_ref().map_or_else(Vec::new, |map| map.lookup(blocks.clone()));
        [self.map.lookup(blocks), staging]
    }
}

/// Frees the blocks of an extent that no delta ever held.
fn release(store: &Store, extent: Option<&Extent>) {
    if let Some(extent) = extent {
        store.release_unpublished(extent);
    }
}
