//! Comparing data with its checksums.
//!
//! Extents that lie on top of each other could make a small volume a long work, so there is a
//! budget of twice the volume's size, or more where extents may share blocks; what is beyond it
//! counts as a mismatch.

use std::fmt;
use std::ops::Range;

use braidfs_block::BlockError;
use braidfs_format::item::MAX_EXTENT_BLOCKS;
use braidfs_format::{
    BLOCK_SIZE, BlockAddress, Extent, ExtentContent, Geometry, IncompatFeatures, Superblock,
    block_checksum,
};

use super::scope::Scope;

/// A block that is not as it should be.
#[derive(Debug)]
pub(crate) struct Mismatch {
    /// Which block of the extent.
    pub(crate) index: u32,
    pub(crate) address: BlockAddress,
    pub(crate) cause: Cause,
}

/// What is wrong with a block.
#[derive(Debug)]
pub(crate) enum Cause {
    /// It has another checksum than it should.
    Checksum { expected: u32, found: u32 },
    /// It cannot be read.
    Unreadable(BlockError),
    /// It is not within the data area.
    Outside,
    /// More was to be read than a volume can hold.
    BudgetSpent,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {}: {}", self.address, self.cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum { expected, found } => {
                write!(f, "the checksum should be {expected:#010x} and is {found:#010x}")
            }
            Self::Unreadable(error) => write!(f, "{error}"),
            Self::Outside => f.write_str("it is outside of the data area"),
            Self::BudgetSpent => f.write_str("extents overlap so much that it was not read"),
        }
    }
}

/// How often over a volume may be read.
const BUDGET_FACTOR: u64 = 2;
/// The same where extents may share blocks: files that lie far apart read them again.
const SHARING_BUDGET_FACTOR: u64 = 64;

/// Blocks that are read at once; no extent with data is longer.
pub(crate) const WINDOW_BLOCKS: u64 = MAX_EXTENT_BLOCKS as u64;

/// Reads data and compares it.
pub(crate) struct Verifier<'a> {
    scope: &'a Scope<'a>,
    geometry: Geometry,
    buffer: Vec<u8>,
    /// The blocks that are in the buffer.
    window: Range<BlockAddress>,
    /// Whether one of them could not be read, so that none is there.
    window_failed: bool,
    blocks_read: u64,
    /// Whether extents may share blocks: then only what is read from the device counts.
    sharing: bool,
    loaded: u64,
    budget: u64,
}

impl<'a> Verifier<'a> {
    pub(crate) fn new(scope: &'a Scope<'a>, superblock: &Superblock) -> Self {
        let geometry = superblock.geometry;
        let sharing = superblock.incompat.contains(IncompatFeatures::SHARED_EXTENTS);
        let factor = if sharing { SHARING_BUDGET_FACTOR } else { BUDGET_FACTOR };
        let budget = geometry.block_count.saturating_mul(factor);
        let buffer = vec![0; WINDOW_BLOCKS as usize * BLOCK_SIZE];
        Self {
            scope,
            geometry,
            buffer,
            window: 0..0,
            window_failed: false,
            blocks_read: 0,
            sharing,
            loaded: 0,
            budget,
        }
    }

    pub(crate) fn blocks_read(&self) -> u64 {
        self.blocks_read
    }

    /// The first block of the extent that is not as it should be.
    pub(crate) fn first_mismatch(&mut self, extent: &Extent) -> Option<Mismatch> {
        self.mismatches(extent, 0).into_iter().next()
    }

    /// All blocks of the extent that are not as they should be. Only blocks with data are looked
    /// at. Up to `ahead` blocks, counted from its start, will be asked for next and may be read
    /// with it.
    pub(crate) fn mismatches(&mut self, extent: &Extent, ahead: u64) -> Vec<Mismatch> {
        let ExtentContent::Blocks { address, checksums, .. } = &extent.content else {
            return Vec::new();
        };
        let length = checksums.len() as u64;
        let whole = |cause| vec![Mismatch { index: 0, address: *address, cause }];
        if !self.geometry.holds_data(*address, length) {
            return whole(Cause::Outside);
        }
        let spent = if self.sharing { self.loaded } else { self.blocks_read };
        if spent + length > self.budget {
            return whole(Cause::BudgetSpent);
        }
        self.blocks_read += length;
        self.load(*address..address + length, ahead);
        let blocks = (*address..).zip(checksums.iter()).zip(0..);
        let compared = blocks.map(|((address, expected), index)| {
            self.compare(address, *expected).map(|cause| Mismatch { index, address, cause })
        });
        compared.flatten().collect()
    }

    /// Brings the blocks of an extent into the buffer, and with it what lies behind.
    fn load(&mut self, blocks: Range<BlockAddress>, ahead: u64) {
        if self.window.start <= blocks.start && blocks.end <= self.window.end {
            return;
        }
        let ahead = ahead.min(WINDOW_BLOCKS).max(blocks.end - blocks.start);
        let within = self.geometry.holds_data(blocks.start, ahead);
        let end = if within { blocks.start + ahead } else { blocks.end };
        self.window = blocks.start..end;
        self.loaded += end - blocks.start;
        let bytes = (end - blocks.start) as usize * BLOCK_SIZE;
        let buffer = self.buffer.get_mut(..bytes).unwrap_or_default();
        self.window_failed = self.scope.read(blocks.start, buffer).is_err();
    }

    /// Why a block of the window is not as it should be, if it is not.
    fn compare(&mut self, address: BlockAddress, expected: u32) -> Option<Cause> {
        let place = (address - self.window.start) as usize * BLOCK_SIZE;
        let block = self.buffer.get_mut(place..place + BLOCK_SIZE)?;
        if self.window_failed
            && let Err(error) = self.scope.read(address, block)
        {
            return Some(Cause::Unreadable(error));
        }
        let found = block_checksum(block);
        (found != expected).then_some(Cause::Checksum { expected, found })
    }
}
