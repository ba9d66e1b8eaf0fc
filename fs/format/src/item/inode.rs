//! The record of an inode, its times and its type.

use crate::codec::{Put, Reader};
use crate::error::FormatError;
use crate::geometry::InodeNumber;

/// Bytes of an encoded [`InodeRecord`].
pub const INODE_RECORD_BYTES: usize = 100;

/// The name of the record in errors.
pub(super) const RECORD: &str = "inode record";
/// Where the fields that can be wrong begin.
const FLAGS_OFFSET: usize = 24;
const TIMES_OFFSET: usize = 52;
const TIME_BYTES: usize = 12;

/// Seconds and nanoseconds since 1970, for all years an i64 of seconds reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds since the epoch; negative before 1970.
    pub seconds: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nanoseconds: u32,
}

impl Timestamp {
    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        Ok(Self { seconds: reader.i64()?, nanoseconds: reader.u32()? })
    }

    fn write(self, out: &mut Vec<u8>) {
        out.put_i64(self.seconds);
        out.put_u32(self.nanoseconds);
    }
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

impl FileKind {
    /// Where the type begins in `st_mode`.
    const MODE_SHIFT: u32 = 12;

    /// The type with this number on disk.
    pub const fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Fifo,
            2 => Self::CharDevice,
            4 => Self::Directory,
            6 => Self::BlockDevice,
            8 => Self::Regular,
            10 => Self::Symlink,
            12 => Self::Socket,
            _ => return None,
        })
    }

    /// The type that `mode` (an `st_mode`) has. `None` if it has none that exists, or has bits above
    /// the sixteen of an `st_mode`.
    pub const fn from_mode(mode: u32) -> Option<Self> {
        let number = mode >> Self::MODE_SHIFT;
        if number > u8::MAX as u32 { None } else { Self::from_u8(number as u8) }
    }

    /// The type's bits in `st_mode`.
    pub const fn mode_bits(self) -> u32 {
        (self as u32) << Self::MODE_SHIFT
    }
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
    /// Flags for later use; 0. Encoders and decoders refuse anything else.
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

impl InodeRecord {
    /// The file's type. A mode without one, which no encoder or decoder lets through, counts as a
    /// regular file.
    pub fn kind(&self) -> FileKind {
        FileKind::from_mode(self.mode).unwrap_or(FileKind::Regular)
    }

    pub(super) fn check(&self) -> Result<(), FormatError> {
        let bad = |offset, detail: String| Err(FormatError::bad_field(RECORD, offset, detail));
        if FileKind::from_mode(self.mode).is_none() {
            return bad(0, format!("mode {:#o} has no known file type", self.mode));
        }
        if self.flags != 0 {
            return bad(FLAGS_OFFSET, format!("the flags {:#x} are unknown", self.flags));
        }
        let times = [self.accessed, self.modified, self.changed, self.created];
        for (index, time) in times.iter().enumerate() {
            if time.nanoseconds >= 1_000_000_000 {
                let detail = format!("{} nanoseconds are a second or more", time.nanoseconds);
                return bad(TIMES_OFFSET + index * TIME_BYTES + 8, detail);
            }
        }
        Ok(())
    }

    /// Reads the record; the fields are on disk in the order of the literal.
    pub(super) fn read(mut reader: Reader<'_>) -> Result<Self, FormatError> {
        let start = reader.offset();
        let record = Self {
            mode: reader.u32()?,
            uid: reader.u32()?,
            gid: reader.u32()?,
            links: reader.u32()?,
            generation: reader.u32()?,
            device: reader.u32()?,
            flags: reader.u32()?,
            size: reader.u64()?,
            blocks: reader.u64()?,
            parent: reader.u64()?,
            accessed: Timestamp::read(&mut reader)?,
            modified: Timestamp::read(&mut reader)?,
            changed: Timestamp::read(&mut reader)?,
            created: Timestamp::read(&mut reader)?,
        };
        reader.finish()?;
        record.check().map_err(|error| error.behind(start))?;
        Ok(record)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for field in
            [self.mode, self.uid, self.gid, self.links, self.generation, self.device, self.flags]
        {
            out.put_u32(field);
        }
        for field in [self.size, self.blocks, self.parent] {
            out.put_u64(field);
        }
        for time in [self.accessed, self.modified, self.changed, self.created] {
            time.write(out);
        }
    }
}
