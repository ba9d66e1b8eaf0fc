//! Runs of blocks.

use std::ops::Range;

use braidfs_format::BlockAddress;

/// Blocks side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRun {
    /// The first block.
    pub start: BlockAddress,
    /// How many there are.
    pub length: u64,
}

impl BlockRun {
    /// `length` blocks from `start`.
    pub fn new(start: BlockAddress, length: u64) -> Self {
        Self { start, length }
    }

    /// The block behind the last one; `None` if no address is that large.
    pub fn end(&self) -> Option<BlockAddress> {
        self.start.checked_add(self.length)
    }

    /// The addresses; empty if the end is no address.
    pub fn range(&self) -> Range<BlockAddress> {
        self.start..self.end().unwrap_or(self.start)
    }
}
