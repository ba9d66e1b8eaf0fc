//! Writing an edit: small nodes merge, every dirty node gets an address, children before parents.

use std::mem;

use braidfs_format::node::NodeEntries;
use braidfs_format::{BlockAddress, DeltaNumber, Node, NodePointer};

use super::rebalance::rebalance;
use super::{Journal, TreeEdit};
use crate::error::{ErrorContext, StoreError};
use crate::tree::dirty::{Child, DirtyEntries, DirtyNode};
use crate::tree::node_store::{NodeStore, NodeWriter};
use crate::tree::snapshot::Tree;

/// What an edit has become.
pub struct TreeCommit {
    /// The new tree. It lasts once the device was flushed and a superblock points to its root.
    pub tree: Tree,
    /// The nodes that were written.
    pub allocated_nodes: Vec<BlockAddress>,
    /// The nodes of the old tree that are not in the new one.
    pub freed_nodes: Vec<BlockAddress>,
    /// How many nodes the new tree has more than the old one.
    pub node_count_change: i64,
}

impl TreeEdit {
    /// Writes the edit as a tree born in `birth`, to addresses that `allocate` gives. Nothing is
    /// flushed. Without a change, nothing is written and the tree is the old one.
    ///
    /// # Errors
    /// Those of `allocate`, of reading a sibling to merge with and of the device. If `allocate`
    /// failed nothing was written, and what it had given before is the caller's to take back.
    pub fn finish(
        mut self,
        allocate: &mut dyn FnMut() -> Result<BlockAddress, StoreError>,
        birth: DeltaNumber,
    ) -> Result<TreeCommit, StoreError> {
        self.balance()?;
        let mut addresses = Vec::new();
        for _ in 0..self.journal.dirty_nodes {
            addresses.push(allocate()?);
        }
        // Ascending, so that what is allocated side by side is written in one transfer.
        addresses.sort_unstable();
        let Journal { store, freed, .. } = self.journal;
        let mut output = Output {
            store: &store,
            writer: NodeWriter::new(&store),
            free_addresses: addresses.iter(),
            birth,
        };
        let root = output.write(self.root, self.level)?;
        output.writer.finish()?;
        Ok(TreeCommit {
            tree: Tree::open(store, root, self.level),
            node_count_change: addresses.len() as i64 - freed.len() as i64,
            allocated_nodes: addresses,
            freed_nodes: freed,
        })
    }

    /// Merges small nodes and drops roots with a single child.
    fn balance(&mut self) -> Result<(), StoreError> {
        if let Child::Dirty(root) = &mut self.root {
            rebalance(&mut self.journal, root, self.level)?;
        }
        while let Some(only_child) = self.take_only_child() {
            self.root = only_child;
            self.level = self.level.saturating_sub(1);
            self.journal.drop_dirty();
        }
        Ok(())
    }

    fn take_only_child(&mut self) -> Option<Child> {
        match &mut self.root {
            Child::Dirty(root) => match &mut root.entries {
                DirtyEntries::Interior(children) if children.len() == 1 => {
                    children.pop().map(|(_, child)| child)
                }
                _ => None,
            },
            Child::Stored(_) => None,
        }
    }
}

/// Where dirty nodes go.
struct Output<'a> {
    store: &'a NodeStore,
    writer: NodeWriter<'a>,
    free_addresses: std::slice::Iter<'a, BlockAddress>,
    birth: DeltaNumber,
}

impl Output<'_> {
    /// Writes what is dirty of a subtree and returns the pointer to it.
    fn write(&mut self, child: Child, level: u8) -> Result<NodePointer, StoreError> {
        let node = match child {
            Child::Stored(pointer) => return Ok(pointer),
            Child::Dirty(node) => node,
        };
        let entries = self.write_children(*node, level)?;
        let address = self.free_addresses.next().copied().ok_or_else(uncounted)?;
        let volume_id = self.store.volume_id();
        let node = Node { volume_id, address, birth: self.birth, level, entries };
        let (bytes, checksum) = node.encode().doing("encoding a tree node")?;
        self.writer.write(address, bytes)?;
        let pointer = NodePointer { address, birth: self.birth, checksum };
        self.store.remember(pointer, node);
        Ok(pointer)
    }

    fn write_children(
        &mut self,
        mut node: DirtyNode,
        level: u8,
    ) -> Result<NodeEntries, StoreError> {
        match mem::replace(&mut node.entries, DirtyEntries::Leaf(Vec::new())) {
            DirtyEntries::Leaf(mut entries) => {
                entries.shrink_to_fit();
                Ok(NodeEntries::Leaf(entries))
            }
            DirtyEntries::Interior(children) => children
                .into_iter()
                .map(|(key, child)| Ok((key, self.write(child, level.saturating_sub(1))?)))
                .collect::<Result<_, StoreError>>()
                .map(NodeEntries::Interior),
        }
    }
}

/// The error for more dirty nodes than were counted.
fn uncounted() -> StoreError {
    StoreError::invalid(
        "writing tree nodes",
        "the edit holds more nodes than it counted; this is a defect, please report it",
    )
}
