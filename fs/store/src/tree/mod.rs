//! The copy-on-write B+tree of a volume.
//!
//! Purpose: keep the key space as of the last unify in nodes of 16 KiB, and make the tree of the
//! next unify beside it. A [`Tree`] is an immutable snapshot that any number of threads read; a
//! [`TreeEdit`] holds the nodes that differ from it in memory until [`TreeEdit::finish`] writes
//! them to new addresses. Nothing on the device is ever changed in place.
//!
//! Invariants:
//! - The key of a child in its parent is a lower bound of the keys below it, and the smallest of
//!   them in every node that this code writes. Keys are sorted and unique in each node.
//! - No node but the root is empty, and only as a leaf.
//! - A node that `finish` writes is at least a quarter full, unless it is the root or the tree has
//!   no sibling for it.
//! - A node in the cache is what its pointer says: a hit compares address, birth and checksum, so
//!   that a node at an address that was used again is never taken for the one before it.
//! - A snapshot must not be read any more when nodes that a later edit freed are used again; who
//!   releases them sees to it that no reader of the snapshot is left.
//!
//! Lock order: each shard of the node cache has a lock of its own, held for a look-up or an
//! insertion only; no I/O and no other lock is taken under it.

mod bound;
mod cache;
mod cursor;
mod dirty;
mod edit;
mod node_store;
mod snapshot;
mod subtree;
#[cfg(test)]
mod tests;
mod view;

pub use bound::{EditBound, worst_case_nodes};
pub use edit::{TreeCommit, TreeEdit};
pub use node_store::NodeStore;
pub use snapshot::Tree;
