//! Deleting a range of keys, as all of an inode.
//!
//! A child that lies wholly within the range goes with all that is below it: nothing of it is made
//! dirty, its leaves are only read, because whoever deletes wants to know which blocks the extents held.

use std::mem;

use braidfs_format::{Item, Key, NodeEntries, NodePointer};

use super::{Journal, TreeEdit};
use crate::error::StoreError;
use crate::tree::dirty::{Child, DirtyEntries, DirtyNode, weight_of};
use crate::tree::subtree::Subtree;
use crate::tree::view::child_index;

/// A range of keys that is being deleted, and who is told.
struct Removal<'v> {
    from: Key,
    to_exclusive: Key,
    visit: &'v mut dyn FnMut(&Key, &Item),
}

impl TreeEdit {
    /// Deletes every key from `from` to below `to_exclusive` and tells `visit` each entry, in order.
    pub fn delete_range(
        &mut self,
        from: &Key,
        to_exclusive: &Key,
        visit: &mut dyn FnMut(&Key, &Item),
    ) -> Result<(), StoreError> {
        if from >= to_exclusive || !self.top().holds_any(from, to_exclusive)? {
            return Ok(());
        }
        let mut removal = Removal { from: *from, to_exclusive: *to_exclusive, visit };
        let root = self.journal.make_dirty(&mut self.root, self.level)?;
        removal.remove_below(&mut self.journal, root, self.level, None)?;
        self.replace_empty_root();
        Ok(())
    }
}

impl Removal<'_> {
    /// Deletes the range from a node whose keys are all below `upper`, if that is known.
    fn remove_below(
        &mut self,
        journal: &mut Journal,
        node: &mut DirtyNode,
        level: u8,
        upper: Option<Key>,
    ) -> Result<(), StoreError> {
        node.run_end = 0;
        match &mut node.entries {
            DirtyEntries::Leaf(entries) => {
                self.remove_from_leaf(entries);
                node.bytes = weight_of(entries);
            }
            DirtyEntries::Interior(entries) => {
                self.remove_children(journal, entries, level.saturating_sub(1), upper)?;
                node.bytes = weight_of(entries);
            }
        }
        Ok(())
    }

    fn remove_from_leaf(&mut self, entries: &mut Vec<(Key, Item)>) {
        let start = entries.partition_point(|(key, _)| *key < self.from);
        let end = entries.partition_point(|(key, _)| *key < self.to_exclusive);
        for (key, item) in entries.drain(start..end.max(start)) {
            (self.visit)(&key, &item);
        }
    }

    fn remove_children(
        &mut self,
        journal: &mut Journal,
        entries: &mut Vec<(Key, Child)>,
        level: u8,
        upper: Option<Key>,
    ) -> Result<(), StoreError> {
        let start = child_index(entries, &self.from);
        let end = entries.partition_point(|(key, _)| *key < self.to_exclusive);
        let behind = entries.split_off(end.max(start));
        let touched = entries.split_off(start);
        let last = behind.first().map(|(key, _)| *key).or(upper);
        let uppers: Vec<_> =
            touched.iter().skip(1).map(|(key, _)| Some(*key)).chain([last]).collect();
        for ((bound, child), upper) in touched.into_iter().zip(uppers) {
            entries.extend(self.remove_child(journal, (bound, child), level, upper)?);
        }
        entries.extend(behind);
        Ok(())
    }

    /// Deletes the range from a child; what is left of it comes back with its first key.
    fn remove_child(
        &mut self,
        journal: &mut Journal,
        (bound, mut child): (Key, Child),
        level: u8,
        upper: Option<Key>,
    ) -> Result<Option<(Key, Child)>, StoreError> {
        if bound >= self.from && upper.is_some_and(|upper| upper <= self.to_exclusive) {
            self.dispose(journal, child, level)?;
            return Ok(None);
        }
        let subtree = Subtree { store: &journal.store, place: (&child).into(), level };
        if !subtree.holds_any(&self.from, &self.to_exclusive)? {
            return Ok(Some((bound, child)));
        }
        let node = journal.make_dirty(&mut child, level)?;
        self.remove_below(journal, node, level, upper)?;
        let first = node.first_key();
        if first.is_none() {
            journal.drop_dirty();
        }
        Ok(first.map(|first| (first, child)))
    }

    /// Frees a child and all that is below it.
    fn dispose(
        &mut self,
        journal: &mut Journal,
        child: Child,
        level: u8,
    ) -> Result<(), StoreError> {
        let mut node = match child {
            Child::Stored(pointer) => return self.dispose_stored(journal, &pointer, level),
            Child::Dirty(node) => node,
        };
        journal.drop_dirty();
        match mem::replace(&mut node.entries, DirtyEntries::Leaf(Vec::new())) {
            DirtyEntries::Leaf(entries) => {
                entries.iter().for_each(|(key, item)| (self.visit)(key, item));
                Ok(())
            }
            DirtyEntries::Interior(entries) => entries
                .into_iter()
                .try_for_each(|(_, child)| self.dispose(journal, child, level.saturating_sub(1))),
        }
    }

    fn dispose_stored(
        &mut self,
        journal: &mut Journal,
        pointer: &NodePointer,
        level: u8,
    ) -> Result<(), StoreError> {
        let node = journal.store.last_look(pointer, level)?;
        journal.freed.push(pointer.address);
        match &node.entries {
            NodeEntries::Leaf(entries) => {
                entries.iter().for_each(|(key, item)| (self.visit)(key, item));
                Ok(())
            }
            NodeEntries::Interior(entries) => entries.iter().try_for_each(|(_, child)| {
                self.dispose_stored(journal, child, level.saturating_sub(1))
            }),
        }
    }
}
