//! Nodes of an edit: those that differ from the tree on the device, held in memory.

use std::mem;

use braidfs_format::{Item, Key, Node, NodeEntries, NodePointer};

/// A child of a dirty interior node.
pub(super) enum Child {
    /// As it is on the device.
    Stored(NodePointer),
    /// Changed; it has no address yet.
    Dirty(Box<DirtyNode>),
}

/// The entries of a dirty node.
pub(super) enum DirtyEntries {
    Leaf(Vec<(Key, Item)>),
    Interior(Vec<(Key, Child)>),
}

/// A node in memory. Between two operations it takes no more than a node has room for.
pub(super) struct DirtyNode {
    /// Bytes that the entries will take.
    pub(super) bytes: usize,
    /// The place behind the entry put last: where the next one goes if keys come in order.
    pub(super) run_end: usize,
    pub(super) entries: DirtyEntries,
}

/// What an entry's value takes in a node, its key included.
pub(super) trait Weight {
    fn weight(&self) -> usize;
}

impl Weight for Item {
    fn weight(&self) -> usize {
        Node::leaf_entry_bytes(self)
    }
}

impl Weight for Child {
    fn weight(&self) -> usize {
        Node::INTERIOR_ENTRY_BYTES
    }
}

/// The bytes that `entries` take in a node.
pub(super) fn weight_of<T: Weight>(entries: &[(Key, T)]) -> usize {
    entries.iter().map(|(_, value)| value.weight()).sum()
}

impl DirtyNode {
    /// A leaf without entries.
    pub(super) fn empty_leaf() -> Box<Self> {
        Box::new(Self { bytes: 0, run_end: 0, entries: DirtyEntries::Leaf(Vec::new()) })
    }

    /// An interior node with these children.
    pub(super) fn interior(children: Vec<(Key, Child)>) -> Box<Self> {
        let bytes = weight_of(&children);
        Box::new(Self { bytes, run_end: 0, entries: DirtyEntries::Interior(children) })
    }

    /// A copy of a node on the device, to be changed.
    pub(super) fn copy_of(node: &Node) -> Box<Self> {
        let entries = match &node.entries {
            NodeEntries::Leaf(entries) => DirtyEntries::Leaf(entries.clone()),
            NodeEntries::Interior(entries) => {
                let stored = |&(key, pointer): &(Key, NodePointer)| (key, Child::Stored(pointer));
                DirtyEntries::Interior(entries.iter().map(stored).collect())
            }
        };
        let bytes = match &entries {
            DirtyEntries::Leaf(entries) => weight_of(entries),
            DirtyEntries::Interior(entries) => weight_of(entries),
        };
        Box::new(Self { bytes, run_end: 0, entries })
    }

    pub(super) fn len(&self) -> usize {
        match &self.entries {
            DirtyEntries::Leaf(entries) => entries.len(),
            DirtyEntries::Interior(entries) => entries.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key of the first entry.
    pub(super) fn first_key(&self) -> Option<Key> {
        match &self.entries {
            DirtyEntries::Leaf(entries) => entries.first().map(|(key, _)| *key),
            DirtyEntries::Interior(entries) => entries.first().map(|(key, _)| *key),
        }
    }

    /// Whether a sibling should take some of this node's entries' company: below a quarter full.
    pub(super) fn is_underfull(&self) -> bool {
        self.bytes < Node::CAPACITY_BYTES / 4
    }

    /// Cuts a node that holds too much in two and returns the upper part with its first key.
    ///
    /// `inserted` is the entry put last, `in_order` tells that it came right behind the one before
    /// it. Then what lies below it is left behind nearly full, as no more keys are expected there.
    pub(super) fn split(&mut self, inserted: usize, in_order: bool) -> Option<(Key, Box<Self>)> {
        let hint = in_order.then_some(inserted);
        let (cut, lower_bytes) = match &self.entries {
            DirtyEntries::Leaf(entries) => cut_at(entries, self.bytes, hint),
            DirtyEntries::Interior(entries) => cut_at(entries, self.bytes, hint),
        };
        let upper = match &mut self.entries {
            DirtyEntries::Leaf(entries) => DirtyEntries::Leaf(entries.split_off(cut)),
            DirtyEntries::Interior(entries) => DirtyEntries::Interior(entries.split_off(cut)),
        };
        let upper_bytes = mem::replace(&mut self.bytes, lower_bytes).saturating_sub(lower_bytes);
        let (lower_run, upper_run) =
            if inserted < cut { (inserted + 1, 0) } else { (0, inserted - cut + 1) };
        self.run_end = lower_run;
        let upper = Box::new(Self { bytes: upper_bytes, run_end: upper_run, entries: upper });
        Some((upper.first_key()?, upper))
    }
}

/// Where to cut `entries` of `total` bytes in two, and the bytes below the cut.
///
/// At `hint` if at least half a node is below it, else in the middle. The longest entry takes less
/// than a third of a node, so neither part takes more than a node has room for.
fn cut_at<T: Weight>(entries: &[(Key, T)], total: usize, hint: Option<usize>) -> (usize, usize) {
    let mut below = 0;
    let mut middle = None;
    for (index, (_, value)) in entries.iter().enumerate() {
        if hint == Some(index) && below >= Node::CAPACITY_BYTES / 2 {
            return (index, below);
        }
        let with = below + value.weight();
        if middle.is_none() && index > 0 && with * 2 >= total {
            // The entry on the middle goes where it leaves the parts more alike.
            let before = below * 2 >= total || total - below * 2 <= with * 2 - total;
            middle = Some(if before { (index, below) } else { (index + 1, with) });
        }
        below = with;
    }
    middle.unwrap_or((entries.len(), total))
}
