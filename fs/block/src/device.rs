//! The trait that all devices share, and the checks that all of them make first.

use std::io::{IoSlice, IoSliceMut};
use std::ops::Deref;
use std::sync::Arc;

use crate::error::{BlockError, BlockErrorKind, BlockOperation};

/// The unit of every offset and length, in bytes.
pub const BLOCK_BYTES: u64 = 4096;

/// What a device says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockGeometry {
    /// The usable size: a multiple of [`BLOCK_BYTES`], rounded down where the device is larger.
    pub size_bytes: u64,
    /// The unit that the device itself writes whole; a torn write is torn at a multiple of it.
    pub logical_block_bytes: u32,
    /// Whether a discard does anything.
    pub discards: bool,
    /// Whether seeking costs time, where that is known.
    pub rotational: Option<bool>,
    /// Whether reads pass the kernel's page cache by, so that a caller's own cache is the only one.
    pub direct_reads: bool,
    /// Whether writes pass the kernel's page cache by, so that a flush finds nothing else to write.
    pub direct_writes: bool,
    /// Whether every write is refused.
    pub read_only: bool,
}

/// A device of blocks, usable from several threads at once.
///
/// Offsets and lengths, summed over the buffers of a call, are multiples of [`BLOCK_BYTES`] and lie
/// within the device; anything else is an error that changes nothing. A transfer that fails may
/// have been made in part. Overlapping calls made at the same time have no defined order.
pub trait BlockDevice: Send + Sync {
    /// The size and the abilities of the device; constant, but for `discards`, which turns false
    /// when the first discard finds that there is no support.
    fn geometry(&self) -> BlockGeometry;

    /// Fills `buffer` from `offset`.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), BlockError> {
        self.read_vectored_at(offset, &mut [IoSliceMut::new(buffer)])
    }

    /// Fills all of `buffers`, in order, from `offset`.
    fn read_vectored_at(
        &self,
        offset: u64,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Result<(), BlockError>;

    /// Writes all of `buffers`, in order, at `offset`. Durable only after a [`flush`](Self::flush).
    fn write_at(&self, offset: u64, buffers: &[IoSlice<'_>]) -> Result<(), BlockError>;

    /// Makes every write that returned before this call began survive a power loss.
    ///
    /// After an error nothing is known about any write since the last successful flush, and a later
    /// success does not bring them back: the kernel may have dropped them.
    fn flush(&self) -> Result<(), BlockError>;

    /// Says that the content of a range is not needed any more; what a read of it returns afterwards
    /// is not defined. Does nothing where the device cannot discard.
    fn discard(&self, offset: u64, length: u64) -> Result<(), BlockError>;
}

impl<D: BlockDevice + ?Sized> BlockDevice for Arc<D> {
    fn geometry(&self) -> BlockGeometry {
        (**self).geometry()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), BlockError> {
        (**self).read_at(offset, buffer)
    }

    fn read_vectored_at(
        &self,
        offset: u64,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Result<(), BlockError> {
        (**self).read_vectored_at(offset, buffers)
    }

    fn write_at(&self, offset: u64, buffers: &[IoSlice<'_>]) -> Result<(), BlockError> {
        (**self).write_at(offset, buffers)
    }

    fn flush(&self) -> Result<(), BlockError> {
        (**self).flush()
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), BlockError> {
        (**self).discard(offset, length)
    }
}

/// The bytes in all of `buffers`.
pub(crate) fn total_bytes<B: Deref<Target = [u8]>>(buffers: &[B]) -> u64 {
    buffers.iter().fold(0, |sum: u64, buffer| sum.saturating_add(buffer.len() as u64))
}

/// Refuses a range that is not made of whole blocks or does not lie within `size_bytes`.
pub(crate) fn check_range(
    operation: BlockOperation,
    offset: u64,
    length: u64,
    size_bytes: u64,
) -> Result<(), BlockError> {
    let refuse = |kind| Err(BlockError::new(kind, operation).at(offset, length));
    if !offset.is_multiple_of(BLOCK_BYTES) || !length.is_multiple_of(BLOCK_BYTES) {
        return refuse(BlockErrorKind::Unaligned);
    }
    match offset.checked_add(length) {
        Some(end) if end <= size_bytes => Ok(()),
        _ => refuse(BlockErrorKind::OutOfRange),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDevice;

    #[test]
    fn ranges_must_be_whole_blocks_within_the_device() {
        let check = |offset, length| {
            check_range(BlockOperation::Read, offset, length, 8192).map_err(|error| error.kind)
        };
        assert_eq!(check(0, 8192), Ok(()));
        assert_eq!(check(8192, 0), Ok(()));
        assert_eq!(check(512, 4096), Err(BlockErrorKind::Unaligned));
        assert_eq!(check(0, 100), Err(BlockErrorKind::Unaligned));
        assert_eq!(check(4096, 8192), Err(BlockErrorKind::OutOfRange));
        assert_eq!(check(u64::MAX - 4095, 4096), Err(BlockErrorKind::OutOfRange));
    }

    #[test]
    fn a_shared_trait_object_is_a_device() {
        let device: Arc<dyn BlockDevice> = Arc::new(MemoryDevice::new(1 << 20));
        let nested: Arc<dyn BlockDevice> = Arc::new(device);
        nested.write_at(4096, &[IoSlice::new(&[7; 4096])]).unwrap();
        nested.flush().unwrap();
        let mut buffer = [0; 8192];
        nested.read_at(0, &mut buffer).unwrap();
        assert_eq!((buffer[4095], buffer[4096]), (0, 7));
        nested.discard(4096, 4096).unwrap();
        nested.read_vectored_at(0, &mut [IoSliceMut::new(&mut buffer)]).unwrap();
        assert_eq!(buffer, [0; 8192]);
        assert_eq!(nested.geometry().size_bytes, 1 << 20);
    }
}
