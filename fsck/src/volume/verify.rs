//! Comparing data with its checksums.
//!
//! Extents that lie on top of each other could make a small volume a long work, so there is a
//! budget of twice the volume's size; what is beyond it counts as a mismatch.

use std::fmt;

use braidfs_block::BlockError;
use braidfs_format::item::MAX_EXTENT_BLOCKS;
use braidfs_format::{BLOCK_SIZE, BlockAddress, Extent, ExtentContent, Geometry, block_checksum};

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

/// Reads data and compares it.
pub(crate) struct Verifier<'a> {
    scope: &'a Scope<'a>,
    geometry: Geometry,
    buffer: Vec<u8>,
    blocks_read: u64,
}

impl<'a> Verifier<'a> {
    pub(crate) fn new(scope: &'a Scope<'a>, geometry: Geometry) -> Self {
        let buffer = vec![0; MAX_EXTENT_BLOCKS as usize * BLOCK_SIZE];
        Self { scope, geometry, buffer, blocks_read: 0 }
    }

    pub(crate) fn blocks_read(&self) -> u64 {
        self.blocks_read
    }

    /// The first block of the extent that is not as it should be.
    pub(crate) fn first_mismatch(&mut self, extent: &Extent) -> Option<Mismatch> {
        self.mismatches(extent).into_iter().next()
    }

    /// All blocks of the extent that are not as they should be. Only blocks with data are looked at.
    pub(crate) fn mismatches(&mut self, extent: &Extent) -> Vec<Mismatch> {
        let ExtentContent::Blocks { address, checksums, .. } = &extent.content else {
            return Vec::new();
        };
        let length = checksums.len() as u64;
        let whole = |cause| vec![Mismatch { index: 0, address: *address, cause }];
        if !self.geometry.holds_data(*address, length) {
            return whole(Cause::Outside);
        }
        if self.blocks_read + length > 2 * self.geometry.block_count {
            return whole(Cause::BudgetSpent);
        }
        self.blocks_read += length;
        let Some(buffer) = self.buffer.get_mut(..checksums.len() * BLOCK_SIZE) else {
            return Vec::new();
        };
        let one_by_one = self.scope.read(*address, buffer).is_err();
        let mut found = Vec::new();
        for (index, (block, expected)) in
            buffer.chunks_exact_mut(BLOCK_SIZE).zip(checksums.iter()).enumerate()
        {
            let address = address + index as u64;
            let read = if one_by_one { self.scope.read(address, block) } else { Ok(()) };
            let cause = match read.map(|()| block_checksum(block)) {
                Ok(checksum) if checksum == *expected => continue,
                Ok(found) => Cause::Checksum { expected: *expected, found },
                Err(error) => Cause::Unreadable(error),
            };
            found.push(Mismatch { index: index as u32, address, cause });
        }
        found
    }
}
