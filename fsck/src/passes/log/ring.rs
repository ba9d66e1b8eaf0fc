//! Reading the ring of the log.

use braidfs_block::BlockError;
use braidfs_format::{BLOCK_SIZE, BlockAddress, Superblock};

use crate::volume::scope::Scope;

/// Blocks of the ring that are read at once.
pub(super) const CHUNK_BLOCKS: u64 = 256;

/// The ring of the log.
pub(super) struct Ring<'a> {
    pub(super) scope: &'a Scope<'a>,
    pub(super) superblock: &'a Superblock,
    start: BlockAddress,
    /// Blocks of the ring; never 0.
    pub(super) blocks: u64,
}

impl<'a> Ring<'a> {
    pub(super) fn new(scope: &'a Scope<'a>, superblock: &'a Superblock) -> Self {
        let geometry = &superblock.geometry;
        let (start, blocks) = (geometry.log_start, geometry.log_blocks.max(1));
        Self { scope, superblock, start, blocks }
    }

    /// The block of the volume at `position`, which may be beyond the end and wraps around then.
    pub(super) fn address(&self, position: u64) -> BlockAddress {
        self.start + position % self.blocks
    }

    pub(super) fn read_block(&self, position: u64) -> Result<Vec<u8>, BlockError> {
        let mut block = vec![0; BLOCK_SIZE];
        self.scope.read(self.address(position), &mut block)?;
        Ok(block)
    }

    /// Reads `count` blocks from `position` on and shows them to `visit` in parts.
    pub(super) fn read_parts(
        &self,
        position: u64,
        count: u64,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<(), BlockError> {
        let mut buffer = vec![0; CHUNK_BLOCKS.min(count) as usize * BLOCK_SIZE];
        let mut done = 0;
        while done < count {
            let next = position.saturating_add(done) % self.blocks;
            let part = (count - done).min(CHUNK_BLOCKS).min(self.blocks - next);
            let bytes = buffer.get_mut(..part as usize * BLOCK_SIZE).unwrap_or_default();
            self.scope.read(self.address(next), bytes)?;
            visit(bytes);
            done += part;
        }
        Ok(())
    }
}
