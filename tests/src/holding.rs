//! A device whose writes and flushes are held until the test lets them go: writeback that takes as long as
//! it must.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::time::{Duration, Instant};

use braidfs_block::{BlockDevice, BlockError, BlockErrorKind, BlockGeometry, BlockOperation};
use parking_lot::{Condvar, Mutex};

/// How long something may take to come about before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Passes everything on to another device; writes and flushes only when they are let go.
#[derive(Debug, Default)]
pub struct HoldingDevice<D> {
    inner: D,
    writes: Gate,
    flushes: Gate,
}

/// Holds operations of one sort.
#[derive(Debug, Default)]
pub struct Gate {
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    holds: bool,
    waiting: u64,
    /// Operations let go that did not pass yet, and whether each is to succeed.
    passes: VecDeque<bool>,
}

impl Gate {
    /// Holds operations from now on.
    pub fn hold(&self) {
        self.held.lock().holds = true;
    }

    /// Lets one operation go: the one that waits, or the next one.
    pub fn let_one_go(&self) {
        self.held.lock().passes.push_back(true);
        self.changed.notify_all();
    }

    /// Fails one operation: the one that waits, or the next one.
    pub fn fail_one(&self) {
        self.held.lock().passes.push_back(false);
        self.changed.notify_all();
    }

    /// Holds none any more.
    pub fn let_all_go(&self) {
        self.held.lock().holds = false;
        self.changed.notify_all();
    }

    /// Waits until an operation is held.
    ///
    /// # Panics
    /// If none comes.
    pub fn await_one(&self) {
        await_that("a held operation", || self.held.lock().waiting > 0);
    }

    /// Waits until this operation may go, and says whether it is to succeed.
    fn pass(&self) -> bool {
        let mut held = self.held.lock();
        held.waiting += 1;
        while held.holds && held.passes.is_empty() {
            self.changed.wait(&mut held);
        }
        held.waiting -= 1;
        !held.holds || held.passes.pop_front().unwrap_or(true)
    }
}

impl<D: BlockDevice> HoldingDevice<D> {
    /// Passes everything on to `inner`, at first at once.
    pub fn new(inner: D) -> Self {
        Self { inner, writes: Gate::default(), flushes: Gate::default() }
    }

    /// The device below.
    pub fn inner(&self) -> &D {
        &self.inner
    }

    /// Holds flushes.
    pub fn flushes(&self) -> &Gate {
        &self.flushes
    }

    /// Holds writes.
    pub fn writes(&self) -> &Gate {
        &self.writes
    }
}

/// Waits until something has come about.
///
/// # Panics
/// If it does not.
pub fn await_that(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl<D: BlockDevice> BlockDevice for HoldingDevice<D> {
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
        match self.writes.pass() {
            true => self.inner.write_at(offset, buffers),
            false => Err(BlockError::new(BlockErrorKind::Io, BlockOperation::Write)),
        }
    }

    fn flush(&self) -> Result<(), BlockError> {
        match self.flushes.pass() {
            true => self.inner.flush(),
            false => Err(BlockError::new(BlockErrorKind::Io, BlockOperation::Flush)),
        }
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), BlockError> {
        self.inner.discard(offset, length)
    }
}
