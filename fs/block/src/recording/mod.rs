//! A device that remembers what was done to it, and the images that a power loss could have left.
//!
//! Purpose: enumerate instead of trying one's luck. [`RecordingDevice`] passes everything on and logs
//! every write with its data, every flush, and marks of the test ("delta 7 acknowledged").
//! [`Recording::crash_points`] then stops at every place in that log; a [`CrashPoint`] knows which
//! writes a flush has made durable and which may be there or not, and enumerates [`CrashCase`]s:
//! every subset of those, writes torn at any sector, sectors of garbage.
//!
//! Invariants: a flush makes durable exactly the writes that had returned before it began, so a write
//! made at the same time as a flush stays uncertain; a write or flush that failed promises nothing,
//! and a failed write may still be there. Discards are writes of zeros that may be there or not. A
//! case with its recording gives the same image every time.
//!
//! Lock order: the log's lock is never held while the device underneath works.

mod cases;
mod crash;
mod log;
mod subsets;

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::buffers::Gather;
use crate::device::{BlockDevice, BlockGeometry, check_range, total_bytes};
use crate::error::{BlockError, BlockErrorKind, BlockOperation};
use crate::memory::MemoryDevice;
pub use cases::{CrashCase, Damage, DamageKind};
pub use crash::{CrashPoint, CrashPoints};
use log::Log;
pub use log::{Content, Event, Mark, RecordedWrite, Recording};

/// Passes everything on to another device, and logs it.
#[derive(Debug)]
pub struct RecordingDevice<D> {
    inner: D,
    base: MemoryDevice,
    log: Mutex<Log>,
}

impl RecordingDevice<MemoryDevice> {
    /// Records what is done to `inner` from now on.
    pub fn new(inner: MemoryDevice) -> Self {
        let base = inner.clone();
        Self { inner, base, log: Mutex::default() }
    }
}

impl<D: BlockDevice> RecordingDevice<D> {
    /// Records what is done to `inner`, whose content now is that of `base`, all of it durable.
    pub fn with_base(inner: D, base: MemoryDevice) -> Result<Self, BlockError> {
        if inner.geometry().size_bytes != base.geometry().size_bytes {
            return Err(BlockError::new(BlockErrorKind::OutOfRange, BlockOperation::Open));
        }
        Ok(Self { inner, base, log: Mutex::default() })
    }

    /// The device underneath.
    pub fn inner(&self) -> &D {
        &self.inner
    }

    /// Notes in the log that something has happened by now, as ("acknowledged", 7).
    pub fn mark(&self, name: &'static str, value: u64) {
        self.log.lock().push(Event::Mark(Mark { name, value }));
    }

    /// The log so far.
    pub fn recording(&self) -> Recording {
        self.log.lock().recording(&self.base)
    }

    /// Logs a write when it is issued, and again when it has succeeded.
    fn write(
        &self,
        operation: BlockOperation,
        range: (u64, u64),
        content: impl FnOnce() -> Content,
        work: impl FnOnce() -> Result<(), BlockError>,
    ) -> Result<(), BlockError> {
        let (offset, length) = range;
        check_range(operation, offset, length, self.base.geometry().size_bytes)?;
        if length == 0 {
            return work();
        }
        let write = RecordedWrite { offset, length, content: content() };
        let index = self.log.lock().begin_write(write);
        work()?;
        self.log.lock().end_write(index);
        Ok(())
    }
}

impl<D: BlockDevice> BlockDevice for RecordingDevice<D> {
    fn geometry(&self) -> BlockGeometry {
        self.inner.geometry()
    }

    fn read_vectored_at(
        &self,
        offset: u64,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Result<(), BlockError> {
        self.inner.read_vectored_at(offset, buffers)
    }

    fn write_at(&self, offset: u64, buffers: &[IoSlice<'_>]) -> Result<(), BlockError> {
        let content = || {
            let mut data = vec![0; total_bytes(buffers) as usize];
            Gather::new(buffers).fill(&mut data);
            Content::Data(Arc::from(data))
        };
        let range = (offset, total_bytes(buffers));
        let work = || self.inner.write_at(offset, buffers);
        self.write(BlockOperation::Write, range, content, work)
    }

    fn flush(&self) -> Result<(), BlockError> {
        let started = self.log.lock().begin_flush();
        self.inner.flush()?;
        self.log.lock().push(Event::Flush { started });
        Ok(())
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), BlockError> {
        let work = || self.inner.discard(offset, length);
        self.write(BlockOperation::Discard, (offset, length), || Content::Discard, work)
    }
}
