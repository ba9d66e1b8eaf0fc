//! Numbers about a store and its volume.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::store::Store;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Adds the nanoseconds since `start`.
    pub(crate) fn add_ns_since(&self, start: Instant) {
        self.add(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the store counts since it was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) deltas: Counter,
    pub(crate) flushes: Counter,
    pub(crate) flush_ns: Counter,
    pub(crate) log_bytes: Counter,
    pub(crate) unifies: Counter,
    pub(crate) unify_ns: Counter,
    pub(crate) data_blocks_written: Counter,
    pub(crate) data_blocks_read: Counter,
    pub(crate) map_lookups: Counter,
}

/// A look at a store and its volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreStatistics {
    /// Deltas published since the volume was opened, that of the mount included.
    pub deltas: u64,
    /// Flushes of the device for deltas.
    pub flushes: u64,
    /// Nanoseconds spent in them.
    pub flush_ns: u64,
    /// Bytes of transactions written.
    pub log_bytes: u64,
    /// Unifies that reached the superblock.
    pub unifies: u64,
    /// Nanoseconds spent in them.
    pub unify_ns: u64,
    /// Blocks of file data written.
    pub data_blocks_written: u64,
    /// Blocks of file data read, holes and inline content included.
    pub data_blocks_read: u64,
    /// Times that layers and tree were asked what backs a range of a file.
    pub map_lookups: u64,
    /// Blocks of the log ring.
    pub log_blocks: u64,
    /// Blocks of it that hold transactions not unified yet.
    pub log_used_blocks: u64,
    /// Keys that the layers over the tree touch.
    pub overlay_keys: u64,
    /// Blocks for tree nodes and data on the volume.
    pub data_blocks: u64,
    /// Of these, blocks that nothing occupies.
    pub free_blocks: u64,
    /// Of these, blocks that can be reserved now.
    pub available_blocks: u64,
    /// Blocks that are not needed any more, but cannot be used again yet.
    pub pending_blocks: u64,
    /// Inodes on the volume, logged changes included.
    pub inode_count: u64,
    /// Look-ups of tree nodes answered from memory.
    pub node_hits: u64,
    /// Look-ups of tree nodes that read the device.
    pub node_misses: u64,
}

impl Store {
    /// The numbers now.
    pub fn statistics(&self) -> StoreStatistics {
        let space = self.space.counts();
        let nodes = self.nodes.counters();
        let (log_used_blocks, log_blocks) = {
            let ring = self.ring.lock();
            (ring.used(), ring.length())
        };
        // Not inside the literal: the guard would live on while `inode_count` asks for another.
        let overlay_keys = self.layers.read().footprint().keys();
        let counters = &self.counters;
        StoreStatistics {
            deltas: counters.deltas.get(),
            flushes: counters.flushes.get(),
            flush_ns: counters.flush_ns.get(),
            log_bytes: counters.log_bytes.get(),
            unifies: counters.unifies.get(),
            unify_ns: counters.unify_ns.get(),
            data_blocks_written: counters.data_blocks_written.get(),
            data_blocks_read: counters.data_blocks_read.get(),
            map_lookups: counters.map_lookups.get(),
            log_blocks,
            log_used_blocks,
            overlay_keys,
            data_blocks: space.total,
            free_blocks: space.free,
            available_blocks: space.available,
            pending_blocks: space.pending,
            inode_count: self.inode_count(),
            node_hits: nodes.hits,
            node_misses: nodes.misses,
        }
    }

    /// Inodes on the volume, logged changes included.
    pub fn inode_count(&self) -> u64 {
        let layers = self.layers.read();
        self.superblock.lock().inode_count.saturating_add_signed(layers.inode_change())
    }
}
