//! Nodes of the copy-on-write B+tree.

use uuid::Uuid;

use crate::geometry::{BlockAddress, DeltaNumber};
use crate::item::Item;
use crate::key::Key;

/// Bytes of a node header on disk.
pub const NODE_HEADER_BYTES: usize = 64;

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
