//! Numbers about the volume.

use braidfs_pagecache::CacheCounters;
use braidfs_store::StoreStatistics;

use super::Volume;
use crate::types::Statistics;

/// What the volume did since it was mounted.
#[derive(Debug, Clone)]
pub struct VolumeStatistics {
    /// The page cache: forks, copies, waits.
    pub cache: CacheCounters,
    /// The store: deltas, flushes, log, unify, space.
    pub store: StoreStatistics,
    /// Inodes in memory.
    pub inodes_in_memory: u64,
}

impl Volume {
    /// Space and inodes, as statfs(2) shows them. What is freed but waits for a unify counts as free:
    /// a writer that needs it makes the unify happen.
    pub fn statfs(&self) -> Statistics {
        let store = self.store.statistics();
        let available = store.available_blocks.saturating_add(store.pending_blocks);
        Statistics {
            block_size: braidfs_format::BLOCK_SIZE as u32,
            blocks: store.data_blocks,
            blocks_free: store.free_blocks.saturating_add(store.pending_blocks),
            blocks_available: available,
            // Inodes take what space there is: each at least a share of a node.
            inodes: store.inode_count.saturating_add(available),
            inodes_free: available,
            name_max: braidfs_format::item::MAX_NAME_BYTES as u32,
        }
    }

    /// What the volume did since it was mounted.
    pub fn statistics(&self) -> VolumeStatistics {
        VolumeStatistics {
            cache: self.cache.counters(),
            store: self.store.statistics(),
            inodes_in_memory: self.inodes.len() as u64,
        }
    }
}
