//! The locks of this crate: those of `parking_lot`, or, built with `--cfg shuttle`, look-alikes whose
//! every step is decided by a [model checker](https://docs.rs/shuttle) (see `tests/shuttle`).

#[cfg(not(shuttle))]
pub(crate) use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

#[cfg(shuttle)]
pub(crate) use controlled::{Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

#[cfg(shuttle)]
mod controlled;
