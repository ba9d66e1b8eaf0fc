//! A device of which one block cannot be read.

use std::io::{IoSlice, IoSliceMut};

use braidfs_block::{
    BLOCK_BYTES, BlockDevice, BlockError, BlockErrorKind, BlockGeometry, BlockOperation,
    MemoryDevice,
};

/// A device with a bad block.
pub struct Unreadable {
    pub device: MemoryDevice,
    pub block: u64,
}

impl BlockDevice for Unreadable {
    fn geometry(&self) -> BlockGeometry {
        self.device.geometry()
    }

    fn read_vectored_at(
        &self,
        offset: u64,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Result<(), BlockError> {
        let length: u64 = buffers.iter().map(|buffer| buffer.len() as u64).sum();
        let bad = self.block * BLOCK_BYTES;
        if (offset..offset + length).contains(&bad) {
            let error = BlockError::new(BlockErrorKind::Io, BlockOperation::Read);
            return Err(error.at(offset, length));
        }
        self.device.read_vectored_at(offset, buffers)
    }

    fn write_at(&self, offset: u64, buffers: &[IoSlice<'_>]) -> Result<(), BlockError> {
        self.device.write_at(offset, buffers)
    }

    fn flush(&self) -> Result<(), BlockError> {
        self.device.flush()
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), BlockError> {
        self.device.discard(offset, length)
    }
}
