//! The values of the key space.
//!
//! Each kind has its own file with its type and its codec. An encoded item does not hold its
//! length: the entry of a leaf or the log record around it does.

mod dirent;
mod extent;
mod inode;
mod shared;
mod xattr;

pub use dirent::{DIRENT_HEADER_BYTES, DirentBucket, DirentEntry, MAX_DIRENT_SLOT};
pub use extent::{EXTENT_HEADER_BYTES, Extent, ExtentContent};
pub use inode::{FileKind, INODE_RECORD_BYTES, InodeRecord, Timestamp};
pub use shared::{SHARED_RANGE_BYTES, SharedRange};
pub use xattr::{XATTR_HEADER_BYTES, XattrBucket, XattrEntry};

use crate::codec::Reader;
use crate::error::{FormatError, FormatErrorKind};
use crate::key::KeyKind;

/// The longest encoded item, in bytes: three fit a node, so a split always finds a place.
pub const MAX_ITEM_BYTES: usize = 5120;
/// The longest name of a directory entry or an extended attribute, in bytes.
pub const MAX_NAME_BYTES: usize = 255;
/// The longest value of an extended attribute, in bytes.
pub const MAX_XATTR_VALUE_BYTES: usize = 4096;
/// The longest extent, in blocks (its checksums take four bytes a block).
pub const MAX_EXTENT_BLOCKS: u32 = 256;
/// The longest inline content that stays in the tree, in bytes; longer content moves to a block of
/// its own at unify. In the log an inline extent may hold a whole block.
pub const MAX_TREE_INLINE_BYTES: usize = 1024;
/// The link count that no inode passes.
pub const MAX_LINKS: u32 = 65000;

/// A value of the key space; its variant must match the kind of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Under [`KeyKind::Inode`].
    Inode(InodeRecord),
    /// Under [`KeyKind::Xattr`].
    Xattr(XattrBucket),
    /// Under [`KeyKind::Dirent`].
    Dirent(DirentBucket),
    /// Under [`KeyKind::Extent`].
    Extent(Extent),
    /// Under [`KeyKind::Orphan`]: the inode has no name left and is to be
    /// deleted when nobody has it open, or at the next mount.
    Orphan,
    /// Under [`KeyKind::Shared`].
    Shared(SharedRange),
}

impl Item {
    /// The kind of the key that this item must stand under.
    pub fn kind(&self) -> KeyKind {
        match self {
            Self::Inode(_) => KeyKind::Inode,
            Self::Xattr(_) => KeyKind::Xattr,
            Self::Dirent(_) => KeyKind::Dirent,
            Self::Extent(_) => KeyKind::Extent,
            Self::Orphan => KeyKind::Orphan,
            Self::Shared(_) => KeyKind::Shared,
        }
    }

    /// Bytes that [`Item::encode_into`] appends.
    pub fn encoded_bytes(&self) -> usize {
        match self {
            Self::Inode(_) => INODE_RECORD_BYTES,
            Self::Xattr(bucket) => bucket.encoded_bytes(),
            Self::Dirent(bucket) => bucket.encoded_bytes(),
            Self::Extent(extent) => extent.encoded_bytes(),
            Self::Orphan => 0,
            Self::Shared(_) => SHARED_RANGE_BYTES,
        }
    }

    /// Appends the bytes of this item. After an error `out` is as it was.
    ///
    /// # Errors
    /// [`FormatErrorKind::BadField`] when a decoder would refuse the item,
    /// [`FormatErrorKind::TooLarge`] when it is longer than [`MAX_ITEM_BYTES`].
    pub fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.check()?;
        let length = self.encoded_bytes();
        if length > MAX_ITEM_BYTES {
            let detail = format!("{length} bytes are more than an item can have");
            return Err(FormatError::new(FormatErrorKind::TooLarge, self.record(), 0, detail));
        }
        match self {
            Self::Inode(record) => record.write(out),
            Self::Xattr(bucket) => bucket.write(out),
            Self::Dirent(bucket) => bucket.write(out),
            Self::Extent(extent) => extent.write(out),
            Self::Orphan => {}
            Self::Shared(range) => range.write(out),
        }
        Ok(())
    }

    /// Decodes an item that stands under a key of `kind` and fills `bytes`.
    ///
    /// # Errors
    /// When the bytes are not exactly one valid item of this kind.
    pub fn decode(kind: KeyKind, bytes: &[u8]) -> Result<Self, FormatError> {
        Self::read(kind, &mut Reader::new(record_name(kind), bytes), bytes.len())
    }

    /// Reads an item of `length` bytes from the front.
    pub(crate) fn read(
        kind: KeyKind,
        reader: &mut Reader<'_>,
        length: usize,
    ) -> Result<Self, FormatError> {
        let item = reader.section(record_name(kind), length)?;
        if length > MAX_ITEM_BYTES {
            let detail = format!("{length} bytes are more than an item can have");
            return Err(item.error(FormatErrorKind::TooLarge, detail));
        }
        Ok(match kind {
            KeyKind::Inode => Self::Inode(InodeRecord::read(item)?),
            KeyKind::Xattr => Self::Xattr(XattrBucket::read(item)?),
            KeyKind::Dirent => Self::Dirent(DirentBucket::read(item)?),
            KeyKind::Extent => Self::Extent(Extent::read(item)?),
            KeyKind::Orphan => item.finish().map(|()| Self::Orphan)?,
            KeyKind::Shared => Self::Shared(SharedRange::read(item)?),
        })
    }

    fn check(&self) -> Result<(), FormatError> {
        match self {
            Self::Inode(record) => record.check(),
            Self::Xattr(bucket) => bucket.check(),
            Self::Dirent(bucket) => bucket.check(),
            Self::Extent(extent) => extent.check(),
            Self::Orphan => Ok(()),
            Self::Shared(range) => range.check(),
        }
    }

    fn record(&self) -> &'static str {
        record_name(self.kind())
    }
}

/// The name in errors of an item under a key of `kind`.
fn record_name(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Inode => inode::RECORD,
        KeyKind::Xattr => xattr::RECORD,
        KeyKind::Dirent => dirent::RECORD,
        KeyKind::Extent => Extent::RECORD,
        KeyKind::Orphan => "orphan record",
        KeyKind::Shared => SharedRange::RECORD,
    }
}
