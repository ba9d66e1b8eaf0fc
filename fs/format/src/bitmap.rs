//! Bitmap blocks: one bit a block, two slots a group, the stale one overwritten at unify.
//!
//! The slot in force is the one with the highest sequence that is not above the superblock's. Bit
//! `i % 8` of byte `i / 8` behind the header is block `group * GROUP_BLOCKS + i`; 1 is in use. Bits
//! past the end of the volume are 1.

use uuid::Uuid;

use crate::checksum;
use crate::codec::{Put, Reader};
use crate::error::{FormatError, FormatErrorKind};
use crate::geometry::{BLOCK_SIZE, GROUP_BLOCKS};

/// Bytes of the header of a bitmap block.
pub const BITMAP_HEADER_BYTES: usize = 64;
/// Bytes of bits in a bitmap block.
pub const BITMAP_BYTES: usize = BLOCK_SIZE - BITMAP_HEADER_BYTES;
/// The first eight bytes of a bitmap block.
pub const BITMAP_MAGIC: [u8; 8] = *b"BRAIDMAP";

/// The name of the record in errors.
const RECORD: &str = "bitmap block";

/// A decoded bitmap block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitmapBlock {
    /// The volume it belongs to.
    pub volume_id: Uuid,
    /// The group it describes.
    pub group: u64,
    /// Its own address.
    pub address: u64,
    /// The superblock sequence it was written for.
    pub sequence: u64,
    /// The bits, [`BITMAP_BYTES`] of them times eight.
    pub bits: Box<[u8; BITMAP_BYTES]>,
}

impl BitmapBlock {
    /// The [`BLOCK_SIZE`] bytes of this block.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK_SIZE);
        out.put(&BITMAP_MAGIC);
        out.put_u32(0);
        out.put_u32(0);
        out.put(self.volume_id.as_bytes());
        out.put_u64(self.address);
        out.put_u64(self.sequence);
        out.put_u64(self.group);
        out.resize(BITMAP_HEADER_BYTES, 0);
        out.put(self.bits.as_slice());
        checksum::seal(&mut out);
        out
    }

    /// Decodes the bitmap block of `group` that lies at `address`.
    ///
    /// # Errors
    /// [`FormatErrorKind::BadMagic`] or [`FormatErrorKind::BadChecksum`] when this is no intact
    /// bitmap block, [`FormatErrorKind::Misplaced`] when it is another one.
    pub fn decode(
        block: &[u8],
        volume_id: Uuid,
        group: u64,
        address: u64,
    ) -> Result<Self, FormatError> {
        checksum::verify(RECORD, block, BLOCK_SIZE, BITMAP_MAGIC)?;
        let mut reader = Reader::new(RECORD, block);
        reader.take(BITMAP_MAGIC.len() + 4)?;
        reader.zeros(4)?;
        let found_volume = Uuid::from_bytes(reader.array()?);
        let found_address = reader.u64()?;
        let sequence = reader.u64()?;
        let found_group = reader.u64()?;
        reader.zeros(BITMAP_HEADER_BYTES - reader.offset())?;
        let bits = Box::new(reader.array()?);
        let misplaced = |offset, detail: String| {
            Err(FormatError::new(FormatErrorKind::Misplaced, RECORD, offset, detail))
        };
        if found_volume != volume_id {
            return misplaced(16, format!("it belongs to the volume {found_volume}"));
        }
        if found_address != address {
            return misplaced(32, format!("it belongs to block {found_address}"));
        }
        if found_group != group {
            return misplaced(48, format!("it describes group {found_group}, not {group}"));
        }
        Ok(Self { volume_id, group, address, sequence, bits })
    }

    /// Whether block `index` of the group is in use. What is past the end of the group counts as
    /// in use.
    pub fn get(&self, index: u64) -> bool {
        if index >= GROUP_BLOCKS {
            return true;
        }
        let byte = self.bits.get((index / 8) as usize).copied().unwrap_or(u8::MAX);
        byte & (1 << (index % 8)) != 0
    }
}
