//! Extents: what backs a run of logical blocks of a file.

use std::sync::Arc;

use super::MAX_EXTENT_BLOCKS;
use crate::codec::{Put, Reader};
use crate::error::FormatError;
use crate::geometry::{BLOCK_SIZE, BlockAddress, DeltaNumber, MAX_FILE_BLOCKS, MAX_VOLUME_BLOCKS};

/// Bytes of an encoded [`Extent`] before its content.
pub const EXTENT_HEADER_BYTES: usize = 8;
/// Bytes of address and birth of an extent that lies in blocks.
const PLACE_BYTES: usize = 16;

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

impl ExtentContent {
    const BLOCKS: u8 = 1;
    const UNWRITTEN: u8 = 2;
    const INLINE: u8 = 3;

    /// The number on disk.
    fn number(&self) -> u8 {
        match self {
            Self::Blocks { .. } => Self::BLOCKS,
            Self::Unwritten { .. } => Self::UNWRITTEN,
            Self::Inline { .. } => Self::INLINE,
        }
    }
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
    /// The name of the record in errors.
    pub(crate) const RECORD: &str = "extent";

    /// The part of this extent that begins `skip` blocks in and is `length` blocks long.
    /// `None` if that is not within it or empty.
    pub fn slice(&self, skip: u32, length: u32) -> Option<Extent> {
        let end = skip.checked_add(length)?;
        if length == 0 || end > self.length {
            return None;
        }
        let content = match &self.content {
            ExtentContent::Blocks { address, birth, checksums } => ExtentContent::Blocks {
                address: address.checked_add(u64::from(skip))?,
                birth: *birth,
                checksums: checksums.get(skip as usize..end as usize)?.into(),
            },
            ExtentContent::Unwritten { address, birth } => ExtentContent::Unwritten {
                address: address.checked_add(u64::from(skip))?,
                birth: *birth,
            },
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

    /// The logical block behind this extent when it begins at `start`; `None` when that is past
    /// the end of the largest file.
    pub(crate) fn end_from(&self, start: u64) -> Option<u64> {
        start.checked_add(u64::from(self.length)).filter(|end| *end <= MAX_FILE_BLOCKS)
    }

    pub(crate) fn encoded_bytes(&self) -> usize {
        EXTENT_HEADER_BYTES
            + match &self.content {
                ExtentContent::Blocks { checksums, .. } => PLACE_BYTES + 4 * checksums.len(),
                ExtentContent::Unwritten { .. } => PLACE_BYTES,
                ExtentContent::Inline { bytes } => bytes.len(),
            }
    }

    pub(super) fn check(&self) -> Result<(), FormatError> {
        self.check_length().map_err(|detail| FormatError::bad_field(Self::RECORD, 4, detail))?;
        let Some((address, length)) = self.blocks() else {
            return Ok(());
        };
        let fits = address.checked_add(length).is_some_and(|end| end <= MAX_VOLUME_BLOCKS);
        if address == 0 || !fits {
            let detail = format!("no volume has {length} data blocks at block {address}");
            return Err(FormatError::bad_field(Self::RECORD, EXTENT_HEADER_BYTES, detail));
        }
        Ok(())
    }

    fn check_length(&self) -> Result<(), String> {
        let length = self.length;
        if length == 0 {
            return Err("the length is 0".into());
        }
        match &self.content {
            ExtentContent::Blocks { .. } if length > MAX_EXTENT_BLOCKS => {
                Err(format!("{length} blocks are more than {MAX_EXTENT_BLOCKS}"))
            }
            ExtentContent::Blocks { checksums, .. } if checksums.len() != length as usize => {
                Err(format!("{} checksums for {length} blocks", checksums.len()))
            }
            ExtentContent::Inline { bytes } if !(1..=BLOCK_SIZE).contains(&bytes.len()) => {
                Err(format!("{} inline bytes", bytes.len()))
            }
            ExtentContent::Inline { .. } if length != 1 => {
                Err(format!("inline content for {length} blocks"))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn read(mut reader: Reader<'_>) -> Result<Self, FormatError> {
        let start = reader.offset();
        let number = reader.u8()?;
        reader.zeros(3)?;
        let length = reader.u32()?;
        let content = match number {
            ExtentContent::BLOCKS => Self::read_blocks(&mut reader)?,
            ExtentContent::UNWRITTEN => {
                ExtentContent::Unwritten { address: reader.u64()?, birth: reader.u64()? }
            }
            ExtentContent::INLINE => {
                ExtentContent::Inline { bytes: reader.take(reader.remaining())?.into() }
            }
            _ => return Err(reader.bad_field_at(start, format!("{number} is no type of extent"))),
        };
        reader.finish()?;
        let extent = Self { length, content };
        extent.check().map_err(|error| error.behind(start))?;
        Ok(extent)
    }

    /// Reads address and birth, then checksums to the end of the record.
    fn read_blocks(reader: &mut Reader<'_>) -> Result<ExtentContent, FormatError> {
        let address = reader.u64()?;
        let birth = reader.u64()?;
        let whole = reader.remaining() / 4 * 4;
        let (checksums, _) = reader.take(whole)?.as_chunks::<4>();
        let checksums = checksums.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        Ok(ExtentContent::Blocks { address, birth, checksums })
    }

    /// Appends the bytes of this extent, unless a decoder would refuse it.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.check()?;
        self.write(out);
        Ok(())
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.put_u8(self.content.number());
        out.put(&[0; 3]);
        out.put_u32(self.length);
        match &self.content {
            ExtentContent::Blocks { address, birth, checksums } => {
                out.put_u64(*address);
                out.put_u64(*birth);
                checksums.iter().for_each(|checksum| out.put_u32(*checksum));
            }
            ExtentContent::Unwritten { address, birth } => {
                out.put_u64(*address);
                out.put_u64(*birth);
            }
            ExtentContent::Inline { bytes } => out.put(bytes),
        }
    }
}
