//! Putting an item into an edit.

use braidfs_format::item::MAX_ITEM_BYTES;
use braidfs_format::node::MAX_LEVEL;
use braidfs_format::{Item, Key, Node};

use super::{Journal, TreeEdit};
use crate::error::{StoreError, StoreErrorKind};
use crate::tree::dirty::{Child, DirtyEntries, DirtyNode};
use crate::tree::view::child_index;

/// The upper part of a node that was cut in two, with its first key.
type Sibling = Option<(Key, Box<DirtyNode>)>;

impl TreeEdit {
    /// Puts `item` under `key`, in place of what is there.
    ///
    /// # Errors
    /// [`StoreErrorKind::TooLarge`] for an item longer than [`MAX_ITEM_BYTES`], and whatever reading
    /// the nodes on the way can give.
    pub fn put(&mut self, key: Key, item: Item) -> Result<(), StoreError> {
        check_length(&item)?;
        let root = self.journal.make_dirty(&mut self.root, self.level)?;
        let sibling = put_below(&mut self.journal, root, self.level, key, item)?;
        match sibling {
            Some(sibling) => self.grow(sibling),
            None => Ok(()),
        }
    }

    /// Puts a new root over the old one and the sibling that was cut from it.
    fn grow(&mut self, (key, sibling): (Key, Box<DirtyNode>)) -> Result<(), StoreError> {
        let level = self.level.checked_add(1).filter(|level| *level <= MAX_LEVEL);
        let Some(level) = level else {
            let detail = "the tree has as many levels as it can have; check the volume with fsck";
            return Err(StoreError::new(StoreErrorKind::TooLarge, "changing the tree", detail));
        };
        let first = match &self.root {
            Child::Dirty(root) => root.first_key().unwrap_or(Key::MIN),
            Child::Stored(_) => Key::MIN,
        };
        let old = std::mem::replace(&mut self.root, Child::Dirty(DirtyNode::empty_leaf()));
        let children = vec![(first, old), (key, Child::Dirty(sibling))];
        self.root = Child::Dirty(DirtyNode::interior(children));
        self.level = level;
        self.journal.dirty_nodes += 1;
        Ok(())
    }
}

fn check_length(item: &Item) -> Result<(), StoreError> {
    let length = item.encoded_bytes();
    if length <= MAX_ITEM_BYTES {
        return Ok(());
    }
    let detail = format!("an item of {length} bytes is longer than {MAX_ITEM_BYTES}");
    Err(StoreError::new(StoreErrorKind::TooLarge, "putting an item into the tree", detail))
}

fn put_below(
    journal: &mut Journal,
    node: &mut DirtyNode,
    level: u8,
    key: Key,
    item: Item,
) -> Result<Sibling, StoreError> {
    let place = match &mut node.entries {
        DirtyEntries::Leaf(entries) => {
            let (place, grown, shrunk) = put_into_leaf(entries, key, item);
            node.bytes = (node.bytes + grown).saturating_sub(shrunk);
            place
        }
        DirtyEntries::Interior(entries) => {
            let index = child_index(entries, &key);
            let Some((bound, child)) = entries.get_mut(index) else {
                return Err(empty_interior());
            };
            *bound = key.min(*bound);
            let below = level.saturating_sub(1);
            let child = journal.make_dirty(child, below)?;
            let Some((key, sibling)) = put_below(journal, child, below, key, item)? else {
                return Ok(None);
            };
            entries.insert(index + 1, (key, Child::Dirty(sibling)));
            node.bytes += Node::INTERIOR_ENTRY_BYTES;
            index + 1
        }
    };
    Ok(settle(journal, node, place))
}

/// Puts an entry into a leaf: its place, the bytes it takes and those that it freed.
fn put_into_leaf(entries: &mut Vec<(Key, Item)>, key: Key, item: Item) -> (usize, usize, usize) {
    let bytes = Node::leaf_entry_bytes(&item);
    match entries.binary_search_by(|(candidate, _)| candidate.cmp(&key)) {
        Ok(place) => {
            let old = entries.get_mut(place).map(|entry| std::mem::replace(&mut entry.1, item));
            (place, bytes, old.as_ref().map_or(0, Node::leaf_entry_bytes))
        }
        Err(place) => {
            entries.insert(place, (key, item));
            (place, bytes, 0)
        }
    }
}

/// Notes that an entry was put at `place`, and cuts the node in two if it holds too much now.
fn settle(journal: &mut Journal, node: &mut DirtyNode, place: usize) -> Sibling {
    let in_order = place > 0 && node.run_end == place;
    node.run_end = place + 1;
    if node.bytes <= Node::CAPACITY_BYTES {
        return None;
    }
    let sibling = node.split(place, in_order);
    journal.dirty_nodes += u64::from(sibling.is_some());
    sibling
}

/// The error for an interior node without children, which no decoder lets pass.
pub(super) fn empty_interior() -> StoreError {
    StoreError::corrupt(
        "changing the tree",
        "an interior node has no children; check the volume with fsck",
    )
}
