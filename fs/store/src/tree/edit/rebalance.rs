//! Making nodes that became small share with a sibling, before an edit is written.
//!
//! Bottom-up: first below each dirty child, then the children among themselves. A node below a
//! quarter merges with a sibling if both fit well into one node; else it borrows just what it
//! lacks, so that a node that keys in order have filled stays nearly full.

use std::mem;

use braidfs_format::{Key, Node};

use super::Journal;
use crate::error::StoreError;
use crate::tree::dirty::{Child, DirtyEntries, DirtyNode, Weight};

/// Two nodes merge if they take no more than this together; some room is left for puts to come.
const MERGE_BYTES: usize = Node::CAPACITY_BYTES / 8 * 7;

/// Sees to it that no dirty node below `node` is underfull if it can have company.
pub(super) fn rebalance(
    journal: &mut Journal,
    node: &mut DirtyNode,
    level: u8,
) -> Result<(), StoreError> {
    let DirtyEntries::Interior(children) = &mut node.entries else {
        return Ok(());
    };
    let below = level.saturating_sub(1);
    for (_, child) in children.iter_mut() {
        if let Child::Dirty(child) = child {
            rebalance(journal, child, below)?;
        }
    }
    fix_children(journal, node, level)
}

/// Merges or feeds the underfull dirty children of `node`.
fn fix_children(journal: &mut Journal, node: &mut DirtyNode, level: u8) -> Result<(), StoreError> {
    let DirtyEntries::Interior(children) = &mut node.entries else {
        return Ok(());
    };
    let mut index = 0;
    while index < children.len() && children.len() > 1 {
        if !is_underfull(children, index) {
            index += 1;
            continue;
        }
        let lower = choose_pair(children, index);
        if share(journal, children, lower, level.saturating_sub(1))? {
            node.bytes = node.bytes.saturating_sub(Node::INTERIOR_ENTRY_BYTES);
        }
        // What was merged may still be small.
        index = lower;
    }
    Ok(())
}

fn is_underfull(children: &[(Key, Child)], index: usize) -> bool {
    matches!(children.get(index), Some((_, Child::Dirty(node))) if node.is_underfull())
}

/// The lower one of the pair that child `index` shares in: with a dirty sibling if it has one,
/// because a stored one would have to be copied; else with the one before it.
fn choose_pair(children: &[(Key, Child)], index: usize) -> usize {
    let is_dirty = |index: usize| matches!(children.get(index), Some((_, Child::Dirty(_))));
    match index.checked_sub(1) {
        None => index,
        Some(_) if index + 1 == children.len() => index - 1,
        Some(before) if is_dirty(before) || !is_dirty(index + 1) => before,
        Some(_) => index,
    }
}

/// Merges children `lower` and `lower + 1`, which is true, or lets the smaller one borrow.
fn share(
    journal: &mut Journal,
    children: &mut Vec<(Key, Child)>,
    lower: usize,
    level: u8,
) -> Result<bool, StoreError> {
    let Some([(_, left), (bound, right)]) = children.get_mut(lower..lower + 2) else {
        return Ok(false);
    };
    let left = journal.make_dirty(left, level)?;
    let right = journal.make_dirty(right, level)?;
    let merges = left.bytes + right.bytes <= MERGE_BYTES;
    if merges {
        left.absorb(right);
    } else {
        DirtyNode::even_out(left, right);
        *bound = right.first_key().unwrap_or(*bound);
        fix_children(journal, right, level)?;
    }
    fix_children(journal, left, level)?;
    if merges {
        children.remove(lower + 1);
        journal.drop_dirty();
    }
    Ok(merges)
}

impl DirtyNode {
    /// Takes all entries of `upper`, whose keys are above those of this node.
    fn absorb(&mut self, upper: &mut Self) {
        self.bytes += mem::take(&mut upper.bytes);
        match (&mut self.entries, &mut upper.entries) {
            (DirtyEntries::Leaf(own), DirtyEntries::Leaf(more)) => own.append(more),
            (DirtyEntries::Interior(own), DirtyEntries::Interior(more)) => own.append(more),
            // Siblings are of one level, so both are leaves or neither is.
            _ => {}
        }
    }

    /// Moves entries from the fuller one to the underfull one until that is a quarter full.
    fn even_out(lower: &mut Self, upper: &mut Self) {
        let feeds_lower = lower.bytes < upper.bytes;
        let lacking = (Node::CAPACITY_BYTES / 4).saturating_sub(lower.bytes.min(upper.bytes));
        let moved = match (&mut lower.entries, &mut upper.entries) {
            (DirtyEntries::Leaf(own), DirtyEntries::Leaf(more)) => {
                move_entries(own, more, feeds_lower, lacking)
            }
            (DirtyEntries::Interior(own), DirtyEntries::Interior(more)) => {
                move_entries(own, more, feeds_lower, lacking)
            }
            _ => 0,
        };
        let (gains, gives) = if feeds_lower { (lower, upper) } else { (upper, lower) };
        gains.bytes += moved;
        gives.bytes = gives.bytes.saturating_sub(moved);
    }
}

/// Moves entries of at least `lacking` bytes over the border between two nodes.
fn move_entries<T: Weight>(
    lower: &mut Vec<(Key, T)>,
    upper: &mut Vec<(Key, T)>,
    feeds_lower: bool,
    lacking: usize,
) -> usize {
    let mut bytes = 0;
    let mut enough = |(_, value): &(Key, T)| {
        let short = bytes < lacking;
        bytes += if short { value.weight() } else { 0 };
        !short
    };
    if feeds_lower {
        let count = upper.iter().position(&mut enough).unwrap_or(upper.len());
        lower.extend(upper.drain(..count));
    } else {
        let keep = lower.iter().rposition(&mut enough).map_or(0, |last| last + 1);
        upper.splice(..0, lower.drain(keep..));
    }
    bytes
}
