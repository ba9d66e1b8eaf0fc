//! Deleting one key from an edit.

use braidfs_format::{Item, Key, Node};

use super::{Journal, TreeEdit};
use crate::error::StoreError;
use crate::tree::dirty::{Child, DirtyEntries, DirtyNode};
use crate::tree::view::child_index;

impl TreeEdit {
    /// Deletes what is under `key` and returns it. Looking in vain makes nothing dirty.
    pub fn delete(&mut self, key: &Key) -> Result<Option<Item>, StoreError> {
        if self.get(key)?.is_none() {
            return Ok(None);
        }
        let root = self.journal.make_dirty(&mut self.root, self.level)?;
        let deleted = delete_below(&mut self.journal, root, self.level, key)?;
        self.replace_empty_root();
        Ok(deleted)
    }

    /// An interior root that lost all its children makes way for an empty leaf.
    pub(super) fn replace_empty_root(&mut self) {
        if let Child::Dirty(root) = &mut self.root
            && root.is_empty()
        {
            *root = DirtyNode::empty_leaf();
            self.level = 0;
        }
    }
}

fn delete_below(
    journal: &mut Journal,
    node: &mut DirtyNode,
    level: u8,
    key: &Key,
) -> Result<Option<Item>, StoreError> {
    node.run_end = 0;
    match &mut node.entries {
        DirtyEntries::Leaf(entries) => {
            let place = entries.binary_search_by(|(candidate, _)| candidate.cmp(key)).ok();
            let deleted = place.map(|place| entries.remove(place).1);
            let freed = deleted.as_ref().map_or(0, Node::leaf_entry_bytes);
            node.bytes = node.bytes.saturating_sub(freed);
            Ok(deleted)
        }
        DirtyEntries::Interior(entries) => {
            let index = child_index(entries, key);
            let Some((bound, child)) = entries.get_mut(index) else {
                return Ok(None);
            };
            let below = level.saturating_sub(1);
            let child = journal.make_dirty(child, below)?;
            let deleted = delete_below(journal, child, below, key)?;
            if let Some(first) = child.first_key() {
                *bound = first;
            } else {
                entries.remove(index);
                node.bytes = node.bytes.saturating_sub(Node::INTERIOR_ENTRY_BYTES);
                journal.drop_dirty();
            }
            Ok(deleted)
        }
    }
}
