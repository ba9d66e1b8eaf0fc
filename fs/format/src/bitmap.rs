//! Bitmap blocks: one bit a block, two slots a group, the stale one overwritten at unify.
//!
//! The slot in force is the one with the highest sequence that is not above the superblock's. Bit
//! `i % 8` of byte `i / 8` behind the header is block `group * GROUP_BLOCKS + i`; 1 is in use. Bits
//! past the end of the volume are 1.

use uuid::Uuid;

/// Bytes of the header of a bitmap block.
pub const BITMAP_HEADER_BYTES: usize = 64;
/// Bytes of bits in a bitmap block.
pub const BITMAP_BYTES: usize = crate::geometry::BLOCK_SIZE - BITMAP_HEADER_BYTES;

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
