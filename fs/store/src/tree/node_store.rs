//! Nodes on the device: reading with verification and caching, writing in few large transfers.

use std::io::IoSlice;
use std::sync::Arc;

use braidfs_block::BlockDevice;
use braidfs_format::{BLOCK_SIZE, BlockAddress, NODE_BLOCKS, NODE_SIZE, Node, NodePointer};
use uuid::Uuid;

use super::cache::{CacheCounters, NodeCache};
use crate::error::{ErrorContext, StoreError};

/// The most nodes that go to the device in one transfer: 1 MiB.
const BATCH_NODES: usize = 64;

/// Where the nodes of a volume come from and go to.
pub struct NodeStore {
    device: Arc<dyn BlockDevice>,
    volume_id: Uuid,
    cache: NodeCache,
}

impl NodeStore {
    /// The nodes of the volume `volume_id` on `device`, cached in about `cache_bytes` of memory.
    pub fn new(device: Arc<dyn BlockDevice>, volume_id: Uuid, cache_bytes: usize) -> Arc<Self> {
        Arc::new(Self { device, volume_id, cache: NodeCache::new(cache_bytes) })
    }

    /// What the cache holds and how well it serves.
    pub fn counters(&self) -> CacheCounters {
        self.cache.counters()
    }

    /// The volume that the nodes belong to.
    pub fn volume_id(&self) -> Uuid {
        self.volume_id
    }

    /// The node that `pointer` points to; it stays in the cache for others.
    pub(super) fn node(&self, pointer: &NodePointer, level: u8) -> Result<Arc<Node>, StoreError> {
        if let Some(node) = self.cached(pointer, level) {
            return Ok(node);
        }
        let node = self.read(pointer, level)?;
        self.cache.insert(*pointer, node.clone());
        Ok(node)
    }

    /// The node that `pointer` points to, which nobody will ask for again.
    pub(super) fn last_look(
        &self,
        pointer: &NodePointer,
        level: u8,
    ) -> Result<Arc<Node>, StoreError> {
        self.cached(pointer, level).map_or_else(|| self.read(pointer, level), Ok)
    }

    /// Puts a node that was just made into the cache.
    pub(super) fn remember(&self, pointer: NodePointer, node: Node) {
        self.cache.insert(pointer, Arc::new(node));
    }

    /// A node of another level than asked for is no hit; reading it again then says what is wrong.
    fn cached(&self, pointer: &NodePointer, level: u8) -> Option<Arc<Node>> {
        self.cache.get(pointer).filter(|node| node.level == level)
    }

    fn read(&self, pointer: &NodePointer, level: u8) -> Result<Arc<Node>, StoreError> {
        const DOING: &str = "reading a tree node";
        let address = pointer.address;
        let mut bytes = vec![0; NODE_SIZE];
        self.device
            .read_at(byte_offset(address), &mut bytes)
            .doing(DOING)
            .map_err(|error| error.at_block(address))?;
        let node = Node::decode(&bytes, self.volume_id, pointer, level)
            .doing(DOING)
            .map_err(|error| error.at_block(address))?;
        Ok(Arc::new(node))
    }
}

/// Where a block begins on the device. An address too large for this is out of range anyway.
fn byte_offset(address: BlockAddress) -> u64 {
    address.saturating_mul(BLOCK_SIZE as u64)
}

/// Writes nodes; those that lie side by side go in one transfer.
pub(super) struct NodeWriter<'a> {
    device: &'a dyn BlockDevice,
    start: BlockAddress,
    pending: Vec<Vec<u8>>,
}

impl<'a> NodeWriter<'a> {
    pub(super) fn new(store: &'a NodeStore) -> Self {
        Self { device: &*store.device, start: 0, pending: Vec::new() }
    }

    /// Writes the bytes of a node to `address`, now or with those that follow.
    pub(super) fn write(&mut self, address: BlockAddress, node: Vec<u8>) -> Result<(), StoreError> {
        let follows = self.start + self.pending.len() as u64 * NODE_BLOCKS == address;
        if !follows || self.pending.len() >= BATCH_NODES {
            self.finish()?;
        }
        if self.pending.is_empty() {
            self.start = address;
        }
        self.pending.push(node);
        Ok(())
    }

    /// Writes what is still pending. Nothing is flushed.
    pub(super) fn finish(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let slices: Vec<IoSlice<'_>> = self.pending.iter().map(|node| IoSlice::new(node)).collect();
        self.device
            .write_at(byte_offset(self.start), &slices)
            .doing("writing tree nodes")
            .map_err(|error| error.at_block(self.start))?;
        self.pending.clear();
        Ok(())
    }
}
