//! A volume in memory, items of any size, and a checker of what a tree must be.

use std::collections::BTreeMap;
use std::sync::Arc;

use braidfs_block::MemoryDevice;
use braidfs_format::{
    BlockAddress, Extent, ExtentContent, Item, Key, KeyKind, NODE_BLOCKS, Node, NodeEntries,
    NodePointer, XattrBucket, XattrEntry,
};
use uuid::Uuid;

use crate::error::StoreError;
use crate::tree::{NodeStore, Tree, TreeCommit, TreeEdit};

pub type Model = BTreeMap<Key, Item>;

/// A device with one tree on it, whose nodes are never used again unless freed on purpose.
pub struct Volume {
    pub device: Arc<MemoryDevice>,
    pub store: Arc<NodeStore>,
    pub tree: Option<Tree>,
    pub node_count: i64,
    pub next_address: BlockAddress,
    pub birth: u64,
}

impl Volume {
    pub fn new(cache_bytes: usize) -> Self {
        let device = Arc::new(MemoryDevice::new(1 << 32));
        let store = NodeStore::new(device.clone(), Uuid::from_u128(7), cache_bytes);
        Self { device, store, tree: None, node_count: 0, next_address: 16, birth: 1 }
    }

    pub fn edit(&self) -> TreeEdit {
        match &self.tree {
            Some(tree) => tree.edit(),
            None => TreeEdit::create(self.store.clone()),
        }
    }

    pub fn finish(&mut self, edit: TreeEdit) -> TreeCommit {
        self.birth += 1;
        let next = &mut self.next_address;
        let mut allocate = || -> Result<BlockAddress, StoreError> {
            *next += NODE_BLOCKS;
            Ok(*next - NODE_BLOCKS)
        };
        let commit = edit.finish(&mut allocate, self.birth).unwrap();
        self.node_count += commit.node_count_change;
        self.tree = Some(commit.tree.clone());
        commit
    }

    /// The tree again, with a cache that knows nothing.
    pub fn reopen(&mut self, cache_bytes: usize) -> Tree {
        let old = self.tree.clone().unwrap();
        self.store = NodeStore::new(self.device.clone(), Uuid::from_u128(7), cache_bytes);
        let tree = Tree::open(self.store.clone(), old.root(), old.level());
        self.tree = Some(tree.clone());
        tree
    }
}

/// An extended attribute bucket that takes about `bytes`.
pub fn sized_item(bytes: usize) -> Item {
    let mut left = bytes.clamp(8, 5000);
    let mut entries = Vec::new();
    while left > 0 {
        let value = left.min(4000);
        let name = format!("user.{}", entries.len()).into_bytes().into();
        entries.push(XattrEntry { name, value: vec![left as u8; value].into() });
        left -= value;
    }
    Item::Xattr(XattrBucket { entries })
}

/// An extent of `length` data blocks at `address`.
pub fn extent(address: BlockAddress, length: u32) -> Item {
    let checksums = (0..length).collect();
    Item::Extent(Extent { length, content: ExtentContent::Blocks { address, birth: 1, checksums } })
}

/// Every entry of a tree.
pub fn contents(tree: &Tree) -> Vec<(Key, Item)> {
    let end = Key { inode: u64::MAX, kind: KeyKind::Orphan, offset: u64::MAX };
    tree.range(&Key::MIN, &end, usize::MAX).unwrap()
}

pub fn assert_same(tree: &Tree, model: &Model) {
    let expected: Vec<_> = model.iter().map(|(key, item)| (*key, item.clone())).collect();
    assert!(contents(tree) == expected, "the tree differs from the model");
}

/// What a walk over all nodes found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shape {
    pub nodes: Vec<BlockAddress>,
    pub leaves: usize,
    pub leaf_bytes: usize,
    pub underfull: usize,
}

/// Walks all nodes and checks keys, levels and separators.
pub fn shape(tree: &Tree) -> Shape {
    let mut shape = Shape::default();
    walk(tree, &tree.root(), tree.level(), &mut shape);
    shape
}

fn walk(tree: &Tree, pointer: &NodePointer, level: u8, shape: &mut Shape) -> Option<Key> {
    let node = tree.store().node(pointer, level).unwrap();
    shape.nodes.push(pointer.address);
    let is_root = *pointer == tree.root();
    let bytes: usize = match &node.entries {
        NodeEntries::Leaf(entries) => {
            entries.iter().map(|(_, item)| Node::leaf_entry_bytes(item)).sum()
        }
        NodeEntries::Interior(entries) => entries.len() * Node::INTERIOR_ENTRY_BYTES,
    };
    assert!(bytes <= Node::CAPACITY_BYTES);
    assert!(is_root || bytes > 0, "an empty node");
    shape.underfull += usize::from(!is_root && bytes < Node::CAPACITY_BYTES / 4);
    match &node.entries {
        NodeEntries::Leaf(entries) => {
            shape.leaves += 1;
            shape.leaf_bytes += bytes;
            entries.first().map(|(key, _)| *key)
        }
        NodeEntries::Interior(entries) => {
            assert!(!is_root || entries.len() > 1, "a root with a single child");
            for (key, child) in entries {
                assert_eq!(walk(tree, child, level - 1, shape), Some(*key), "a separator");
            }
            entries.first().map(|(key, _)| *key)
        }
    }
}

/// The key of the `index`-th extended attribute of `inode`; hashes begin at 2.
pub fn key(inode: u64, index: u64) -> Key {
    Key { inode, kind: KeyKind::Xattr, offset: index + 2 }
}
