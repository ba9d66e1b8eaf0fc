//! The leaves of the tree, in the order of their keys, read one at a time.
//!
//! The tree pass finds out where the good leaves are and what kinds of items each has; from then on
//! only leaves are read, and only those that have what is looked for.

use std::vec::IntoIter;

use braidfs_format::{
    InodeNumber, Item, Key, KeyKind, NODE_SIZE, Node, NodeEntries, NodePointer, Superblock,
};

use super::scope::Scope;
use crate::error::{CheckError, Halt};

/// A set of kinds of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Kinds(u8);

impl Kinds {
    pub(crate) const DIRENTS: Self = Self::of(KeyKind::Dirent);
    pub(crate) const EXTENTS: Self = Self::of(KeyKind::Extent);
    /// Everything but directory entries.
    pub(crate) const INODES: Self = Self(u8::MAX ^ Self::DIRENTS.0);

    const fn of(kind: KeyKind) -> Self {
        Self(1 << kind as u8)
    }

    pub(crate) fn contains(self, kind: KeyKind) -> bool {
        self.intersects(Self::of(kind))
    }

    pub(crate) fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn insert(&mut self, kind: KeyKind) {
        self.0 |= Self::of(kind).0;
    }
}

/// A good leaf.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaf {
    pub(crate) pointer: NodePointer,
    /// The kinds of items that it has.
    pub(crate) kinds: Kinds,
}

/// Walks over the items of some kinds in `leaves`.
pub(crate) struct TreeItems<'a> {
    scope: &'a Scope<'a>,
    superblock: &'a Superblock,
    leaves: std::slice::Iter<'a, Leaf>,
    kinds: Kinds,
    current: IntoIter<(Key, Item)>,
}

impl<'a> TreeItems<'a> {
    pub(crate) fn new(
        scope: &'a Scope<'a>,
        superblock: &'a Superblock,
        leaves: &'a [Leaf],
        kinds: Kinds,
    ) -> Self {
        let current = Vec::new().into_iter();
        Self { scope, superblock, leaves: leaves.iter(), kinds, current }
    }

    /// The inode that the next item belongs to.
    pub(crate) fn next_inode(&mut self) -> Result<Option<InodeNumber>, Halt> {
        loop {
            if let Some((key, _)) = self.current.as_slice().first() {
                return Ok(Some(key.inode));
            }
            let Some(leaf) = self.leaves.next() else { return Ok(None) };
            self.scope.advance(1)?;
            if leaf.kinds.intersects(self.kinds) {
                self.load(leaf)?;
            }
        }
    }

    /// The next item, if it belongs to `inode`.
    pub(crate) fn next_of(&mut self, inode: InodeNumber) -> Result<Option<(Key, Item)>, Halt> {
        match self.next_inode()? {
            Some(next) if next == inode => Ok(self.current.next()),
            _ => Ok(None),
        }
    }

    fn load(&mut self, leaf: &Leaf) -> Result<(), Halt> {
        let mut entries = read_leaf(self.scope, self.superblock, &leaf.pointer)?;
        entries.retain(|(key, _)| self.kinds.contains(key.kind));
        self.current = entries.into_iter();
        Ok(())
    }
}

/// Reads a leaf that was good before.
fn read_leaf(
    scope: &Scope<'_>,
    superblock: &Superblock,
    pointer: &NodePointer,
) -> Result<Vec<(Key, Item)>, Halt> {
    let mut bytes = vec![0; NODE_SIZE];
    scope.read(pointer.address, &mut bytes)?;
    match Node::decode(&bytes, superblock.volume_id, pointer, 0).map(|node| node.entries) {
        Ok(NodeEntries::Leaf(entries)) => Ok(entries),
        _ => Err(CheckError::Changed(pointer.address).into()),
    }
}
