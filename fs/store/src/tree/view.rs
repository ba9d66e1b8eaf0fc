//! One way to look at nodes on the device and at dirty ones in memory.

use std::sync::Arc;

use braidfs_format::{Item, Key, Node, NodeEntries, NodePointer};

use super::dirty::{Child, DirtyEntries, DirtyNode};
use super::node_store::NodeStore;
use crate::error::StoreError;

/// Where a node is.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// On the device.
    Stored(NodePointer),
    /// In memory, part of an edit.
    Dirty(&'a DirtyNode),
}

/// A node that can be looked into.
pub(super) enum NodeView<'a> {
    Stored(Arc<Node>),
    Dirty(&'a DirtyNode),
}

impl<'a> Place<'a> {
    /// The node itself, read if need be.
    pub(super) fn load(self, store: &NodeStore, level: u8) -> Result<NodeView<'a>, StoreError> {
        match self {
            Self::Stored(pointer) => Ok(NodeView::Stored(store.node(&pointer, level)?)),
            Self::Dirty(node) => Ok(NodeView::Dirty(node)),
        }
    }
}

impl<'a> From<&'a Child> for Place<'a> {
    fn from(child: &'a Child) -> Self {
        match child {
            Child::Stored(pointer) => Self::Stored(*pointer),
            Child::Dirty(node) => Self::Dirty(node),
        }
    }
}

impl<'a> NodeView<'a> {
    /// The entries of a leaf, `None` for an interior node.
    pub(super) fn leaf(&self) -> Option<&[(Key, Item)]> {
        match self {
            Self::Stored(node) => match &node.entries {
                NodeEntries::Leaf(entries) => Some(entries),
                NodeEntries::Interior(_) => None,
            },
            Self::Dirty(node) => match &node.entries {
                DirtyEntries::Leaf(entries) => Some(entries),
                DirtyEntries::Interior(_) => None,
            },
        }
    }

    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Stored(node) => node.entries.len(),
            Self::Dirty(node) => node.len(),
        }
    }

    /// Child `index` of an interior node.
    pub(super) fn child(&self, index: usize) -> Option<Place<'a>> {
        match self {
            Self::Stored(node) => match &node.entries {
                NodeEntries::Interior(entries) => {
                    entries.get(index).map(|(_, pointer)| Place::Stored(*pointer))
                }
                NodeEntries::Leaf(_) => None,
            },
            Self::Dirty(node) => {
                let node: &'a DirtyNode = node;
                match &node.entries {
                    DirtyEntries::Interior(entries) => {
                        entries.get(index).map(|(_, child)| child.into())
                    }
                    DirtyEntries::Leaf(_) => None,
                }
            }
        }
    }

    /// The index of the child below which `key` is, if it is in the tree.
    pub(super) fn child_index(&self, key: &Key) -> usize {
        match self {
            Self::Stored(node) => match &node.entries {
                NodeEntries::Interior(entries) => child_index(entries, key),
                NodeEntries::Leaf(_) => 0,
            },
            Self::Dirty(node) => match &node.entries {
                DirtyEntries::Interior(entries) => child_index(entries, key),
                DirtyEntries::Leaf(_) => 0,
            },
        }
    }
}

/// The last entry whose key is not above `key`; the first if there is none.
pub(super) fn child_index<T>(entries: &[(Key, T)], key: &Key) -> usize {
    entries.partition_point(|(bound, _)| bound <= key).saturating_sub(1)
}
