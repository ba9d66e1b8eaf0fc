//! What goes into one transaction of a closed delta.
//!
//! A delta is published as one transaction, if the log holds that. If not, the files' data that does
//! not fit follows in further ones, as it would after an fsync of another file: names and records
//! go first and together, and a file whose data comes later shows its last staged state until then.
//! Nothing of the delta is acknowledged before the last one is durable.

use std::ops::Range;
use std::sync::Arc;

use braidfs_format::{
    DeltaNumber, ExtentContent, InodeNumber, InodeRecord, Item, Key, LogRecord, MapChange,
};
use braidfs_pagecache::Frozen;
use braidfs_store::{ChangeSet, UNBORN};

use super::change_table::ChangeTable;
use super::commit::StagedDelta;
use crate::inode::Inode;

/// An fsync delta of at most this many data pages carries them in the log itself: one sequential
/// write, no fresh blocks (and no allocation in the host's filesystem).
const INLINE_PAGES_MAX: u64 = 16;

/// New data of a file that waits for a transaction with room for it.
pub(super) struct Later {
    pub inode: Arc<Inode>,
    pub record: InodeRecord,
    pub map: Vec<MapChange>,
}

/// A delta that is being staged.
pub(super) struct Staging {
    number: DeltaNumber,
    inline_budget_pages: u64,
    set: ChangeSet,
    bytes: u64,
    pages: Vec<Frozen>,
    inodes: Vec<Arc<Inode>>,
    removed: Vec<Arc<Inode>>,
    /// Files whose map the transaction that gathers changes, and where.
    remapped: Vec<(Arc<Inode>, Vec<Range<u64>>)>,
    /// Data that did not fit beside the names.
    pub later: Vec<Later>,
}

impl Staging {
    /// Nothing yet. Its first transaction is `number`.
    pub fn new(number: DeltaNumber, everything: bool) -> Self {
        Self {
            number,
            inline_budget_pages: if everything { 0 } else { INLINE_PAGES_MAX },
            set: ChangeSet::default(),
            bytes: 0,
            pages: Vec::new(),
            inodes: Vec::new(),
            removed: Vec::new(),
            remapped: Vec::new(),
            later: Vec::new(),
        }
    }

    /// The number of the transaction that gathers.
    pub fn number(&self) -> DeltaNumber {
        self.number
    }

    /// Whether the transaction that gathers has anything in it.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Whether `more` bytes fit beside what is there, if there may be `most`.
    pub fn has_room(&self, more: u64, most: u64) -> bool {
        self.bytes.saturating_add(more) <= most
    }

    /// Takes all changes of names, and forgets items of inodes that the same delta removed.
    pub fn take_names(&mut self, changes: &ChangeTable) {
        while let Some(inode) = changes.take_removed_inode() {
            self.set.removed_inodes.insert(inode.number());
            self.removed.push(inode);
        }
        let removed = &self.set.removed_inodes;
        let kept = changes.all().filter(|(key, _)| !removed.contains(&key.inode));
        self.set.items.extend(kept);
        self.bytes = changes.log_bytes() as u64;
    }

    /// Notes an inode that this delta stages.
    pub fn note_inode(&mut self, inode: Arc<Inode>) {
        self.inodes.push(inode);
    }

    /// Keeps pages until the delta is durable.
    pub fn keep_pages(&mut self, pages: Frozen) {
        self.pages.push(pages);
    }

    /// Puts a record, and changes of its file's map.
    pub fn put(&mut self, inode: InodeNumber, record: InodeRecord, map: Vec<MapChange>) {
        let put = LogRecord::Put { key: Key::inode(inode), item: Item::Inode(record) };
        self.bytes += put.encoded_bytes() as u64 + log_bytes(&map);
        if let LogRecord::Put { key, item } = put {
            self.set.items.insert(key, Some(item));
        }
        if !map.is_empty() {
            let number = self.number;
            let born = map.into_iter().map(|change| born_in(change, number));
            self.set.maps.entry(inode).or_default().extend(born);
        }
    }

    /// Notes that the transaction that gathers changes the map of a file.
    pub fn note_remapped(&mut self, inode: &Arc<Inode>, map: &[MapChange]) {
        if !map.is_empty() {
            let range =
                |change: &MapChange| change.start..change.start.saturating_add(change.length);
            self.remapped.push((inode.clone(), map.iter().map(range).collect()));
        }
    }

    /// The transaction that gathered is published: files forget what the store said before.
    pub fn forget_remapped(&mut self) {
        for (inode, ranges) in self.remapped.drain(..) {
            inode.extents().forget(ranges);
        }
    }

    /// Takes what gathered, for publishing.
    pub fn take_set(&mut self) -> ChangeSet {
        self.bytes = 0;
        std::mem::take(&mut self.set)
    }

    /// Goes on with the next transaction.
    pub fn go_on(&mut self, number: DeltaNumber) {
        self.number = number;
    }

    /// Ends staging: the last transaction was `number`.
    pub fn finish(self, number: DeltaNumber) -> StagedDelta {
        for inode in &self.inodes {
            inode.state().note_published();
        }
        for inode in &self.removed {
            inode.state().note_removal_published();
        }
        let inodes = self.inodes.iter().chain(&self.removed).map(|inode| inode.number()).collect();
        StagedDelta { number, pages: self.pages, inodes }
    }

    /// Whether `pages` more pages may go into the log whole.
    pub fn take_inline_budget(&mut self, pages: u64) -> bool {
        let fits = pages <= self.inline_budget_pages;
        if fits {
            self.inline_budget_pages -= pages;
        }
        fits
    }
}

/// Bytes of log that changes of a map take.
pub(super) fn log_bytes(map: &[MapChange]) -> u64 {
    map.iter().map(change_bytes).sum()
}

/// Splits changes of a map into parts of at most `most` bytes each. Holes come first, the last one of the file
/// ahead: a file that was cut must not keep data past its end in any part.
pub(super) fn split_map(mut map: Vec<MapChange>, most: u64) -> Vec<Vec<MapChange>> {
    map.sort_by_key(|change| (change.extent.is_some(), std::cmp::Reverse(change.start)));
    let mut parts: Vec<Vec<MapChange>> = Vec::new();
    let mut bytes = u64::MAX;
    for change in map {
        let more = change_bytes(&change);
        if bytes.saturating_add(more) > most {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes += more;
        if let Some(part) = parts.last_mut() {
            part.push(change);
        }
    }
    parts
}

fn change_bytes(change: &MapChange) -> u64 {
    const HEADER_BYTES: u64 = 64;
    let extent = change.extent.as_ref().map_or(0, |extent| match &extent.content {
        ExtentContent::Inline { bytes } => bytes.len(),
        ExtentContent::Blocks { checksums, .. } => size_of_val(&**checksums),
        ExtentContent::Unwritten { .. } => 0,
    });
    HEADER_BYTES + extent as u64
}

/// The change with the birth of new blocks set to the delta that publishes them. Blocks that another
/// extent shares keep theirs: they are as old as they were.
fn born_in(mut change: MapChange, delta: DeltaNumber) -> MapChange {
    if let Some(extent) = &mut change.extent {
        match &mut extent.content {
            ExtentContent::Blocks { birth, .. } | ExtentContent::Unwritten { birth, .. } => {
                if *birth == UNBORN {
                    *birth = delta;
                }
            }
            ExtentContent::Inline { .. } => {}
        }
    }
    change
}
