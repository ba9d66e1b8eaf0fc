//! The namespace changes of one delta.
//!
//! Directory entries, extended attributes and orphan records go here as they change; inode records
//! and file maps stay with their inode until it is staged. The table is ordered and concurrent
//! (crossbeam-skiplist): writers of different directories do not meet.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use braidfs_format::{Item, Key};
use crossbeam::queue::SegQueue;
use crossbeam_skiplist::SkipMap;

use crate::inode::Inode;

/// Bytes that an entry of a change costs in the log besides its item, roughly.
const ENTRY_BYTES: usize = 32;

/// A key, and what it holds now: an item, or nothing.
pub type Change = (Key, Option<Item>);

/// What one delta changes in the name space. Entries are keyed as in the tree.
#[derive(Default)]
pub struct ChangeTable {
    items: SkipMap<Key, Option<Item>>,
    removed_inodes: SegQueue<Arc<Inode>>,
    dirty_records: SegQueue<Arc<Inode>>,
    bytes: AtomicUsize,
}

impl ChangeTable {
    /// What this delta says about `key`: `None` nothing, `Some(None)` that it is gone.
    pub fn get(&self, key: &Key) -> Option<Option<Item>> {
        self.items.get(key).map(|entry| entry.value().clone())
    }

    /// Records that `key` now holds `item`, or nothing.
    pub fn set(&self, key: Key, item: Option<Item>) {
        let item_bytes = item.as_ref().map_or(0, Item::encoded_bytes);
        self.bytes.fetch_add(ENTRY_BYTES + item_bytes, Ordering::Relaxed);
        self.items.insert(key, item);
    }

    /// Forgets what this delta says about `key`: right only if the key is not in any older state.
    pub fn forget(&self, key: &Key) {
        self.items.remove(key);
    }

    /// The changes in `from..to`, in order, at most `most` of them.
    pub fn range(&self, from: Key, to: Key, most: usize) -> Vec<Change> {
        self.items
            .range((Bound::Included(from), Bound::Excluded(to)))
            .take(most)
            .map(|entry| (*entry.key(), entry.value().clone()))
            .collect()
    }

    /// All changes, in order.
    pub fn all(&self) -> impl Iterator<Item = Change> + '_ {
        self.items.iter().map(|entry| (*entry.key(), entry.value().clone()))
    }

    /// Records that every item of `inode` is gone; the queue keeps it in memory, so that nobody reads it
    /// from the store again.
    pub fn remove_inode(&self, inode: Arc<Inode>) {
        self.bytes.fetch_add(ENTRY_BYTES, Ordering::Relaxed);
        self.removed_inodes.push(inode);
    }

    /// Takes an inode whose items are gone.
    pub fn take_removed_inode(&self) -> Option<Arc<Inode>> {
        self.removed_inodes.pop()
    }

    /// Queues an inode whose record changed in this delta; the queue keeps it in memory.
    pub fn push_dirty_record(&self, inode: Arc<Inode>) {
        self.bytes.fetch_add(ENTRY_BYTES + 128, Ordering::Relaxed);
        self.dirty_records.push(inode);
    }

    /// Takes an inode whose record changed in this delta.
    pub fn take_dirty_record(&self) -> Option<Arc<Inode>> {
        self.dirty_records.pop()
    }

    /// Counts bytes of log that go with this delta and are not in the table: content that must not
    /// come later than a name.
    pub fn count_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of log that these changes will need, roughly.
    pub fn log_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.removed_inodes.is_empty() && self.dirty_records.is_empty()
    }
}
