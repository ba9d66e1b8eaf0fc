//! A device that fails when it is told to.
//!
//! Purpose: tests of what the layers above do when a disk fails, fills up, is slow, or returns other
//! bytes than were written. Errors look like those of the kernel. Lock order: one lock, never held
//! while the device underneath works or while a delay passes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IoSlice, IoSliceMut};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::device::{BLOCK_BYTES, BlockDevice, BlockGeometry, total_bytes};
use crate::error::{BlockError, BlockErrorKind, BlockOperation};

/// A failure to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fault {
    /// The operations that it concerns.
    pub operation: BlockOperation,
    /// How many of them succeed first, counted from when the fault is set.
    pub after: u64,
    /// Whether all later ones fail too.
    pub forever: bool,
    /// The kind of the error.
    pub kind: BlockErrorKind,
    /// Whether the operation is carried out all the same, as when only its report gets lost.
    pub carried_out: bool,
}

impl Fault {
    /// The `number`-th `operation` from now, counted from 1, fails with an I/O error; later ones succeed.
    pub fn nth(operation: BlockOperation, number: u64) -> Self {
        Self {
            operation,
            after: number.saturating_sub(1),
            forever: false,
            kind: BlockErrorKind::Io,
            carried_out: false,
        }
    }

    /// The same, and all later operations of this sort fail too.
    #[must_use]
    pub fn forever(self) -> Self {
        Self { forever: true, ..self }
    }

    /// The same, with the error of a full disk.
    #[must_use]
    pub fn no_space(self) -> Self {
        Self { kind: BlockErrorKind::NoSpace, ..self }
    }

    /// The same, but the operation is carried out before the error is returned.
    #[must_use]
    pub fn carried_out(self) -> Self {
        Self { carried_out: true, ..self }
    }
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    latencies: BTreeMap<BlockOperation, Duration>,
    corrupt_blocks: BTreeSet<u64>,
    injected: u64,
}

impl State {
    /// Counts one `operation`; the fault that it meets, if any.
    fn strike(&mut self, operation: BlockOperation) -> Option<Fault> {
        let mut struck = None;
        self.faults.retain_mut(|fault| {
            if fault.operation != operation {
                return true;
            }
            if fault.after > 0 {
                fault.after -= 1;
                return true;
            }
            struck = struck.or(Some(*fault));
            fault.forever
        });
        self.injected += u64::from(struck.is_some());
        struck
    }
}

/// Passes everything on to another device, but for the faults that were set.
#[derive(Debug)]
pub struct FaultyDevice<D> {
    inner: D,
    state: Mutex<State>,
}

impl<D: BlockDevice> FaultyDevice<D> {
    /// A device without faults so far.
    pub fn new(inner: D) -> Self {
        Self { inner, state: Mutex::default() }
    }

    /// The device underneath.
    pub fn inner(&self) -> &D {
        &self.inner
    }

    /// Sets a fault, in addition to those that are set.
    pub fn inject(&self, fault: Fault) {
        self.state.lock().faults.push(fault);
    }

    /// How many operations have been made to fail.
    pub fn injected(&self) -> u64 {
        self.state.lock().injected
    }

    /// Makes each `operation` take at least this much longer.
    pub fn set_latency(&self, operation: BlockOperation, latency: Duration) {
        self.state.lock().latencies.insert(operation, latency);
    }

    /// Makes every read of the block that holds the byte at `offset` return one wrong byte.
    pub fn corrupt_block_at(&self, offset: u64) {
        self.state.lock().corrupt_blocks.insert(offset / BLOCK_BYTES);
    }

    /// Takes back all faults, delays and corruption.
    pub fn heal(&self) {
        let mut state = self.state.lock();
        *state = State { injected: state.injected, ..State::default() };
    }

    /// Delays the operation, and makes it fail if a fault says so.
    fn run(
        &self,
        operation: BlockOperation,
        range: (u64, u64),
        work: impl FnOnce() -> Result<(), BlockError>,
    ) -> Result<(), BlockError> {
        let (fault, latency) = {
            let mut state = self.state.lock();
            (state.strike(operation), state.latencies.get(&operation).copied())
        };
        if let Some(latency) = latency {
            thread::sleep(latency);
        }
        let Some(fault) = fault else { return work() };
        if fault.carried_out {
            work()?;
        }
        let mut error = BlockError::from_errno(fault.kind.errno(), operation).at(range.0, range.1);
        error.kind = fault.kind;
        Err(error)
    }

