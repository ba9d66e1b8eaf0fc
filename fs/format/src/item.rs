//! The values of the key space.

use std::sync::Arc;

use crate::geometry::{BlockAddress, DeltaNumber, InodeNumber};

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

/// Seconds and nanoseconds since 1970, for all years an i64 of seconds reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds since the epoch; negative before 1970.
    pub seconds: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nanoseconds: u32,
}

/// The type of a file, as the upper bits of `st_mode` have it. The numbers (S_IFMT >> 12) are on
/// disk in directory entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FileKind {
    /// A named pipe.
    Fifo = 1,
    /// A character device.
    CharDevice = 2,
    /// A directory.
    Directory = 4,
    /// A block device.
    BlockDevice = 6,
    /// A regular file.
    Regular = 8,
    /// A symbolic link; its target is the file's content.
    Symlink = 10,
    /// A socket.
    Socket = 12,
}

/// The record of an inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InodeRecord {
    /// `st_mode`: type and permission bits. Decoders check that the type is a [`FileKind`].
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Names that point here; a directory has 2 plus its subdirectories.
    pub links: u32,
    /// Tells apart the lives of an inode number (numbers are not reused today: always 1).
    pub generation: u32,
    /// Device number of device files, as Linux encodes it; else 0.
    pub device: u32,
    /// Flags for later use; 0.
    pub flags: u32,
    /// Bytes of a regular file or of a symlink's target; for a directory its number of entries.
    pub size: u64,
    /// Logical blocks of the file that are mapped: data, unwritten and inline each count one, so
    /// that unify moving an inline block out of the tree does not change it.
    pub blocks: u64,
    /// For a directory: the directory that holds it (the root holds itself); else 0.
    pub parent: InodeNumber,
    /// Last access.
    pub accessed: Timestamp,
    /// Last change of the content.
    pub modified: Timestamp,
    /// Last change of the inode.
    pub changed: Timestamp,
    /// Birth.
    pub created: Timestamp,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirentEntry {
    /// Distinguishes entries of one bucket; stays the same while the entry lives (0..=127), so
    /// that readdir cookies are stable.
    pub slot: u8,
    /// The file's type.
    pub kind: FileKind,
    /// The inode the name points to.
    pub inode: InodeNumber,
    /// The name: 1 to 255 bytes, no NUL, no '/', not "." or "..".
    pub name: Box<[u8]>,
}

/// All entries of a directory whose names have one hash; nearly always exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DirentBucket {
    /// The entries, in order of their slots. Never empty on disk.
    pub entries: Vec<DirentEntry>,
}

/// One extended attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XattrEntry {
    /// The full name with its namespace, as `user.comment`: 1 to 255 bytes, no NUL.
    pub name: Box<[u8]>,
    /// The value, up to [`MAX_XATTR_VALUE_BYTES`].
    pub value: Box<[u8]>,
}

/// All extended attributes of an inode whose names have one hash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct XattrBucket {
    /// The attributes. Never empty on disk.
    pub entries: Vec<XattrEntry>,
}

/// What backs a run of logical blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtentContent {
    /// Blocks with data.
    Blocks {
        /// The first block on disk.
        address: BlockAddress,
        /// The delta that wrote them.
        birth: DeltaNumber,
        /// crc32c of each block; as many as the extent is long.
        checksums: Arc<[u32]>,
    },
    /// Blocks that are reserved (fallocate) and read as zeros.
    Unwritten {
        /// The first block on disk.
        address: BlockAddress,
        /// The delta that reserved them.
        birth: DeltaNumber,
    },
    /// The content itself, for one logical block; what is missing to 4096 bytes are zeros.
    Inline {
        /// 1 to 4096 bytes.
        bytes: Arc<[u8]>,
    },
}

/// A run of logical blocks of a file; its first block is in its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// Length in blocks, 1 to [`MAX_EXTENT_BLOCKS`]; 1 if inline. `Unwritten` may be as long as
    /// u32 allows.
    pub length: u32,
    /// What backs it.
    pub content: ExtentContent,
}

impl Extent {
    /// The part of this extent that begins `skip` blocks in and is `length` blocks long.
    /// `None` if that is not within it or empty.
    pub fn slice(&self, skip: u32, length: u32) -> Option<Extent> {
        let end = skip.checked_add(length)?;
        if length == 0 || end > self.length {
            return None;
        }
        let content = match &self.content {
            ExtentContent::Blocks { address, birth, checksums } => ExtentContent::Blocks {
                address: address + u64::from(skip),
                birth: *birth,
                checksums: checksums.get(skip as usize..end as usize)?.into(),
            },
            ExtentContent::Unwritten { address, birth } => {
                ExtentContent::Unwritten { address: address + u64::from(skip), birth: *birth }
            }
            ExtentContent::Inline { bytes } => ExtentContent::Inline { bytes: bytes.clone() },
        };
        Some(Extent { length, content })
    }

    /// The blocks on disk that this extent holds: address and length; `None` if inline.
    pub fn blocks(&self) -> Option<(BlockAddress, u64)> {
        match self.content {
            ExtentContent::Blocks { address, .. } | ExtentContent::Unwritten { address, .. } => {
                Some((address, u64::from(self.length)))
            }
            ExtentContent::Inline { .. } => None,
        }
    }
}

/// A value of the key space; its variant must match the kind of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Under [`KeyKind::Inode`](crate::KeyKind::Inode).
    Inode(InodeRecord),
    /// Under [`KeyKind::Xattr`](crate::KeyKind::Xattr).
    Xattr(XattrBucket),
    /// Under [`KeyKind::Dirent`](crate::KeyKind::Dirent).
    Dirent(DirentBucket),
    /// Under [`KeyKind::Extent`](crate::KeyKind::Extent).
    Extent(Extent),
    /// Under [`KeyKind::Orphan`](crate::KeyKind::Orphan): the inode has no name left and is to be
    /// deleted when nobody has it open, or at the next mount.
    Orphan,
}
