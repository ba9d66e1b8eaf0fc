//! A device that lies: the planted bugs with which the harness is tested.

use std::io::{IoSlice, IoSliceMut};
use std::sync::atomic::{AtomicU64, Ordering};

use braidfs_block::{BlockDevice, BlockError, BlockGeometry};
use braidfs_format::{BLOCK_SIZE, Geometry};
use parking_lot::Mutex;

/// A part of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// Both ends: superblock slots.
    Superblocks,
    /// Bitmap slots.
    Bitmaps,
    /// The log ring.
    Log,
    /// Tree nodes and file data.
    Data,
}

/// How a device lies. Counts begin at 1.
#[derive(Debug, Clone)]
pub enum Lie {
    /// Flushes return at once, and flush nothing.
    DropFlushes,
    /// Every n-th write to the region is not made.
    DropWrites(Region, u64),
    /// Every n-th write to the region has one byte wrong.
    CorruptWrites(Region, u64),
    /// Every n-th write to the region goes one block too far.
    MisplaceWrites(Region, u64),
    /// Writes to the region are made after the next flush.
    DelayWrites(Region),
}

/// Passes everything on to another device, but for its lie.
pub struct LyingDevice<D> {
    inner: D,
    lie: Lie,
    geometry: Geometry,
    writes: AtomicU64,
    delayed: Mutex<Vec<(u64, Vec<u8>)>>,
}

impl<D: BlockDevice> LyingDevice<D> {
    /// Lies about the volume on `inner`.
    ///
    /// # Panics
    /// If there is no volume on it.
    pub fn new(inner: D, lie: Lie) -> Self {
        let mut block = vec![0; BLOCK_SIZE];
        inner.read_at(0, &mut block).expect("the first block can be read");
        let superblock = braidfs_format::Superblock::decode(&block, 0).expect("a superblock");
        let geometry = superblock.geometry;
        Self { inner, lie, geometry, writes: AtomicU64::new(0), delayed: Default::default() }
    }

    fn region(&self, offset: u64) -> Region {
        let block = offset / BLOCK_SIZE as u64;
        let geometry = &self.geometry;
        match block {
            _ if block < geometry.bitmap_start || block + 2 >= geometry.block_count => {
                Region::Superblocks
            }
            _ if block < geometry.log_start => Region::Bitmaps,
            _ if block < geometry.data_start => Region::Log,
            _ => Region::Data,
        }
    }

    /// Whether this write to the region of the lie is one that it is about.
    fn is_due(&self, region: Region, offset: u64, every: u64) -> bool {
        self.region(offset) == region
            && (self.writes.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(every)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), BlockError> {
        self.inner.write_at(offset, &[IoSlice::new(bytes)])
    }

    fn write_delayed(&self) -> Result<(), BlockError> {
        let delayed = std::mem::take(&mut *self.delayed.lock());
        delayed.iter().try_for_each(|(offset, bytes)| self.write(*offset, bytes))
    }
}

impl<D: BlockDevice> BlockDevice for LyingDevice<D> {
    fn geometry(&self) -> BlockGeometry {
        self.inner.geometry()
    }

    fn read_vectored_at(
        &self,
        offset: u64,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Result<(), BlockError> {
        self.write_delayed()?;
        self.inner.read_vectored_at(offset, buffers)
    }

    fn write_at(&self, offset: u64, buffers: &[IoSlice<'_>]) -> Result<(), BlockError> {
        let mut bytes: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.iter().copied()).collect();
        match self.lie {
            Lie::DropWrites(region, every) if self.is_due(region, offset, every) => Ok(()),
            Lie::CorruptWrites(region, every) if self.is_due(region, offset, every) => {
                if let Some(byte) = bytes.get_mut(70) {
                    *byte ^= 4;
                }
                self.write(offset, &bytes)
            }
            Lie::MisplaceWrites(region, every) if self.is_due(region, offset, every) => {
                self.write(offset + BLOCK_SIZE as u64, &bytes)
            }
            Lie::DelayWrites(region) if self.region(offset) == region => {
                self.delayed.lock().push((offset, bytes));
                Ok(())
            }
            _ => self.write(offset, &bytes),
        }
    }

    fn flush(&self) -> Result<(), BlockError> {
        match self.lie {
            Lie::DropFlushes => Ok(()),
            _ => {
                self.inner.flush()?;
                self.write_delayed()
            }
        }
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), BlockError> {
        self.inner.discard(offset, length)
    }
}
