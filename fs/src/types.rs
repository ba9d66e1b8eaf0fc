//! The types that operations take and return.

pub use braidfs_format::{FileKind, InodeNumber, Timestamp};

/// The inode of the root directory.
pub const ROOT_INODE: InodeNumber = 1;

/// Whose file a new one will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Credentials {
    /// User.
    pub uid: u32,
    /// Group; a parent directory with setgid overrules it.
    pub gid: u32,
    /// Permissions that it will not have, unless the directory has a default access control list.
    pub umask: u32,
}

/// What `stat` tells about an inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// The inode's number.
    pub inode: InodeNumber,
    /// Its generation.
    pub generation: u32,
    /// Type and permissions.
    pub mode: u32,
    /// Links.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number, as Linux encodes it in 32 bits.
    pub device: u32,
    /// Bytes.
    pub size: u64,
    /// Units of 512 bytes that are mapped.
    pub blocks_512: u64,
    /// Last access.
    pub accessed: Timestamp,
    /// Last change of the content.
    pub modified: Timestamp,
    /// Last change of the inode.
    pub changed: Timestamp,
    /// Birth.
    pub created: Timestamp,
}

impl Attributes {
    /// The type.
    pub fn kind(&self) -> FileKind {
        FileKind::from_mode(self.mode).unwrap_or(FileKind::Regular)
    }
}

/// A time to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    /// The present.
    Now,
    /// This time.
    At(Timestamp),
}

/// What `setattr` changes; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct SetAttributes {
    /// Permission bits (the type is kept).
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Size: cut off, or extended by a hole.
    pub size: Option<u64>,
    /// Access time.
    pub accessed: Option<SetTime>,
    /// Modification time.
    pub modified: Option<SetTime>,
    /// Change time; the present if anything changes and this is `None`.
    pub changed: Option<Timestamp>,
    /// Clear setuid, and setgid of group-executable files, as a write by another user does.
    pub clear_suid_sgid: bool,
    /// Clear setgid even where the group may not execute: the caller does not belong to it.
    pub clear_setgid: bool,
}

/// An entry that `readdir` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The inode it points to.
    pub inode: InodeNumber,
    /// Pass it to go on behind this entry.
    pub cookie: u64,
    /// The type.
    pub kind: FileKind,
    /// The name.
    pub name: Vec<u8>,
}

/// What `rename` does about a name that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenameMode {
    /// Replace it.
    Replace,
    /// Fail.
    NoReplace,
    /// Swap the two.
    Exchange,
    /// Replace it, and leave a whiteout under the old name: a character device with number 0, by which
    /// union mounts hide what is below.
    Whiteout {
        /// Fail if the new name is taken.
        no_replace: bool,
        /// Whose the whiteout is.
        owner: Credentials,
    },
}

/// What `setxattr` does about an attribute that is or is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XattrMode {
    /// Set it either way.
    Set,
    /// Fail if it is there.
    Create,
    /// Fail if it is not.
    Replace,
}

/// What `fallocate` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallocateMode {
    /// Promise space.
    Allocate {
        /// Leave the size as it is, even if the range lies beyond.
        keep_size: bool,
    },
    /// Make a hole.
    PunchHole,
    /// Make zeros with space promised.
    ZeroRange {
        /// Leave the size as it is.
        keep_size: bool,
    },
}

/// What `seek` looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeekTarget {
    /// The next byte with data.
    Data,
    /// The next hole; the end of the file is one.
    Hole,
}

/// What becomes durable when a volume is shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownMode {
    /// Everything.
    Everything,
    /// Names and attributes, as with the fsync of a directory.
    Names,
    /// Nothing that is not durable already: as in a crash.
    Nothing,
}

/// What `statfs` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes a block.
    pub block_size: u32,
    /// Blocks that data may use in all.
    pub blocks: u64,
    /// Of these, free.
    pub blocks_free: u64,
    /// Of these, free for ordinary writes (what unify needs is set aside).
    pub blocks_available: u64,
    /// Inodes in use and free together.
    pub inodes: u64,
    /// Inodes that could still be made.
    pub inodes_free: u64,
    /// The longest name in bytes.
    pub name_max: u32,
}
