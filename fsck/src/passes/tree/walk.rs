//! The walk over the tree.
//!
//! A stack of children that are still to be looked at takes the place of recursion. It is bounded
//! by the height of the tree times the entries of a node, and no node is read twice, so the walk
//! ends on any tree.

use braidfs_format::{
    FormatError, FormatErrorKind, IncompatFeatures, Item, Key, KeyKind, NODE_BLOCKS, NODE_SIZE,
    Node, NodeEntries, NodePointer, Superblock,
};

use super::{Claims, TreeFacts};
use crate::error::Halt;
use crate::finding::Finding;
use crate::problem::{
    EMPTY_NODE, ITEM_MALFORMED, KEYS_OUT_OF_BOUNDS, NODE_CHECKSUM, NODE_MALFORMED, NODE_MISPLACED,
    NODE_OUTSIDE, NODE_TWICE, NODE_UNREADABLE, Problem, SHARED_UNEXPECTED,
};
use crate::volume::leaves::{Kinds, Leaf};
use crate::volume::scope::Scope;

/// What the decoder calls the node itself, as opposed to an item in it.
const NODE_RECORD: &str = "tree node";

/// A child that is to be looked at.
#[derive(Clone, Copy)]
struct Child {
    pointer: NodePointer,
    level: u8,
    /// The smallest key that it may hold.
    low: Key,
    /// The key that it may not reach; `None` if there is no bound.
    high: Option<Key>,
    is_root: bool,
}

/// Walks over the whole tree.
pub(super) fn walk(scope: &Scope<'_>, superblock: &Superblock) -> Result<TreeFacts, Halt> {
    let sharing = superblock.incompat.contains(IncompatFeatures::SHARED_EXTENTS);
    let claims = Claims::new(sharing);
    let facts = TreeFacts { whole: true, claims, ..TreeFacts::default() };
    let mut walk = Walk { scope, superblock, facts, buffer: vec![0; NODE_SIZE] };
    let mut stack = vec![Child {
        pointer: superblock.root,
        level: superblock.root_level,
        low: Key::MIN,
        high: None,
        is_root: true,
    }];
    while let Some(child) = stack.pop() {
        scope.advance(1)?;
        match walk.node(&child) {
            Ok(NodeEntries::Leaf(entries)) => walk.leaf(&child, &entries),
            Ok(NodeEntries::Interior(entries)) => push_children(&mut stack, &child, &entries),
            Err(finding) => {
                scope.report(*finding);
                walk.facts.whole = false;
            }
        }
    }
    Ok(walk.facts)
}

/// Pushes the children of a node, the first one on top.
fn push_children(stack: &mut Vec<Child>, parent: &Child, entries: &[(Key, NodePointer)]) {
    let Some(level) = parent.level.checked_sub(1) else { return };
    let mut high = parent.high;
    for (key, pointer) in entries.iter().rev() {
        let low = parent.low.max(*key);
        stack.push(Child { pointer: *pointer, level, low, high, is_root: false });
        high = Some(*key);
    }
}

struct Walk<'a> {
    scope: &'a Scope<'a>,
    superblock: &'a Superblock,
    facts: TreeFacts,
    buffer: Vec<u8>,
}

impl Walk<'_> {
    /// Reads a node and checks it, or says why it is lost.
    fn node(&mut self, child: &Child) -> Result<NodeEntries, Box<Finding>> {
        let address = child.pointer.address;
        if !self.superblock.geometry.holds_data(address, NODE_BLOCKS) {
            return Err(lost(&NODE_OUTSIDE, child, None));
        }
        if !self.facts.claims.claim_node(address) {
            return Err(lost(&NODE_TWICE, child, None));
        }
        self.scope
            .read(address, &mut self.buffer)
            .map_err(|error| lost(&NODE_UNREADABLE, child, Some(error.to_string())))?;
        let node =
            Node::decode(&self.buffer, self.superblock.volume_id, &child.pointer, child.level)
                .map_err(|error| lost(problem_of(&error), child, Some(error.to_string())))?;
        if !within_bounds(&node.entries, child) {
            return Err(lost(&KEYS_OUT_OF_BOUNDS, child, None));
        }
        if node.entries.is_empty() && !child.is_root {
            self.scope.report(Finding::new(&EMPTY_NODE).block(address));
        }
        self.facts.node_count += 1;
        Ok(node.entries)
    }

    /// Notes what a leaf holds.
    fn leaf(&mut self, child: &Child, entries: &[(Key, Item)]) {
        let mut kinds = Kinds::default();
        for (key, item) in entries {
            kinds.insert(key.kind);
            self.facts.highest_inode = self.facts.highest_inode.max(key.inode);
            self.facts.inode_count += u64::from(key.kind == KeyKind::Inode);
            match item {
                Item::Extent(extent) => {
                    self.facts.claims.claim_extent(&self.superblock.geometry, extent);
                }
                Item::Shared(range) if self.facts.claims.sharing() => {
                    self.facts.claims.references.declare(key.offset, range);
                }
                Item::Shared(_) => {
                    self.scope.report(Finding::new(&SHARED_UNEXPECTED).block(key.offset));
                }
                _ => {}
            }
        }
        self.facts.leaves.push(Leaf { pointer: child.pointer, kinds });
    }
}

/// Whether all keys, which are in order, are within the bounds that the parent gives. The first key
/// of an interior node is only a bound itself and may be lower.
fn within_bounds(entries: &NodeEntries, child: &Child) -> bool {
    let (lowest, last) = match entries {
        NodeEntries::Leaf(entries) => (key_of(entries.first()), key_of(entries.last())),
        NodeEntries::Interior(entries) => (key_of(entries.get(1)), key_of(entries.last())),
    };
    lowest.is_none_or(|lowest| lowest >= child.low)
        && last.zip(child.high).is_none_or(|(last, high)| last < high)
}

fn key_of<T>(entry: Option<&(Key, T)>) -> Option<Key> {
    entry.map(|(key, _)| *key)
}

fn problem_of(error: &FormatError) -> &'static Problem {
    match error.kind {
        FormatErrorKind::BadMagic | FormatErrorKind::BadChecksum => &NODE_CHECKSUM,
        FormatErrorKind::Misplaced => &NODE_MISPLACED,
        _ if error.record == NODE_RECORD => &NODE_MALFORMED,
        _ => &ITEM_MALFORMED,
    }
}

/// The finding that a node is lost, and with it the items that it should hold.
fn lost(problem: &'static Problem, child: &Child, reason: Option<String>) -> Box<Finding> {
    let range = range_of(child);
    let detail = match reason {
        Some(reason) => format!("{reason}; it should hold {range}"),
        None => format!("it should hold {range}"),
    };
    Box::new(Finding::new(problem).block(child.pointer.address).detail(detail))
}

/// What a node may hold, in words.
fn range_of(child: &Child) -> String {
    let low = child.low.inode;
    match child.high {
        Some(high) if high.inode == low => format!("items of inode {low}"),
        Some(high) => format!("the items of inodes {low} to {}", high.inode),
        None if child.is_root => "everything".into(),
        None => format!("the items of all inodes from {low} on"),
    }
}
