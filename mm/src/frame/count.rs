//! The reference count of a frame, and the two ways in which a frame is exclusive.
//!
//! Three kinds of hands are laid on a count:
//!
//! * *Holders* own one of it, for as long as they like: [`retain`](Count::retain) from one that is
//!   held, [`release`](Count::release).
//! * *Readers without a lock* hold nothing when they come. [`try_retain`](Count::try_retain) takes
//!   one of whatever life the frame is in; whether that was the frame they wanted they must find
//!   out afterwards, and until then they must not look at its bytes.
//! * *A writer in place* holds the only count. [`try_lock`](Count::try_lock) makes it stay the only
//!   one: until [`unlock`](Count::unlock) readers are turned away.
//!
//! # Why nobody reads what is written
//!
//! A reader looks at the bytes only after it took its count and *then* saw an entry that names the
//! frame. Both ways to the right to write go through a compare-and-swap from 1, so a reader's count
//! comes before it or after it in the order of the count's changes:
//!
//! * Before: the swap fails, nothing is written.
//! * After: if the writer holds the lock, the reader's attempt fails; if it let go, the reader
//!   acquires what was released, and sees the bytes whole. If the writer had taken the frame out of
//!   the table first ([`is_alone`](Count::is_alone)), the reader acquires that too, so it no longer
//!   finds the entry and never looks at the bytes.
//!
//! This is why `is_alone` is a swap of 1 for 1 and not a load: a load could miss a count that is
//! taken while the reader misses the entry's removal. `tests/loom.rs` checks all this exhaustively.

use crate::sync::atomic::{AtomicU32, Ordering};

/// The most references a frame may have. Far below the lock's bit, so that threads which pass it
/// together are stopped before they reach that.
const MAX_REFERENCES: u32 = 1 << 30;
/// Set while the only holder writes.
const LOCKED: u32 = 1 << 31;

/// The reference count of a frame; 0 while the frame is free.
#[cfg_attr(not(loom), derive(zerocopy::FromZeros))]
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Count(AtomicU32);

impl Count {
    /// The count of a frame that has one holder.
    #[cfg(loom)]
    pub(crate) fn one() -> Self {
        Self(AtomicU32::new(1))
    }

    /// References at this moment, readers' included.
    pub(crate) fn references(&self) -> u32 {
        self.0.load(Ordering::Relaxed) & !LOCKED
    }

    /// Makes it the count of a frame that was free until now, with one holder. Release: a reader who
    /// takes a count of the new life knows that the old one's entries are gone.
    pub(crate) fn begin(&self) {
        self.0.store(1, Ordering::Release);
    }

    /// Takes one more, for somebody who holds one or borrows it from a holder.
    pub(crate) fn retain(&self) {
        if self.0.fetch_add(1, Ordering::Relaxed) > MAX_REFERENCES {
            // As `Arc` does: a count that wraps would free a frame that is in use.
            std::process::abort();
        }
    }

    /// Takes one for somebody who holds none, if the frame is in use and not being written.
    pub(crate) fn try_retain(&self) -> bool {
        let one_more = |count: u32| (count > 0 && count < MAX_REFERENCES).then_some(count + 1);
        // Acquire: what was written under the lock is seen, and so is a removal from a table that
        // came before the last look at the count. Release, for the `is_alone` that finds this one
        // gone again.
        self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more).is_ok()
    }

    /// Gives up one; says whether it was the last. If it was, all that former holders did comes
    /// before what the caller does next.
    #[must_use]
    pub(crate) fn release(&self) -> bool {
        // No fence for the last alone, as `Arc` has it: the thread sanitizer knows none, and on x86
        // it costs the same.
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Takes the first one of a frame that is free; says whether nobody else did.
    pub(crate) fn try_begin(&self) -> bool {
        self.0.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Gives up one that is not the last; says whether it did. If not, the caller holds the only
    /// one still, all that former holders did comes before what it does next, and it is to
    /// [`end`](Self::end) the count.
    #[must_use]
    pub(crate) fn release_unless_last(&self) -> bool {
        let one_less = |count: u32| (count > 1).then(|| count - 1);
        self.0.fetch_update(Ordering::Release, Ordering::Acquire, one_less).is_ok()
    }

    /// Frees the frame, for who holds the only one.
    pub(crate) fn end(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Whether the caller, who holds one, holds the only one. A reader may take another right after
    /// this, but it will not find the frame in a table and leaves the bytes alone.
    pub(crate) fn is_alone(&self) -> bool {
        self.0.compare_exchange(1, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Keeps readers away, if the caller, who holds one, holds the only one.
    pub(crate) fn try_lock(&self) -> bool {
        self.0.compare_exchange(1, LOCKED | 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Lets readers in again; for who holds the lock, and so the only count.
    pub(crate) fn unlock(&self) {
        self.0.store(1, Ordering::Release);
    }
}
