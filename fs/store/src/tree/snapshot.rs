//! An immutable tree, as a unify left it.

use std::fmt;
use std::sync::Arc;

use braidfs_format::{Item, Key, NODE_BLOCKS, NodePointer};

use super::edit::TreeEdit;
use super::node_store::NodeStore;
use super::subtree::Subtree;
use super::view::Place;
use crate::error::StoreError;
use crate::space::BlockRun;

/// A snapshot of the tree; clones share it.
#[derive(Clone)]
pub struct Tree {
    shared: Arc<Snapshot>,
}

struct Snapshot {
    store: Arc<NodeStore>,
    root: NodePointer,
    level: u8,
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("root", &self.root()).field("level", &self.level()).finish()
    }
}

impl Tree {
    /// The tree whose root, at `level`, is what `root` points to. Nothing is read yet.
    pub fn open(store: Arc<NodeStore>, root: NodePointer, level: u8) -> Self {
        Self { shared: Arc::new(Snapshot { store, root, level }) }
    }

    /// Where the root is.
    pub fn root(&self) -> NodePointer {
        self.shared.root
    }

    /// The level of the root; 0 if it is a leaf.
    pub fn level(&self) -> u8 {
        self.shared.level
    }

    /// Where the nodes come from.
    pub fn store(&self) -> &Arc<NodeStore> {
        &self.shared.store
    }

    fn top(&self) -> Subtree<'_> {
        let Snapshot { store, root, level } = &*self.shared;
        Subtree { store, place: Place::Stored(*root), level: *level }
    }

    /// The item under `key`.
    pub fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        self.top().get(key)
    }

    /// The entry with the largest key that is not above `key`, as for the extent that a block is in.
    pub fn last_at_or_before(&self, key: &Key) -> Result<Option<(Key, Item)>, StoreError> {
        self.top().last_at_or_before(key)
    }

    /// The first `limit` entries from `from` to below `to_exclusive`, in order.
    pub fn range(
        &self,
        from: &Key,
        to_exclusive: &Key,
        limit: usize,
    ) -> Result<Vec<(Key, Item)>, StoreError> {
        self.top().range(from, to_exclusive, limit)
    }

    /// An edit that starts from this tree and leaves it as it is.
    pub fn edit(&self) -> TreeEdit {
        TreeEdit::of(self)
    }

    /// Tells `visit` every run of blocks that this tree holds: its nodes and the blocks of its
    /// extents, in no particular order.
    pub fn visit_blocks(&self, visit: &mut dyn FnMut(BlockRun)) -> Result<(), StoreError> {
        self.top().visit_blocks(visit)
    }
}

impl Subtree<'_> {
    fn visit_blocks(self, visit: &mut dyn FnMut(BlockRun)) -> Result<(), StoreError> {
        if let Place::Stored(pointer) = self.place {
            visit(BlockRun::new(pointer.address, NODE_BLOCKS));
        }
        let view = self.place.load(self.store, self.level)?;
        for (_, item) in view.leaf().unwrap_or_default() {
            if let Item::Extent(extent) = item
                && let Some((start, length)) = extent.blocks()
            {
                visit(BlockRun::new(start, length));
            }
        }
        for index in 0..view.len() {
            let Some(place) = view.child(index) else {
                break;
            };
            self.below(place).visit_blocks(visit)?;
        }
        Ok(())
    }
}
