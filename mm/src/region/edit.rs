//! Adding, removing and changing one region: down to its leaf, copying what is shared on the way,
//! and up again to keep the balance.

use std::sync::Arc;

use super::node::{Leaf, Node, Region};

/// What became of a node from which a region was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shrunk {
    /// It has as many leaves as before.
    No,
    /// It has one leaf less.
    ByOne,
    /// Nothing is left of it.
    ToNothing,
}

/// Adds a region that overlaps none. Says whether the node has one leaf more.
pub(super) fn insert<V: Clone>(node: &mut Node<V>, region: Region<V>) -> bool {
    match node {
        Node::Leaf(leaf) => {
            let leaf = Arc::make_mut(leaf);
            let Some(right) = leaf.insert(region) else { return false };
            let left = std::mem::take(leaf);
            let split = right.regions().first().map_or(u64::MAX, |region| region.start);
            *node = Node::branch(Node::leaf(left), split, Node::leaf(right));
            true
        }
        Node::Branch(branch) => {
            let branch = Arc::make_mut(branch);
            let side = branch.side_of(region.start);
            let grown = insert(&mut branch.sides[side], region);
            if grown {
                branch.rebalance();
            }
            grown
        }
    }
}

/// Takes out the region that starts there.
pub(super) fn remove<V: Clone>(place: &mut Node<V>, start: u64) -> (Option<Region<V>>, Shrunk) {
    let branch = match place {
        Node::Leaf(leaf) => return remove_from_leaf(Arc::make_mut(leaf), start),
        Node::Branch(branch) => Arc::make_mut(branch),
    };
    let side = branch.side_of(start);
    let (removed, shrunk) = remove(&mut branch.sides[side], start);
    match shrunk {
        Shrunk::No => {
            let joined = removed.as_ref().and_then(|_| branch.joined_leaves());
            let Some(leaf) = joined else { return (removed, Shrunk::No) };
            *place = Node::leaf(leaf);
        }
        Shrunk::ByOne => branch.rebalance(),
        Shrunk::ToNothing => {
            let other = branch.sides[1 - side].clone();
            *place = other;
        }
    }
    (removed, Shrunk::ByOne)
}

fn remove_from_leaf<V>(leaf: &mut Leaf<V>, start: u64) -> (Option<Region<V>>, Shrunk) {
    let removed = leaf.remove(start);
    let empty = leaf.regions().is_empty();
    (removed, if empty { Shrunk::ToNothing } else { Shrunk::No })
}

/// The region that starts there, to change its end or its value.
pub(super) fn region_mut<V: Clone>(place: &mut Node<V>, start: u64) -> Option<&mut Region<V>> {
    match place {
        Node::Leaf(leaf) => Arc::make_mut(leaf).region_mut(start),
        Node::Branch(branch) => {
            let branch = Arc::make_mut(branch);
            let side = branch.side_of(start);
            region_mut(&mut branch.sides[side], start)
        }
    }
}
