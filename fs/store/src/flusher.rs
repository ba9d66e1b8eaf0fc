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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::*;
    use crate::error::StoreErrorKind;

    fn written(delta: DeltaNumber, durable_through: DeltaNumber) -> Written {
        Written { delta, durable_through }
    }

    fn lead<'a>(flusher: &'a Flusher, delta: DeltaNumber) -> Lead<'a> {
        match flusher.turn(delta, &Poison::default()).unwrap() {
            Turn::Lead(lead) => lead,
            Turn::Done => panic!("delta {delta} is durable already"),
        }
    }

    #[test]
    fn a_flush_covers_what_was_written_before_it_began() {
        let flusher = Flusher::new(written(1, 0), 0);
        flusher.note_written(written(2, 0));
        let first = lead(&flusher, 1);
        flusher.note_written(written(3, 0));
        first.flushed();
        assert_eq!((flusher.durable(), flusher.recorded(), flusher.written()), (2, 0, 3));
        assert!(matches!(flusher.turn(2, &Poison::default()), Ok(Turn::Done)));
        flusher.note_written(written(4, 2));
        lead(&flusher, 3).flushed();
        assert_eq!((flusher.durable(), flusher.recorded()), (4, 2));
    }

    #[test]
    fn a_follower_waits_and_leads_if_it_was_not_covered() {
        let flusher = Flusher::new(written(1, 0), 0);
        let first = lead(&flusher, 1);
        flusher.note_written(written(2, 0));
        let began = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let follower = scope.spawn(|| {
                began.store(true, Ordering::Release);
                lead(&flusher, 2).flushed();
            });
            while !began.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(5));
            assert!(!follower.is_finished());
            first.flushed();
        });
        assert_eq!(flusher.durable(), 2);
    }

    #[test]
    fn a_leader_that_gives_up_lets_the_next_one_see_the_poison() {
        let (flusher, poison) = (Flusher::new(written(1, 0), 0), Poison::default());
        drop(lead(&flusher, 1));
        drop(lead(&flusher, 1));
        poison.set(StoreError::new(StoreErrorKind::Io, "flushing", "the medium is gone"));
        let error = flusher.turn(1, &poison).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Io);
    }
}
