//! The one key space of a volume: (inode, kind, offset or name hash), in that order.

use crate::geometry::InodeNumber;

/// What an item is about; the second part of a [`Key`]. The numbers are on disk and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum KeyKind {
    /// [`Item::Inode`](crate::Item::Inode), offset 0.
    Inode = 1,
    /// [`Item::Xattr`](crate::Item::Xattr), offset is the hash of the name.
    Xattr = 2,
    /// [`Item::Dirent`](crate::Item::Dirent), offset is the hash of the name.
    Dirent = 3,
    /// [`Item::Extent`](crate::Item::Extent), offset is the first logical block.
    Extent = 4,
    /// [`Item::Orphan`](crate::Item::Orphan) under inode 0, offset is the orphan's number.
    Orphan = 5,
}

/// A key of the tree; the derived order is the order on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The inode the item belongs to; 0 for the volume's own items.
    pub inode: InodeNumber,
    /// What the item is.
    pub kind: KeyKind,
    /// Logical block, name hash or inode number, by kind.
    pub offset: u64,
}

impl Key {
    /// Bytes of a key on disk: inode u64, kind u8, offset u64.
    pub const BYTES: usize = 17;
    /// The smallest key there is.
    pub const MIN: Key = Key { inode: 0, kind: KeyKind::Inode, offset: 0 };

    /// The key of an inode record.
    pub const fn inode(inode: InodeNumber) -> Self {
        Self { inode, kind: KeyKind::Inode, offset: 0 }
    }
    /// The key of the extended attributes of `inode` whose names hash to `hash`.
    pub const fn xattr(inode: InodeNumber, hash: u64) -> Self {
        Self { inode, kind: KeyKind::Xattr, offset: hash }
    }
    /// The key of the directory entries of `inode` whose names hash to `hash`.
    pub const fn dirent(inode: InodeNumber, hash: u64) -> Self {
        Self { inode, kind: KeyKind::Dirent, offset: hash }
    }
    /// The key of the extent of `inode` that begins at logical block `block`.
    pub const fn extent(inode: InodeNumber, block: u64) -> Self {
        Self { inode, kind: KeyKind::Extent, offset: block }
    }
    /// The key of the orphan record of `inode`.
    pub const fn orphan(inode: InodeNumber) -> Self {
        Self { inode: 0, kind: KeyKind::Orphan, offset: inode }
    }
}
