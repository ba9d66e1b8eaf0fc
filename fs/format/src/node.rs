//! Nodes of the copy-on-write B+tree.
//!
//! A node is a header of [`NODE_HEADER_BYTES`], its entries packed one behind the other, then zeros.
//! It is decoded as a whole, so entries need no table of offsets.

mod check;
mod codec;

use uuid::Uuid;

use crate::geometry::{BlockAddress, DeltaNumber, NODE_SIZE};
use crate::item::Item;
use crate::key::Key;

/// Bytes of a node header on disk.
pub const NODE_HEADER_BYTES: usize = 64;
/// The first eight bytes of a node.
pub const NODE_MAGIC: [u8; 8] = *b"BRAIDNOD";
/// The highest level that a node can have; no volume holds enough keys for half of it.
pub const MAX_LEVEL: u8 = 15;

/// Points to a node: where it is, when it was born, and what its content sums up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodePointer {
    /// First block of the node.
    pub address: BlockAddress,
    /// The delta through which the unify that wrote it had folded.
    pub birth: DeltaNumber,
    /// The checksum in the node's header.
    pub checksum: u32,
}

/// The entries of a node, sorted by key, without duplicates, never empty (but for an empty root leaf).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeEntries {
    /// Level 0.
    Leaf(Vec<(Key, Item)>),
    /// Level 1 and above: the smallest key below each child. The first key is a lower bound.
    Interior(Vec<(Key, NodePointer)>),
}

/// A decoded node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The volume it belongs to.
    pub volume_id: Uuid,
    /// Its own address.
    pub address: BlockAddress,
    /// The delta it was born in.
    pub birth: DeltaNumber,
    /// 0 for a leaf.
    pub level: u8,
    /// What it holds.
    pub entries: NodeEntries,
}

impl NodePointer {
    /// Bytes of a pointer on disk: address u64, birth u64, checksum u32.
    pub const BYTES: usize = 20;
}

impl Node {
    /// Bytes of entries that a node has room for.
    pub const CAPACITY_BYTES: usize = NODE_SIZE - NODE_HEADER_BYTES;
    /// Bytes of a leaf entry before its item: the key and the item's length.
    pub const LEAF_ENTRY_HEADER_BYTES: usize = Key::BYTES + 2;
    /// Bytes of an entry of an interior node: a key and a pointer.
    pub const INTERIOR_ENTRY_BYTES: usize = Key::BYTES + NodePointer::BYTES;

    /// Bytes that an entry with `item` takes of a leaf.
    pub fn leaf_entry_bytes(item: &Item) -> usize {
        Self::LEAF_ENTRY_HEADER_BYTES + item.encoded_bytes()
    }
}
