//! Where things lie on a volume, computed from its size alone.
//!
//! ```text
//! block 0        superblock slot 0 (near)
//! block 1        superblock slot 1 (near)
//! block 2 ..     bitmap slots: group 0 slot 0, group 0 slot 1, group 1 slot 0, ...
//! log_start ..   the log ring, log_blocks long
//! data_start ..  tree nodes and file data
//! count - 2      superblock slot 0 (far copy)
//! count - 1      superblock slot 1 (far copy)
//! ```

use crate::error::{FormatError, FormatErrorKind};

/// Bytes in a block: the unit of allocation, of checksums and of the page cache.
pub const BLOCK_SIZE: usize = 4096;
/// Blocks in a tree node; nodes are aligned to this many blocks.
pub const NODE_BLOCKS: u64 = 4;
/// Bytes in a tree node.
pub const NODE_SIZE: usize = BLOCK_SIZE * NODE_BLOCKS as usize;
/// Blocks that one bitmap block describes: what is left of it after its 64-byte header, in bits.
pub const GROUP_BLOCKS: u64 = ((BLOCK_SIZE - crate::bitmap::BITMAP_HEADER_BYTES) * 8) as u64;
/// The smallest volume, in blocks (16 MiB).
pub const MIN_VOLUME_BLOCKS: u64 = 4096;
/// The largest volume, in blocks (2^44 blocks are 64 PiB; keeps every byte offset in an i64).
pub const MAX_VOLUME_BLOCKS: u64 = 1 << 44;
/// Blocks of the largest file: its last byte still has an offset that fits an i64.
pub const MAX_FILE_BLOCKS: u64 = 1 << 51;

/// Address of a block on the volume, counted in blocks from its start.
pub type BlockAddress = u64;
/// Number of a delta; deltas become durable in this order. The first is 1; 0 is mkfs.
pub type DeltaNumber = u64;
/// Number of an inode. 1 is the root directory; numbers are never used again.
pub type InodeNumber = u64;

/// The inode of the root directory.
pub const ROOT_INODE: InodeNumber = 1;

/// The fixed regions of a volume, in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Blocks of the whole volume.
    pub block_count: u64,
    /// Allocation groups, each of [`GROUP_BLOCKS`] blocks; the last one may be short.
    pub group_count: u64,
    /// First block of the bitmap slots (two for each group).
    pub bitmap_start: BlockAddress,
    /// First block of the log ring.
    pub log_start: BlockAddress,
    /// Blocks of the log ring.
    pub log_blocks: u64,
    /// First block that tree nodes and data may use; a multiple of [`NODE_BLOCKS`].
    pub data_start: BlockAddress,
}

impl Geometry {
    /// The layout of a volume of `block_count` blocks with the default log size: 1/32 of the
    /// volume, at least 1 MiB and at most 128 MiB.
    ///
    /// # Errors
    /// [`FormatErrorKind::BadGeometry`] when the volume is too small or too large.
    pub fn for_volume(block_count: u64) -> Result<Self, FormatError> {
        Self::with_log(block_count, (block_count / 32).clamp(256, 32768))
    }

    /// The layout of a volume of `block_count` blocks with a log ring of `log_blocks`.
    ///
    /// # Errors
    /// [`FormatErrorKind::BadGeometry`] when the sizes do not leave room for data.
    pub fn with_log(block_count: u64, log_blocks: u64) -> Result<Self, FormatError> {
        let bad = |why| FormatError::new(FormatErrorKind::BadGeometry, "geometry", 0, why);
        if block_count < MIN_VOLUME_BLOCKS {
            return Err(bad("the volume has fewer than 4096 blocks (16 MiB)"));
        }
        if block_count > MAX_VOLUME_BLOCKS {
            return Err(bad("the volume has more than 2^44 blocks"));
        }
        if log_blocks < 64 || log_blocks > block_count / 4 {
            return Err(bad("the log must have at least 64 blocks and at most a quarter of all"));
        }
        let group_count = block_count.div_ceil(GROUP_BLOCKS);
        let bitmap_start = 2;
        let log_start = bitmap_start + 2 * group_count;
        let data_start = (log_start + log_blocks).next_multiple_of(NODE_BLOCKS);
        Ok(Self { block_count, group_count, bitmap_start, log_start, log_blocks, data_start })
    }

    /// The block after the last one that tree nodes and data may use.
    pub fn data_end(&self) -> BlockAddress {
        self.block_count - 2
    }

    /// The near and the far address of superblock slot `slot` (0 or 1).
    pub fn superblock_addresses(&self, slot: u64) -> [BlockAddress; 2] {
        [slot & 1, self.block_count - 2 + (slot & 1)]
    }

    /// The address of bitmap slot `slot` (0 or 1) of `group`.
    pub fn bitmap_address(&self, group: u64, slot: u64) -> BlockAddress {
        self.bitmap_start + 2 * group + (slot & 1)
    }

    /// The blocks of `group`, as a half-open range.
    pub fn group_range(&self, group: u64) -> std::ops::Range<BlockAddress> {
        let start = group * GROUP_BLOCKS;
        start..(start + GROUP_BLOCKS).min(self.block_count)
    }

    /// Whether `address..address + length` lies wholly where nodes and data may lie.
    pub fn holds_data(&self, address: BlockAddress, length: u64) -> bool {
        address >= self.data_start
            && address.checked_add(length).is_some_and(|end| end <= self.data_end())
    }
}
