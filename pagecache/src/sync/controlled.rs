//! Locks under control of the model checker, with the interface of `parking_lot` as far as it is used.
//!
//! Two things differ, both towards more interleavings: downgrading a lock lets others in between, and
//! a wait with a deadline is over as soon as the others had a chance to run.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::time::Instant;

use shuttle::sync;

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(sync::Mutex<T>);

/// Holds the lock but for the moments in which it waits.
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a sync::Mutex<T>,
    held: Option<sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let held = Some(self.0.lock().unwrap_or_else(PoisonError::into_inner));
        MutexGuard { mutex: &self.0, held }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let held = Some(self.0.try_lock().ok()?);
        Some(MutexGuard { mutex: &self.0, held })
    }
}

#[allow(clippy::expect_used)]
impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect("the lock is held but in a wait")
    }
}

#[allow(clippy::expect_used)]
impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect("the lock is held but in a wait")
    }
}

#[derive(Debug, Default)]
pub(crate) struct Condvar(sync::Condvar);

/// How a wait with a deadline ended.
pub(crate) struct WaitTimeoutResult;

impl WaitTimeoutResult {
    pub(crate) fn timed_out(&self) -> bool {
        true
    }
}

impl Condvar {
    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        if let Some(held) = guard.held.take() {
            guard.held = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
        }
    }

    pub(crate) fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        _deadline: Instant,
    ) -> WaitTimeoutResult {
        drop(guard.held.take());
        shuttle::thread::yield_now();
        guard.held = Some(guard.mutex.lock().unwrap_or_else(PoisonError::into_inner));
        WaitTimeoutResult
    }
}

#[derive(Debug, Default)]
pub(crate) struct RwLock<T>(sync::RwLock<T>);

pub(crate) struct RwLockReadGuard<'a, T>(sync::RwLockReadGuard<'a, T>);

pub(crate) struct RwLockWriteGuard<'a, T> {
    lock: &'a sync::RwLock<T>,
    held: sync::RwLockWriteGuard<'a, T>,
}

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(sync::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard(self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        let held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        RwLockWriteGuard { lock: &self.0, held }
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a, T> RwLockWriteGuard<'a, T> {
    pub(crate) fn downgrade(self) -> RwLockReadGuard<'a, T> {
        let lock = self.lock;
        drop(self);
        RwLockReadGuard(lock.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.held
    }
}

impl<T> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.held
    }
}
