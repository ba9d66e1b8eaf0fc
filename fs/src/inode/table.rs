//! Finding inodes by number.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use braidfs_format::{InodeNumber, Item, Key};
use braidfs_store::Store;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::Inode;
use crate::error::{FsError, FsErrorKind, FsResult};

/// The inodes in memory, and the next number for a new one.
pub(crate) struct InodeTable {
    inodes: DashMap<InodeNumber, Arc<Inode>>,
    next_number: AtomicU64,
}

/// An inode that can't leave memory while this lives.
pub(crate) struct PinnedInode<'a> {
    table: &'a InodeTable,
    inode: Arc<Inode>,
}

impl InodeTable {
    /// An empty table that hands out numbers from `next_number` on.
    pub fn new(next_number: InodeNumber) -> Self {
        Self { inodes: DashMap::new(), next_number: AtomicU64::new(next_number) }
    }

    /// A number that no inode ever had.
    pub fn allocate_number(&self) -> InodeNumber {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// The number that the next new inode will get.
    pub fn next_number(&self) -> InodeNumber {
        self.next_number.load(Ordering::Relaxed)
    }

    /// The inode `number`, read from the store if it is not in memory.
    ///
    /// # Errors
    /// `NotFound` (ENOENT) if there is no such inode; those of reading the store.
    pub fn pin<'a>(&'a self, number: InodeNumber, store: &Store) -> FsResult<PinnedInode<'a>> {
        if let Some(inode) = self.inodes.get(&number) {
            return self.pinned_alive(&inode);
        }
        // The shard stays locked while the store is read: nobody else may load the same inode and
        // change it in between.
        match self.inodes.entry(number) {
            Entry::Occupied(entry) => self.pinned_alive(entry.get()),
            Entry::Vacant(entry) => {
                let inode = Arc::new(load(number, store)?);
                Ok(self.pinned(entry.insert(inode).value()))
            }
        }
    }

    /// Puts a new inode in.
    pub fn insert(&self, inode: Inode) -> PinnedInode<'_> {
        let inode = Arc::new(inode);
        let pinned = self.pinned(&inode);
        self.inodes.insert(inode.number(), inode);
        pinned
    }

    /// Lets the inode leave memory if nobody needs it there.
    pub fn evict_if_idle(&self, number: InodeNumber) {
        self.inodes.remove_if(&number, |_, inode| inode.is_idle());
    }

    /// How many inodes are in memory.
    pub fn len(&self) -> usize {
        self.inodes.len()
    }

    fn pinned_alive(&self, inode: &Arc<Inode>) -> FsResult<PinnedInode<'_>> {
        if inode.is_deleted() { Err(not_found(inode.number())) } else { Ok(self.pinned(inode)) }
    }

    /// Pins under the shard's lock, so that eviction sees it.
    fn pinned(&self, inode: &Arc<Inode>) -> PinnedInode<'_> {
        inode.pins.fetch_add(1, Ordering::AcqRel);
        PinnedInode { table: self, inode: inode.clone() }
    }
}

fn load(number: InodeNumber, store: &Store) -> FsResult<Inode> {
    match store.get(&Key::inode(number))? {
        Some(Item::Inode(record)) => Ok(Inode::new(number, record, true)),
        _ => Err(not_found(number)),
    }
}

fn not_found(number: InodeNumber) -> FsError {
    FsError::new(FsErrorKind::NotFound, "there is no such inode").on(number)
}

impl PinnedInode<'_> {
    /// The inode to keep beyond the pin: for queues that have their own way of keeping it in memory.
    pub fn share(&self) -> Arc<Inode> {
        self.inode.clone()
    }
}

impl Deref for PinnedInode<'_> {
    type Target = Inode;

    fn deref(&self) -> &Inode {
        &self.inode
    }
}

impl Drop for PinnedInode<'_> {
    fn drop(&mut self) {
        let was_last = self.inode.pins.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last && !self.inode.is_referenced() {
            self.table.evict_if_idle(self.inode.number());
        }
    }
}
