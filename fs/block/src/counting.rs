//! A device that counts how it is used.

use std::io::{IoSlice, IoSliceMut};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::device::{BlockDevice, BlockGeometry, total_bytes};
use crate::error::BlockError;

/// How often a device was used, and for how many bytes; failed calls count too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DeviceCounts {
    /// Calls that read.
    pub reads: u64,
    /// Bytes asked for by them.
    pub read_bytes: u64,
    /// Calls that write; a vectored one is one.
    pub writes: u64,
    /// Bytes given to them.
    pub written_bytes: u64,
    /// Flushes.
    pub flushes: u64,
    /// Discards.
    pub discards: u64,
    /// Bytes named by them.
    pub discarded_bytes: u64,
}

/// Passes everything on to another device, and counts it.
#[derive(Debug, Default)]
pub struct CountingDevice<D> {
    inner: D,
    reads: AtomicU64,
    read_bytes: AtomicU64,
    writes: AtomicU64,
    written_bytes: AtomicU64,
    flushes: AtomicU64,
    discards: AtomicU64,
    discarded_bytes: AtomicU64,
}

fn add(counter: &AtomicU64, count: u64) {
    // Plain counters: they order nothing, and each is read by itself.
    counter.fetch_add(count, Ordering::Relaxed);
}

impl<D: BlockDevice> CountingDevice<D> {
    /// Counts the use of `inner`, from zero.
    pub fn new(inner: D) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            inner,
            reads: zero(),
            read_bytes: zero(),
            writes: zero(),
            written_bytes: zero(),
            flushes: zero(),
            discards: zero(),
            discarded_bytes: zero(),
        }
    }

    /// The device underneath.
    pub fn inner(&self) -> &D {
        &self.inner
    }

    /// The counts since the beginning or the last [`take_counts`](Self::take_counts).
    pub fn counts(&self) -> DeviceCounts {
        self.collect(|counter| counter.load(Ordering::Relaxed))
    }

    /// The counts, which start again from zero.
    pub fn take_counts(&self) -> DeviceCounts {
        self.collect(|counter| counter.swap(0, Ordering::Relaxed))
    }

    fn collect(&self, get: impl Fn(&AtomicU64) -> u64) -> DeviceCounts {
        DeviceCounts {
            reads: get(&self.reads),
            read_bytes: get(&self.read_bytes),
            writes: get(&self.writes),
            written_bytes: get(&self.written_bytes),
            flushes: get(&self.flushes),
            discards: get(&self.discards),
            discarded_bytes: get(&self.discarded_bytes),
        }
    }
}

impl<D: BlockDevice> BlockDevice for CountingDevice<D> {
    fn geometry(&self) -> BlockGeometry {
        self.inner.geometry()
    }

    fn read_vectored_at(
        &self,
        offset: u64,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Result<(), BlockError> {
        add(&self.reads, 1);
        add(&self.read_bytes, total_bytes(buffers));
        self.inner.read_vectored_at(offset, buffers)
    }

    fn write_at(&self, offset: u64, buffers: &[IoSlice<'_>]) -> Result<(), BlockError> {
        add(&self.writes, 1);
        add(&self.written_bytes, total_bytes(buffers));
        self.inner.write_at(offset, buffers)
    }

    fn flush(&self) -> Result<(), BlockError> {
        add(&self.flushes, 1);
        self.inner.flush()
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), BlockError> {
        add(&self.discards, 1);
        add(&self.discarded_bytes, length);
        self.inner.discard(offset, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDevice;

    #[test]
    fn every_call_is_counted_once_with_its_bytes() {
        let device = CountingDevice::new(MemoryDevice::new(1 << 20));
        let block = [1; 4096];
        device.write_at(0, &[IoSlice::new(&block), IoSlice::new(&block)]).unwrap();
        device.read_at(0, &mut [0; 4096]).unwrap();
        device.read_at(4096, &mut [0; 4096]).unwrap();
        device.flush().unwrap();
        device.discard(0, 8192).unwrap();
        let expected = DeviceCounts {
            reads: 2,
            read_bytes: 8192,
            writes: 1,
            written_bytes: 8192,
            flushes: 1,
            discards: 1,
            discarded_bytes: 8192,
        };
        assert_eq!(device.counts(), expected);
        assert_eq!(device.take_counts(), expected);
        assert_eq!(device.counts(), DeviceCounts::default());
        assert_eq!(device.inner().stored_blocks(), 0);
    }

    #[test]
    fn failed_calls_count_too() {
        let device = CountingDevice::new(MemoryDevice::new(4096));
        device.read_at(4096, &mut [0; 4096]).unwrap_err();
        assert_eq!(device.counts().reads, 1);
    }
}
