//! How much space the next unify may need, and when one is due.

use braidfs_format::item::SHARED_RANGE_BYTES;
use braidfs_format::{IncompatFeatures, Node};

use crate::footprint::Footprint;
use crate::metadata_reserve::UnifyNeed;
use crate::store::Store;
use crate::tree::{EditBound, worst_case_nodes};

/// Keys in the layers above which a unify is due, to bound memory and the time of the next one.
const MANY_KEYS: u64 = 400_000;
/// Quads held on an empty volume.
const MIN_FLOOR_QUADS: u64 = 32;
/// Nodes of the tree that are provided for, at most: a delta that touches more is rare, and on a
/// tree of that size so is a volume without a quad to spare.
const MAX_FLOOR_NODES: u64 = 16_384;
/// Bytes of a shared range in a leaf.
const SHARED_ENTRY_BYTES: u64 = (Node::LEAF_ENTRY_HEADER_BYTES + SHARED_RANGE_BYTES) as u64;

impl Store {
    /// Whether a unify is due: the log is half full, the layers are large, or much space waits for
    /// it.
    pub fn needs_unify(&self) -> bool {
        let log_half_full = {
            let ring = self.ring.lock();
            ring.used() * 2 > ring.length()
        };
        log_half_full
            || self.metadata_reserve.is_short()
            || self.layers.read().footprint().keys() > MANY_KEYS
            || self.much_space_waits()
    }

    fn much_space_waits(&self) -> bool {
        let counts = self.space.counts();
        counts.pending > counts.available / 4 && counts.pending > counts.total / 64
    }

    /// Whether the log holds anything that a unify would fold or retire.
    pub fn has_log(&self) -> bool {
        self.ring.lock().used() > 0
    }

    /// What a unify of all layers and `extra` may need.
    pub(crate) fn unify_need(&self, extra: Footprint) -> UnifyNeed {
        let footprint = self.layers.read().footprint() + extra;
        let (level, node_count, sharing) = {
            let superblock = self.superblock.lock();
            let sharing = superblock.incompat.contains(IncompatFeatures::SHARED_EXTENTS);
            (superblock.root_level, superblock.node_count, sharing)
        };
        let bound = |puts, deletes, put_bytes| {
            worst_case_nodes(&EditBound { level, node_count, puts, deletes, put_bytes })
        };
        let mut worst = bound(footprint.puts, footprint.deletes, footprint.put_bytes);
        let mut most = whole_tree(node_count) + new_nodes(footprint.put_bytes);
        if sharing {
            // What enters or leaves may cut a shared range in three.
            let changed = footprint.keys();
            let put_bytes = 3 * changed * SHARED_ENTRY_BYTES;
            worst += bound(3 * changed, changed, put_bytes);
            most += node_count + new_nodes(put_bytes);
        }
        UnifyNeed {
            quads: worst.min(most),
            floor_quads: whole_tree(node_count.min(MAX_FLOOR_NODES)),
            blocks: footprint.moved_blocks,
        }
    }
}

/// Quads to rewrite a tree of so many nodes, a quarter of which are split on the way.
fn whole_tree(node_count: u64) -> u64 {
    node_count + node_count / 4 + MIN_FLOOR_QUADS
}

/// Nodes that so many bytes of new items fill by half.
fn new_nodes(put_bytes: u64) -> u64 {
    (2 * put_bytes).div_ceil(Node::CAPACITY_BYTES as u64)
}
