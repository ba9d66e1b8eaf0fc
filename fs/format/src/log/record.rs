//! The records of a transaction.

use crate::codec::{Put, Reader};
use crate::error::FormatError;
use crate::geometry::{InodeNumber, MAX_FILE_BLOCKS};
use crate::item::{Extent, Item};
use crate::key::{Key, KeyKind};

/// The name of the record in errors.
const RECORD: &str = "log record";
/// The shortest record: a number and an inode.
const MIN_RECORD_BYTES: usize = 9;
/// Bytes of a map change before its extent: inode, start, length, bytes of the extent.
const MAP_HEADER_BYTES: usize = 26;

/// A change of the map of a file: `start..start + length` (logical blocks) is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapChange {
    /// First logical block.
    pub start: u64,
    /// Blocks that are replaced. With `extent` it equals the extent's length.
    pub length: u64,
    /// What backs them now; `None` for a hole.
    pub extent: Option<Extent>,
}

/// A record of a transaction. Records apply in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogRecord {
    /// The item under `key` is now `item`. Never an extent: those go by [`LogRecord::Map`].
    Put {
        /// The key.
        key: Key,
        /// The item.
        item: Item,
    },
    /// There is no item under `key` any more.
    Delete {
        /// The key.
        key: Key,
    },
    /// Every item of the inode, extents included, is gone.
    RemoveInode {
        /// The inode.
        inode: InodeNumber,
    },
    /// A part of the file's map is replaced.
    Map {
        /// The inode.
        inode: InodeNumber,
        /// The change.
        change: MapChange,
    },
}

impl MapChange {
    fn check(&self) -> Result<(), FormatError> {
        let bad = |offset, detail: &str| Err(FormatError::bad_field(RECORD, offset, detail));
        let fits = self.start.checked_add(self.length).is_some_and(|end| end <= MAX_FILE_BLOCKS);
        if self.length == 0 || !fits {
            return bad(9, "no file has these blocks");
        }
        match &self.extent {
            Some(extent) if u64::from(extent.length) != self.length => {
                bad(17, "the extent has another length than the change")
            }
            _ => Ok(()),
        }
    }

    fn encoded_bytes(&self) -> usize {
        MAP_HEADER_BYTES + self.extent_bytes()
    }

    /// Bytes of the extent; 0, which no extent has, stands for a hole.
    fn extent_bytes(&self) -> usize {
        self.extent.as_ref().map_or(0, Extent::encoded_bytes)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let start = reader.u64()?;
        let length = reader.u64()?;
        let extent = match usize::from(reader.u16()?) {
            0 => None,
            bytes => Some(Extent::read(reader.section(Extent::RECORD, bytes)?)?),
        };
        Ok(Self { start, length, extent })
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        out.put_u64(self.start);
        out.put_u64(self.length);
        // An extent that its own check lets through has a length that fits.
        out.put_u16(self.extent_bytes() as u16);
        self.extent.as_ref().map_or(Ok(()), |extent| extent.encode_into(out))
    }
}

impl LogRecord {
    const PUT: u8 = 1;
    const DELETE: u8 = 2;
    const REMOVE_INODE: u8 = 3;
    const MAP: u8 = 4;

    /// Bytes that [`LogRecord::encode_into`] appends.
    pub fn encoded_bytes(&self) -> usize {
        1 + match self {
            Self::Put { item, .. } => Key::BYTES + 2 + item.encoded_bytes(),
            Self::Delete { .. } => Key::BYTES,
            Self::RemoveInode { .. } => 8,
            Self::Map { change, .. } => change.encoded_bytes(),
        }
    }

    /// Appends the bytes of this record. After an error `out` is as it was.
    ///
    /// # Errors
    /// [`FormatErrorKind::BadField`](crate::FormatErrorKind::BadField) when a decoder would refuse the record,
    /// [`FormatErrorKind::TooLarge`](crate::FormatErrorKind::TooLarge) when its item is too long.
    pub fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.check()?;
        let length_before = out.len();
        self.write(out).inspect_err(|_| out.truncate(length_before))
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        match self {
            Self::Put { key, item } => {
                out.put_u8(Self::PUT);
                key.encode_into(out);
                put_sized(item, out)?;
            }
            Self::Delete { key } => {
                out.put_u8(Self::DELETE);
                key.encode_into(out);
            }
            Self::RemoveInode { inode } => {
                out.put_u8(Self::REMOVE_INODE);
                out.put_u64(*inode);
            }
            Self::Map { inode, change } => {
                out.put_u8(Self::MAP);
                out.put_u64(*inode);
                change.write(out)?;
            }
        }
        Ok(())
    }

    /// Decodes the `count` records that fill `payload`.
    ///
    /// # Errors
    /// When one is not valid, or there are more or fewer; the offset counts from the start of the
    /// payload.
    pub fn decode_all(payload: &[u8], count: u32) -> Result<Vec<LogRecord>, FormatError> {
        let mut reader = Reader::new(RECORD, payload);
        let mut records =
            Vec::with_capacity((count as usize).min(payload.len() / MIN_RECORD_BYTES));
        for _ in 0..count {
            let start = reader.offset();
            let record = Self::read(&mut reader)?;
            record.check().map_err(|error| error.behind(start))?;
            records.push(record);
        }
        reader.finish()?;
        Ok(records)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let start = reader.offset();
        Ok(match reader.u8()? {
            Self::PUT => {
                let key = Key::read(reader)?;
                let length = usize::from(reader.u16()?);
                Self::Put { key, item: Item::read(key.kind, reader, length)? }
            }
            Self::DELETE => Self::Delete { key: Key::read(reader)? },
            Self::REMOVE_INODE => Self::RemoveInode { inode: reader.u64()? },
            Self::MAP => Self::Map { inode: reader.u64()?, change: MapChange::read(reader)? },
            number => {
                return Err(reader.bad_field_at(start, format!("{number} is no type of record")));
            }
        })
    }

    /// Checks what the parts of the record must be to each other.
    fn check(&self) -> Result<(), FormatError> {
        let bad = |detail| Err(FormatError::bad_field(RECORD, 1, detail));
        match self {
            Self::Put { key, .. } | Self::Delete { key } if key.kind == KeyKind::Extent => {
                bad("extents change by map records only")
            }
            Self::Put { key, .. } | Self::Delete { key } if key.kind == KeyKind::Shared => {
                bad("shared blocks are counted in the tree only")
            }
            Self::Put { key, item } if item.kind() != key.kind => {
                bad("the item is not of the kind of its key")
            }
            Self::Put { key, .. } | Self::Delete { key } => {
                key.check().map_err(|error| error.behind(1))
            }
            Self::RemoveInode { inode: 0 } | Self::Map { inode: 0, .. } => {
                bad("inode 0 has no items of an inode")
            }
            Self::RemoveInode { .. } => Ok(()),
            Self::Map { change, .. } => change.check(),
        }
    }
}

/// Appends the length of `item`, then the item.
fn put_sized(item: &Item, out: &mut Vec<u8>) -> Result<(), FormatError> {
    // An item that its own check lets through has a length that fits.
    out.put_u16(item.encoded_bytes() as u16);
    item.encode_into(out)
}
