//! Atomics, and the points at which a model checker may let another thread go on.

/// The atomics of this crate. `tests/loom.rs` puts those of its model checker in their place.
pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{AtomicU32, Ordering};
}

/// A point between two steps that other threads can get between: nothing, but built with
/// `--cfg shuttle` the model checker chooses who goes on.
#[inline(always)]
pub(crate) fn step() {
    #[cfg(shuttle)]
    shuttle::sync::atomic::AtomicBool::new(false).load(atomic::Ordering::SeqCst);
}
