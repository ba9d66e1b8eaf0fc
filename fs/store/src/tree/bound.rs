//! How many nodes an edit can come to write, for the space to hold in reserve.

use braidfs_format::Node;

/// The size of an edit, before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EditBound {
    /// The level of the tree's root.
    pub level: u8,
    /// Nodes in the tree.
    pub node_count: u64,
    /// Items put.
    pub puts: u64,
    /// Keys deleted; a range counts as two.
    pub deletes: u64,
    /// Encoded bytes of the items put.
    pub put_bytes: u64,
}

/// An upper bound of the nodes that [`TreeEdit::finish`](super::TreeEdit::finish) allocates.
///
/// Each key dirties at most the path to its leaf and, where nodes share, a sibling of each node on it;
/// never more than the tree has. Nodes are added by splits only: at most one a level for each put, and
/// since every node written is at least a quarter full, no more than what dirty nodes of that level
/// hold can make. A quarter of an interior node is over 64 children.
pub fn worst_case_nodes(edit: &EditBound) -> u64 {
    let keys = edit.puts.saturating_add(edit.deletes);
    if keys == 0 {
        return 0;
    }
    let levels = u64::from(edit.level) + 1;
    let touched = keys.saturating_mul(2);
    let copied = touched.saturating_mul(levels).min(edit.node_count);
    let leaves = touched.min(edit.node_count);
    let interiors = copied.min(edit.node_count / 64 + levels);
    let headers = edit.puts.saturating_mul(Node::LEAF_ENTRY_HEADER_BYTES as u64);
    let quarters = edit.put_bytes.saturating_add(headers).div_ceil(Node::CAPACITY_BYTES as u64 / 4);
    let added_leaves = edit.puts.min(leaves.saturating_mul(3).saturating_add(quarters));
    let by_splits = added_leaves.saturating_mul(levels);
    let by_children = interiors.saturating_mul(3).saturating_add(added_leaves / 64);
    let added_interiors = by_splits.min(by_children).saturating_add(levels + 1);
    copied.saturating_add(added_leaves).saturating_add(added_interiors)
}