    fn corrupt(&self, offset: u64, buffers: &mut [IoSliceMut<'_>]) {
        let end = offset.saturating_add(total_bytes(buffers));
        let state = self.state.lock();
        for block in state.corrupt_blocks.range(offset / BLOCK_BYTES..end / BLOCK_BYTES) {
            // Somewhere in the middle, where only a checksum notices.
            flip_byte(buffers, block * BLOCK_BYTES - offset + BLOCK_BYTES / 2);
        }
    }
}

fn flip_byte(buffers: &mut [IoSliceMut<'_>], mut position: u64) {
    for buffer in buffers {
        let length = buffer.len() as u64;
        if position < length {
            buffer[position as usize] ^= 0xff;
            return;
        }
        position -= length;
    }
}

impl<D: BlockDevice> BlockDevice for FaultyDevice<D> {
    fn geometry(&self) -> BlockGeometry {
        self.inner.geometry()
    }

    fn read_vectored_at(
        &self,
        offset: u64,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Result<(), BlockError> {
        let range = (offset, total_bytes(buffers));
        self.run(BlockOperation::Read, range, || {
            self.inner.read_vectored_at(offset, buffers)?;
            self.corrupt(offset, buffers);
            Ok(())
        })
    }

    fn write_at(&self, offset: u64, buffers: &[IoSlice<'_>]) -> Result<(), BlockError> {
        let range = (offset, total_bytes(buffers));
        self.run(BlockOperation::Write, range, || self.inner.write_at(offset, buffers))
    }

    fn flush(&self) -> Result<(), BlockError> {
        self.run(BlockOperation::Flush, (0, 0), || self.inner.flush())
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), BlockError> {
        self.run(BlockOperation::Discard, (offset, length), || self.inner.discard(offset, length))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::MemoryDevice;

    fn device() -> FaultyDevice<MemoryDevice> {
        FaultyDevice::new(MemoryDevice::new(1 << 20))
    }

    fn write(device: &FaultyDevice<MemoryDevice>, fill: u8) -> Result<(), BlockError> {
        device.write_at(0, &[IoSlice::new(&[fill; 4096])])
    }

    fn first_byte(device: &MemoryDevice) -> u8 {
        let mut block = [0; 4096];
        device.read_at(0, &mut block).unwrap();
        block[0]
    }

    #[test]
    fn the_nth_operation_fails_once() {
        let device = device();
        device.inject(Fault::nth(BlockOperation::Write, 3));
        let results: Vec<bool> = (1..=5).map(|fill| write(&device, fill).is_ok()).collect();
        assert_eq!(results, [true, true, false, true, true]);
        assert_eq!(device.injected(), 1);
    }

    #[test]
    fn a_fault_for_ever_lasts_until_healed() {
        let device = device();
        device.inject(Fault::nth(BlockOperation::Flush, 2).forever());
        let results: Vec<bool> = (0..4).map(|_| device.flush().is_ok()).collect();
        assert_eq!(results, [true, false, false, false]);
        write(&device, 1).unwrap();
        device.heal();
        device.flush().unwrap();
        assert_eq!(device.injected(), 3);
    }

    #[test]
    fn a_failed_write_changes_nothing_unless_it_is_carried_out() {
        let device = device();
        device.inject(Fault::nth(BlockOperation::Write, 1));
        write(&device, 1).unwrap_err();
        assert_eq!(first_byte(device.inner()), 0);
        device.inject(Fault::nth(BlockOperation::Write, 1).carried_out());
        write(&device, 2).unwrap_err();
        assert_eq!(first_byte(device.inner()), 2);
    }

    #[test]
    fn errors_look_like_those_of_the_kernel() {
        let device = device();
        device.inject(Fault::nth(BlockOperation::Write, 1).no_space());
        let full = write(&device, 1).unwrap_err();
        assert_eq!((full.kind, full.errno), (BlockErrorKind::NoSpace, 28));
        device.inject(Fault::nth(BlockOperation::Read, 1));
        let failed = device.read_at(4096, &mut [0; 8192]).unwrap_err();
        assert_eq!((failed.kind, failed.errno), (BlockErrorKind::Io, 5));
        assert_eq!((failed.offset, failed.length), (4096, 8192));
        device.inject(Fault::nth(BlockOperation::Discard, 1));
        assert_eq!(device.discard(0, 4096).unwrap_err().operation, BlockOperation::Discard);
    }

    #[test]
    fn faults_of_one_sort_count_on_their_own() {
        let device = device();
        device.inject(Fault::nth(BlockOperation::Write, 1));
        device.inject(Fault::nth(BlockOperation::Write, 2).no_space());
        assert_eq!(write(&device, 1).unwrap_err().kind, BlockErrorKind::Io);
        assert_eq!(write(&device, 1).unwrap_err().kind, BlockErrorKind::NoSpace);
        write(&device, 1).unwrap();
    }

    #[test]
    fn a_corrupt_block_reads_wrong_and_its_neighbours_read_right() {
        let device = device();
        device.write_at(0, &[IoSlice::new(&[9; 3 * 4096])]).unwrap();
        device.corrupt_block_at(4096 + 17);
        let (mut first, mut second) = ([0; 6000], [0; 3 * 4096 - 6000]);
        let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        device.read_vectored_at(0, &mut buffers).unwrap();
        let read = [&first[..], &second].concat();
        let wrong: Vec<usize> = (0..read.len()).filter(|&at| read[at] != 9).collect();
        assert_eq!(wrong, [4096 + 2048]);
        let mut block = [0; 4096];
        device.read_at(4096, &mut block).unwrap();
        assert_ne!(block, [9; 4096]);
        device.read_at(8192, &mut block).unwrap();
        assert_eq!(block, [9; 4096]);
        device.heal();
        device.read_at(4096, &mut block).unwrap();
        assert_eq!(block, [9; 4096]);
    }

    #[test]
    fn latency_delays_the_operations_that_it_is_set_for() {
        let device = device();
        device.set_latency(BlockOperation::Flush, Duration::from_millis(30));
        let start = Instant::now();
        device.flush().unwrap();
        assert!(start.elapsed() >= Duration::from_millis(30));
    }
}
