//! The layers over the tree, and how reading merges them.
//!
//! From newest to oldest: the published deltas that are not known to be durable, one layer each;
//! `logged`, all durable deltas since the last unify merged into one; `unifying`, what a running
//! unify folds into the tree; the tree. The newest that says something about a key wins. A layer
//! that removed an inode hides everything of it further down.
//!
//! All of it stands behind one read-write lock of the store, held for short times only: no I/O is
//! done under it. A reader that must go on in the tree takes a [`View`] along.

mod chunk;
mod layer;
mod mapped;
mod sharing;

use std::collections::VecDeque;
use std::sync::Arc;

use braidfs_format::{DeltaNumber, InodeNumber, Item, Key};

use crate::footprint::Footprint;
use crate::pins::{Pins, ReadPin};
use crate::space::{BlockRun, Space};
use crate::tree::Tree;

pub(crate) use chunk::{Chunk, successor};
pub(crate) use layer::{Layer, keys_of, run_of};
pub use mapped::Mapped;
use sharing::Sharing;
pub(crate) use sharing::{AnyShared, Origin};

/// Everything that can be read, in order of age.
#[derive(Debug)]
pub(crate) struct Layers {
    published: VecDeque<Layer>,
    /// The sum of what the published layers may cost to fold.
    published_footprint: Footprint,
    logged: Layer,
    unifying: Option<Arc<Layer>>,
    tree: Tree,
    /// The next inode number as of the tree.
    tree_next_inode: InodeNumber,
    /// Counts the trees that were put in force.
    generation: u64,
    sharing: Sharing,
    pins: Pins,
}

/// The tree as it was when the layers were asked, safe to read after the lock is gone.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) tree: Tree,
    pub(crate) pin: ReadPin,
}

impl Layers {
    /// Nothing over `tree`, which holds every delta up to `through`.
    pub(crate) fn new(
        tree: Tree,
        through: DeltaNumber,
        next_inode: InodeNumber,
        space: Arc<Space>,
    ) -> Self {
        Self {
            published: VecDeque::new(),
            published_footprint: Footprint::default(),
            logged: Layer::empty(through, next_inode),
            unifying: None,
            tree,
            tree_next_inode: next_inode,
            generation: 0,
            sharing: Sharing::default(),
            pins: Pins::new(space),
        }
    }

    /// Adds the newest layer.
    pub(crate) fn publish(&mut self, mut layer: Layer) {
        layer.set_inode_change(self.count_inodes(&layer));
        self.published_footprint += layer.footprint();
        self.published.push_back(layer);
    }

    /// Merges the published layers up to `durable` into the logged one, and hands each delta and
    /// the blocks that it superseded, and that no other layer refers to, to `freed`.
    pub(crate) fn merge_through(
        &mut self,
        durable: DeltaNumber,
        mut freed: impl FnMut(DeltaNumber, Vec<BlockRun>),
    ) {
        while self.published.front().is_some_and(|layer| layer.through() <= durable) {
            let Some(layer) = self.published.pop_front() else { return };
            let delta = layer.through();
            self.published_footprint -= layer.footprint();
            self.logged.merge(layer);
            freed(delta, self.sharing.drop_all(self.logged.take_superseded()));
        }
    }

    /// Gives blocks back that nothing here refers to any more, once no reader needs them.
    pub(crate) fn retire(&mut self, runs: Vec<BlockRun>) {
        self.pins.retire(runs);
    }

    /// Moves the logged layer down, for a unify to fold it into the tree that is returned too.
    pub(crate) fn begin_unify(&mut self) -> (Arc<Layer>, Tree) {
        let empty = Layer::empty(self.logged.through(), self.logged.next_inode());
        let layer = Arc::new(std::mem::replace(&mut self.logged, empty));
        self.unifying = Some(Arc::clone(&layer));
        (layer, self.tree.clone())
    }

    /// Puts the tree that now holds the unified layer in force.
    pub(crate) fn end_unify(&mut self, tree: Tree) {
        self.tree = tree;
        self.generation += 1;
        if let Some(layer) = self.unifying.take() {
            self.tree_next_inode = layer.next_inode();
        }
    }

    /// Merges a layer that could not be folded into the tree with what was logged since. Returns
    /// what became free by that, and the delta that freed the newest of it.
    pub(crate) fn abandon_unify(&mut self, layer: Arc<Layer>) -> (DeltaNumber, Vec<BlockRun>) {
        self.unifying = None;
        let newer = std::mem::take(&mut self.logged);
        self.logged = Arc::unwrap_or_clone(layer);
        self.logged.merge(newer);
        (self.logged.through(), self.sharing.drop_all(self.logged.take_superseded()))
    }

    /// The tree in force, pinned.
    pub(crate) fn view(&self) -> View {
        View { tree: self.tree.clone(), pin: self.pins.pin() }
    }

    /// What the layers say about `key`; `None` if only the tree can tell.
    pub(crate) fn get(&self, key: &Key) -> Option<Option<Item>> {
        self.find(key).map(|item| item.cloned())
    }

    /// What folding all layers that no unify has begun with may cost.
    pub(crate) fn footprint(&self) -> Footprint {
        self.logged.footprint() + self.published_footprint
    }

    /// The durable deltas since the last unify.
    pub(crate) fn logged(&self) -> &Layer {
        &self.logged
    }

    /// The next inode number to hand out, as of the newest layer.
    pub(crate) fn next_inode(&self) -> InodeNumber {
        self.published.back().unwrap_or(&self.logged).next_inode()
    }

    /// How many inodes the layers add to those in the tree; negative if they remove more.
    pub(crate) fn inode_change(&self) -> i64 {
        self.newest_first().map(Layer::inode_change).sum()
    }

    /// How many inodes `layer` adds to those below it.
    ///
    /// Whether the tree holds an inode is told by its number alone, without reading: one that was
    /// published later than a number above it was unified is missed until the next unify counts.
    fn count_inodes(&self, layer: &Layer) -> i64 {
        let below = |inode| match self.find(&Key::inode(inode)) {
            Some(item) => item.is_some(),
            None => inode < self.tree_next_inode,
        };
        let change =
            |(inode, after): (InodeNumber, bool)| i64::from(after) - i64::from(below(inode));
        layer.inodes().map(change).sum()
    }

    fn find(&self, key: &Key) -> Option<Option<&Item>> {
        for layer in self.newest_first() {
            if let Some(item) = layer.get(key) {
                return Some(item.as_ref());
            }
            if layer.removes(key.inode) {
                return Some(None);
            }
        }
        None
    }

    fn newest_first(&self) -> impl Iterator<Item = &Layer> {
        let durable = std::iter::once(&self.logged).chain(self.unifying.as_deref());
        self.published.iter().rev().chain(durable)
    }
}
