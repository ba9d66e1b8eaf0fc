//! Pass 3: the tree.
//!
//! Every node is read once, from the root down in the order of the keys. The decoder compares
//! checksum, volume, address, birth and level with the pointer, and checks order and content of the
//! entries; that a child is not newer than its parent and the root not newer than the last unify is
//! part of that. What is left to see here are the places of nodes, the bounds of their keys, and
//! their number.
//!
//! Extents that share blocks are counted and compared with the shared ranges of the tree.
//!
//! The walk notes what later passes go by: the leaves, the blocks of nodes and of extents, what is
//! used twice, and how many inodes the tree has.

mod claims;
mod references;
mod walk;

use braidfs_format::InodeNumber;

use super::Known;
use crate::error::Halt;
use crate::finding::Finding;
use crate::problem::NODE_COUNT;
use crate::volume::leaves::Leaf;
use crate::volume::scope::Scope;
pub(crate) use claims::Claims;

/// What the walk over the tree found.
#[derive(Default)]
pub(crate) struct TreeFacts {
    /// The good leaves, in the order of their keys.
    pub(crate) leaves: Vec<Leaf>,
    /// Nodes that are good.
    pub(crate) node_count: u64,
    /// The blocks that nodes and extents of the tree take.
    pub(crate) claims: Claims,
    /// Inode records in the tree.
    pub(crate) inode_count: u64,
    /// The highest inode number in the tree.
    pub(crate) highest_inode: InodeNumber,
    /// Whether nothing of the tree is lost.
    pub(crate) whole: bool,
}

/// The work of the pass: nodes.
pub(crate) fn units(known: &Known) -> u64 {
    known.superblock.as_ref().map_or(0, |superblock| superblock.node_count)
}

/// Runs the pass.
pub(crate) fn run(scope: &Scope<'_>, known: &mut Known) -> Result<(), Halt> {
    let Some(superblock) = known.superblock.as_ref() else { return Ok(()) };
    let mut facts = walk::walk(scope, superblock)?;
    let references = std::mem::take(&mut facts.claims.references);
    if facts.whole && facts.claims.sharing() {
        references.compare(scope);
    }
    if facts.whole && facts.node_count != superblock.node_count {
        let finding = Finding::new(&NODE_COUNT);
        scope.report(finding.expected(superblock.node_count).found(facts.node_count));
    }
    known.tree = Some(facts);
    Ok(())
}
