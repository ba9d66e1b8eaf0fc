//! An edit: a tree in the making beside the one it starts from.
//!
//! The nodes on the way to a change are copied into memory once and changed in place from then on;
//! all others stay pointers to the tree on the device, which remains readable. Each operation keeps
//! the keys of children exact and nodes within their room; nodes that became small or single
//! children are left for [`TreeEdit::finish`], so that deleting and putting in turns costs nothing.
//!
//! An operation reads before it changes, but one that fails half-way may leave the edit without
//! some entries: after an error an edit must be dropped.

mod delete;
mod finish;
mod put;
mod rebalance;
mod remove_range;

use std::sync::Arc;

use braidfs_format::{BlockAddress, Item, Key};

use super::dirty::{Child, DirtyNode};
use super::node_store::NodeStore;
use super::snapshot::Tree;
use super::subtree::Subtree;
use crate::error::StoreError;

pub use finish::TreeCommit;

/// Changes to a tree that are not on the device yet.
pub struct TreeEdit {
    journal: Journal,
    root: Child,
    level: u8,
}

/// What an edit keeps track of while it changes nodes.
struct Journal {
    store: Arc<NodeStore>,
    /// Nodes of the old tree that the new one does not have.
    freed: Vec<BlockAddress>,
    /// Nodes in memory.
    dirty_nodes: u64,
}

impl Journal {
    /// The node behind `child`, for change: copied into memory if it is not there yet.
    fn make_dirty<'c>(
        &mut self,
        child: &'c mut Child,
        level: u8,
    ) -> Result<&'c mut DirtyNode, StoreError> {
        if let Child::Stored(pointer) = *child {
            let node = self.store.node(&pointer, level)?;
            self.freed.push(pointer.address);
            self.dirty_nodes += 1;
            *child = Child::Dirty(DirtyNode::copy_of(&node));
        }
        match child {
            Child::Dirty(node) => Ok(node),
            Child::Stored(_) => Err(StoreError::invalid(
                "changing the tree",
                "a node that was copied into memory is not there; check the volume with fsck",
            )),
        }
    }

    /// A dirty node is no more.
    fn drop_dirty(&mut self) {
        self.dirty_nodes = self.dirty_nodes.saturating_sub(1);
    }
}

impl TreeEdit {
    /// An edit that starts from no tree at all.
    #[cfg(test)]
    pub fn create(store: Arc<NodeStore>) -> Self {
        let journal = Journal { store, freed: Vec::new(), dirty_nodes: 1 };
        Self { journal, root: Child::Dirty(DirtyNode::empty_leaf()), level: 0 }
    }

    /// An edit that starts from `tree`.
    pub(super) fn of(tree: &Tree) -> Self {
        let store = tree.store().clone();
        let journal = Journal { store, freed: Vec::new(), dirty_nodes: 0 };
        Self { journal, root: Child::Stored(tree.root()), level: tree.level() }
    }

    /// The nodes that the edit holds in memory.
    #[cfg(test)]
    pub fn dirty_nodes(&self) -> u64 {
        self.journal.dirty_nodes
    }

    pub(super) fn top(&self) -> Subtree<'_> {
        Subtree { store: &self.journal.store, place: (&self.root).into(), level: self.level }
    }

    /// The item under `key`, as edited.
    pub fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        self.top().get(key)
    }

    /// The entries from `from` to below `to_exclusive`, as edited.
    pub fn range(&self, from: &Key, to_exclusive: &Key) -> Result<Vec<(Key, Item)>, StoreError> {
        self.top().range(from, to_exclusive, usize::MAX)
    }

    /// The entry with the largest key that is not above `key`, as edited.
    pub fn last_at_or_before(&self, key: &Key) -> Result<Option<(Key, Item)>, StoreError> {
        self.top().last_at_or_before(key)
    }
}
