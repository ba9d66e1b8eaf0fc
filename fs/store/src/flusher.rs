//! Group commit: one device flush makes every transaction durable that was written before it began.
//!
//! Who needs a delta durable and finds no flush under way leads: it flushes on its own thread.
//! Who finds one under way waits for it, and leads the next if its own delta was not covered. So a
//! lone fsync never changes threads, and a crowd shares flushes.
//!
//! Lock order: the state's mutex is a leaf; nothing is called under it.

use std::sync::atomic::{AtomicU64, Ordering};

use braidfs_format::DeltaNumber;
use parking_lot::{Condvar, Mutex};

use crate::error::StoreError;
use crate::poison::Poison;

/// Which deltas are written, and which durable.
#[derive(Debug)]
pub(crate) struct Flusher {
    state: Mutex<State>,
    flushed: Condvar,
    /// A copy of `state.durable`, to be read without the lock.
    durable: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct State {
    written: Written,
    durable: DeltaNumber,
    recorded: DeltaNumber,
    flushing: bool,
}

/// The newest transaction that a flush covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// Its delta.
    pub(crate) delta: DeltaNumber,
    /// The delta that it says everything is durable up to.
    pub(crate) durable_through: DeltaNumber,
}

/// What a task that needs a delta durable has to do.
#[derive(Debug)]
pub(crate) enum Turn<'a> {
    /// Nothing: it is.
    Done,
    /// Flush the device, then say how it went.
    Lead(Lead<'a>),
}

/// The task that flushes. Dropping it without [`Lead::flushed`] lets another one lead.
#[derive(Debug)]
pub(crate) struct Lead<'a> {
    flusher: &'a Flusher,
    target: Written,
}

impl Flusher {
    /// After replay: `written` is the newest transaction, deltas up to `durable` are known to be
    /// durable, and a durable transaction says so.
    pub(crate) fn new(written: Written, durable: DeltaNumber) -> Self {
        let state = State { written, durable, recorded: durable, flushing: false };
        Self { state: Mutex::new(state), flushed: Condvar::new(), durable: AtomicU64::new(durable) }
    }

    /// Every delta up to this one is durable.
    pub(crate) fn durable(&self) -> DeltaNumber {
        self.durable.load(Ordering::Acquire)
    }

    /// Every delta up to this one is durable, and a durable transaction says so: replay will not
    /// look at the data of these any more.
    pub(crate) fn recorded(&self) -> DeltaNumber {
        self.state.lock().recorded
    }

    /// The newest delta whose transaction was written.
    pub(crate) fn written(&self) -> DeltaNumber {
        self.state.lock().written.delta
    }

    /// Notes a transaction that was written and whose layer can be read.
    pub(crate) fn note_written(&self, written: Written) {
        self.state.lock().written = written;
    }

    /// Waits until `delta` is durable, or until it is this task's turn to flush.
    pub(crate) fn turn(&self, delta: DeltaNumber, poison: &Poison) -> Result<Turn<'_>, StoreError> {
        if self.durable() >= delta {
            return Ok(Turn::Done);
        }
        let mut state = self.state.lock();
        loop {
            if state.durable >= delta {
                return Ok(Turn::Done);
            }
            if let Some(first) = poison.first() {
                return Err(first.clone());
            }
            if delta > state.written.delta {
                let detail = format!("delta {delta} was not published yet");
                return Err(StoreError::invalid("making a delta durable", detail));
            }
            if !state.flushing {
                state.flushing = true;
                return Ok(Turn::Lead(Lead { flusher: self, target: state.written }));
            }
            self.flushed.wait(&mut state);
        }
    }
}

impl Lead<'_> {
    /// The flush succeeded: what was written before it is durable.
    pub(crate) fn flushed(self) {
        let mut state = self.flusher.state.lock();
        state.durable = state.durable.max(self.target.delta);
        state.recorded = state.recorded.max(self.target.durable_through);
        self.flusher.durable.store(state.durable, Ordering::Release);
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.flusher.state.lock().flushing = false;
        self.flusher.flushed.notify_all();
    }
}
