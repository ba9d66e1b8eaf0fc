//! A walk over leaves in key order that keeps its path and so never descends again.

use braidfs_format::{Item, Key};

use super::node_store::NodeStore;
use super::subtree::Subtree;
use super::view::{NodeView, Place};
use crate::error::StoreError;

/// A place between two entries of a tree.
pub(super) struct Cursor<'a> {
    store: &'a NodeStore,
    path: Vec<Step<'a>>,
}

/// A node on the path, and which of its entries is next.
struct Step<'a> {
    view: NodeView<'a>,
    level: u8,
    next: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor before the first entry of `subtree` whose key is not below `from`.
    pub(super) fn seek(subtree: Subtree<'a>, from: &Key) -> Result<Self, StoreError> {
        let mut cursor = Self { store: subtree.store, path: Vec::new() };
        let mut below = Some((subtree.place, subtree.level));
        while let Some((place, level)) = below {
            let view = place.load(cursor.store, level)?;
            let next = match view.leaf() {
                Some(leaf) => leaf.partition_point(|(key, _)| key < from),
                None => view.child_index(from) + 1,
            };
            below =
                view.child(next.saturating_sub(1)).map(|place| (place, level.saturating_sub(1)));
            cursor.path.push(Step { view, level, next });
        }
        Ok(cursor)
    }

    /// The next entry, `None` at the end.
    // Not an iterator: the entry is lent, so that walking a tree copies no items.
    #[allow(clippy::should_implement_trait)]
    pub(super) fn next(&mut self) -> Result<Option<(Key, &Item)>, StoreError> {
        if !self.settle()? {
            return Ok(None);
        }
        let entry = self.path.last_mut().and_then(|step| {
            let index = step.next;
            step.next += 1;
            step.view.leaf().and_then(|leaf| leaf.get(index))
        });
        Ok(entry.map(|(key, item)| (*key, item)))
    }

    /// Makes the path end at a leaf that has a next entry; false if there is none left.
    fn settle(&mut self) -> Result<bool, StoreError> {
        while let Some(step) = self.path.last_mut() {
            if step.next >= step.view.len() {
                self.path.pop();
                continue;
            }
            let Some(place) = step.view.child(step.next) else {
                return Ok(true);
            };
            step.next += 1;
            let level = step.level.saturating_sub(1);
            self.descend(place, level)?;
        }
        Ok(false)
    }

    fn descend(&mut self, place: Place<'a>, level: u8) -> Result<(), StoreError> {
        let view = place.load(self.store, level)?;
        self.path.push(Step { view, level, next: 0 });
        Ok(())
    }
}
