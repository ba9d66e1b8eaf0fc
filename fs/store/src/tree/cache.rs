//! The node cache: decoded nodes by address, bounded in bytes.
//!
//! Each shard is a CLOCK: a hit marks its node, the hand spares a marked node once. A node enters
//! unmarked, so that a scan pushes out other nodes of the scan before those in use.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use braidfs_format::node::{NodeEntries, NodePointer};
use braidfs_format::{BlockAddress, ExtentContent, Item, Key, NODE_BLOCKS, Node};
use parking_lot::Mutex;

const SHARDS: usize = 16;

/// What the node cache holds and how well it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheCounters {
    /// Look-ups that found their node.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// Nodes in the cache.
    pub nodes: u64,
    /// Bytes of memory that they take, about.
    pub bytes: u64,
}

/// Decoded nodes by address.
pub(super) struct NodeCache {
    shards: Vec<Mutex<Shard>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Default)]
struct Shard {
    places: HashMap<BlockAddress, usize>,
    slots: Vec<Slot>,
    hand: usize,
    bytes: usize,
    budget: usize,
}

struct Slot {
    pointer: NodePointer,
    node: Arc<Node>,
    bytes: usize,
    referenced: bool,
}

impl NodeCache {
    /// A cache of about `budget_bytes`; it always has room for one node in each shard.
    pub(super) fn new(budget_bytes: usize) -> Self {
        let budget = budget_bytes / SHARDS;
        let shard = || Mutex::new(Shard { budget, ..Shard::default() });
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    fn shard(&self, address: BlockAddress) -> Option<&Mutex<Shard>> {
        self.shards.get((address / NODE_BLOCKS) as usize % SHARDS)
    }

    /// The node that `pointer` points to, if it is here.
    pub(super) fn get(&self, pointer: &NodePointer) -> Option<Arc<Node>> {
        let found = self.shard(pointer.address).and_then(|shard| shard.lock().get(pointer));
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps `node`, in place of what was cached for its address.
    pub(super) fn insert(&self, pointer: NodePointer, node: Arc<Node>) {
        let bytes = memory_bytes(&node);
        let slot = Slot { pointer, node, bytes, referenced: false };
        if let Some(shard) = self.shard(pointer.address) {
            shard.lock().insert(slot);
        }
    }

    pub(super) fn counters(&self) -> CacheCounters {
        let mut counters = CacheCounters {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            ..CacheCounters::default()
        };
        for shard in &self.shards {
            let shard = shard.lock();
            counters.nodes += shard.slots.len() as u64;
            counters.bytes += shard.bytes as u64;
        }
        counters
    }
}

impl Shard {
    fn get(&mut self, pointer: &NodePointer) -> Option<Arc<Node>> {
        let slot = self.slots.get_mut(*self.places.get(&pointer.address)?)?;
        if slot.pointer != *pointer {
            return None;
        }
        slot.referenced = true;
        Some(slot.node.clone())
    }

    fn insert(&mut self, slot: Slot) {
        if let Some(&place) = self.places.get(&slot.pointer.address) {
            self.remove(place);
        }
        while self.bytes + slot.bytes > self.budget && !self.slots.is_empty() {
            self.evict_or_spare();
        }
        self.bytes += slot.bytes;
        self.places.insert(slot.pointer.address, self.slots.len());
        self.slots.push(slot);
    }

    /// One step of the hand: clears a mark, or removes an unmarked node.
    fn evict_or_spare(&mut self) {
        if self.hand >= self.slots.len() {
            self.hand = 0;
        }
        let spared =
            self.slots.get_mut(self.hand).is_some_and(|slot| mem::take(&mut slot.referenced));
        if spared {
            self.hand += 1;
        } else {
            self.remove(self.hand);
        }
    }

    fn remove(&mut self, place: usize) {
        if place >= self.slots.len() {
            return;
        }
        let slot = self.slots.swap_remove(place);
        self.bytes -= slot.bytes;
        self.places.remove(&slot.pointer.address);
        if let Some(moved) = self.slots.get(place) {
            self.places.insert(moved.pointer.address, place);
        }
    }
}

/// About the bytes of memory that a decoded node takes.
fn memory_bytes(node: &Node) -> usize {
    let entries = match &node.entries {
        NodeEntries::Leaf(entries) => {
            let own = entries.capacity() * size_of::<(Key, Item)>();
            own + entries.iter().map(|(_, item)| heap_bytes(item)).sum::<usize>()
        }
        NodeEntries::Interior(entries) => entries.capacity() * size_of::<(Key, NodePointer)>(),
    };
    entries + size_of::<Node>() + size_of::<Slot>()
}

/// Bytes that an item has allocated. An allocation costs about 16 bytes on top.
fn heap_bytes(item: &Item) -> usize {
    const OVERHEAD: usize = 16;
    match item {
        Item::Inode(_) | Item::Orphan | Item::Shared(_) => 0,
        Item::Xattr(bucket) => {
            let entry = |name: &[u8], value: &[u8]| 64 + name.len() + value.len();
            bucket.entries.iter().map(|found| entry(&found.name, &found.value)).sum::<usize>()
                + OVERHEAD
        }
        Item::Dirent(bucket) => {
            bucket.entries.iter().map(|found| 48 + found.name.len()).sum::<usize>() + OVERHEAD
        }
        Item::Extent(extent) => match &extent.content {
            ExtentContent::Blocks { checksums, .. } => checksums.len() * 4 + 2 * OVERHEAD,
            ExtentContent::Inline { bytes } => bytes.len() + 2 * OVERHEAD,
            ExtentContent::Unwritten { .. } => 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn node(address: u64, birth: u64) -> (NodePointer, Arc<Node>) {
        let entries = NodeEntries::Leaf(Vec::new());
        let node = Node { volume_id: Uuid::nil(), address, birth, level: 0, entries };
        (NodePointer { address, birth, checksum: 7 }, Arc::new(node))
    }

    /// A cache with room for `count` empty leaves in each shard.
    fn cache_for(count: usize) -> NodeCache {
        NodeCache::new(count * SHARDS * memory_bytes(&node(4, 1).1))
    }

    /// Addresses of the first shard.
    fn address(index: u64) -> u64 {
        index * SHARDS as u64 * NODE_BLOCKS
    }

    #[test]
    fn a_node_of_another_life_of_its_address_is_no_hit() {
        let cache = cache_for(4);
        let (old, node_of_old) = node(8, 1);
        cache.insert(old, node_of_old);
        let new = NodePointer { birth: 2, ..old };
        assert!(cache.get(&old).is_some());
        assert!(cache.get(&new).is_none());
        cache.insert(new, node(8, 2).1);
        assert!(cache.get(&old).is_none());
        assert_eq!(cache.get(&new).map(|node| node.birth), Some(2));
        let counters = cache.counters();
        assert_eq!((counters.hits, counters.misses, counters.nodes), (2, 2, 1));
    }

    #[test]
    fn a_scan_pushes_out_itself_before_what_is_in_use() {
        let cache = cache_for(4);
        let (hot, hot_node) = node(address(1), 1);
        cache.insert(hot, hot_node);
        for index in 2..200 {
            assert!(cache.get(&hot).is_some(), "lost at {index}");
            let (pointer, node) = node(address(index), 1);
            cache.insert(pointer, node);
            assert!(cache.counters().nodes <= 4);
        }
        assert!(cache.counters().bytes > 0);
    }

    #[test]
    fn one_node_is_kept_however_small_the_budget() {
        let cache = NodeCache::new(0);
        for index in 1..10 {
            let (pointer, node) = node(address(index), 1);
            cache.insert(pointer, node);
            assert!(cache.get(&pointer).is_some());
            assert_eq!(cache.counters().nodes, 1);
        }
    }
}
