//! The one key space of a volume: (inode, kind, offset or name hash), in that order.

use crate::codec::{Put, Reader};
use crate::error::FormatError;
use crate::geometry::{BlockAddress, InodeNumber};
use crate::name_hash::NameHasher;

const RECORD: &str = "key";

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
    /// [`Item::Shared`](crate::Item::Shared) under inode 0, offset is the first block on disk.
    Shared = 6,
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

impl KeyKind {
    /// The kind with this number on disk.
    pub const fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Inode,
            2 => Self::Xattr,
            3 => Self::Dirent,
            4 => Self::Extent,
            5 => Self::Orphan,
            6 => Self::Shared,
            _ => return None,
        })
    }
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
    /// The key of the range of shared blocks that begins at `address`.
    pub const fn shared(address: BlockAddress) -> Self {
        Self { inode: 0, kind: KeyKind::Shared, offset: address }
    }

    /// Appends the [`Key::BYTES`] bytes of this key.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.put_u64(self.inode);
        out.put_u8(self.kind as u8);
        out.put_u64(self.offset);
    }

    /// Decodes a key, which may be a mere bound as [`Key::MIN`] is.
    ///
    /// # Errors
    /// When there are more or fewer bytes than [`Key::BYTES`], or the kind is unknown.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(RECORD, bytes);
        let key = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(key)
    }

    /// Reads a key from the front.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let inode = reader.u64()?;
        let kind_offset = reader.offset();
        let number = reader.u8()?;
        let kind = KeyKind::from_u8(number).ok_or_else(|| {
            FormatError::bad_field(RECORD, kind_offset, format!("{number} is no kind of item"))
        })?;
        Ok(Self { inode, kind, offset: reader.u64()? })
    }

    /// Checks that an item can stand under this key, as one cannot under a bound. How far an extent
    /// may reach is checked with its length.
    pub(crate) fn check(&self) -> Result<(), FormatError> {
        let bad = |offset, detail| Err(FormatError::bad_field(RECORD, offset, detail));
        let of_volume = matches!(self.kind, KeyKind::Orphan | KeyKind::Shared);
        if (self.inode == 0) != of_volume {
            return bad(0, "orphan records and shared ranges, and only they, stand under inode 0");
        }
        match self.kind {
            KeyKind::Inode if self.offset != 0 => bad(9, "an inode record's offset is not 0"),
            KeyKind::Xattr | KeyKind::Dirent if !NameHasher::can_be_hash(self.offset) => {
                bad(9, "no name hashes to this offset")
            }
            KeyKind::Orphan if self.offset == 0 => bad(9, "inode 0 cannot be an orphan"),
            KeyKind::Shared if self.offset == 0 => bad(9, "block 0 cannot be shared"),
            _ => Ok(()),
        }
    }
}
