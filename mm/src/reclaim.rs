//! Memory that is freed only when nobody can be looking at it any more.
//!
//! Readers without a lock [`pin`] themselves while they look. What is taken out of their reach is
//! given to [`free`], which frees it once all who were pinned then have gone: the epochs of
//! [`crossbeam::epoch`], or a look-alike under the model checker that knows who looks at what is
//! gone. If no table of the pool has a reader, nobody looks, and it is freed at once.

#[cfg(not(shuttle))]
pub(crate) use epochs::{Pin, free, pin};
#[cfg(shuttle)]
pub(crate) use model::{Pin, free, pin};

/// What is freed by dropping the box it came from.
pub(crate) trait Garbage: 'static {
    /// Called in place of freeing under the model checker, which keeps the memory to catch those
    /// who still look at it.
    #[cfg(shuttle)]
    fn bury(&self);
}

#[cfg(not(shuttle))]
mod epochs {
    use std::sync::Arc;

    use crossbeam::epoch;

    use super::Garbage;
    use crate::table_memory::TableMemory;

    /// Bytes of garbage over a pool from which on the collector is asked to hurry.
    const HURRY_BYTES: usize = 64 << 10;

    /// While it lives, nothing that this thread can reach is freed.
    pub(crate) struct Pin(#[allow(dead_code)] epoch::Guard);

    /// Enters the current epoch: a write to a cache line of this thread, and a barrier.
    pub(crate) fn pin() -> Pin {
        Pin(epoch::pin())
    }

    /// Frees what a pointer points to as soon as no reader can be looking at it.
    ///
    /// # Safety
    ///
    /// The pointer comes from a box, and is given up. Nobody can reach what it points to but
    /// readers of tables over that memory's pool which pinned themselves before.
    pub(crate) unsafe fn free<T: Garbage>(
        garbage: *mut T,
        bytes: usize,
        memory: &Arc<TableMemory>,
    ) {
        if !memory.has_readers() {
            // SAFETY: nobody else can reach it, and the pointer comes from a box. That there is no
            // reader was seen with acquire ordering, so the last looks of former ones came before.
            return drop(unsafe { Box::from_raw(garbage) });
        }
        let retired = memory.retire(bytes);
        let memory = Arc::clone(memory);
        let guard = epoch::pin();
        // SAFETY: whoever can still look at it is pinned, so the closure runs after that. It may
        // run on another thread: a pointer to what nobody else can reach may go there.
        unsafe {
            guard.defer_unchecked(move || {
                memory.unretire(bytes);
                drop(Box::from_raw(garbage));
            });
        }
        if retired > HURRY_BYTES {
            guard.flush();
        }
    }
}

#[cfg(shuttle)]
mod model {
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::Garbage;
    use crate::table_memory::TableMemory;

    type Burial = Box<dyn FnOnce()>;

    /// Who is pinned, and what waits for whom. All threads of a model run on one.
    #[derive(Default)]
    struct Readers {
        next: u64,
        pinned: BTreeSet<u64>,
        waiting: Vec<(BTreeSet<u64>, Burial)>,
    }

    thread_local! {
        static READERS: RefCell<Readers> = RefCell::default();
    }

    /// While it lives, nothing that was reachable when it was made is buried.
    pub(crate) struct Pin(u64);

    pub(crate) fn pin() -> Pin {
        READERS.with_borrow_mut(|readers| {
            readers.next += 1;
            readers.pinned.insert(readers.next);
            Pin(readers.next)
        })
    }

    impl Drop for Pin {
        fn drop(&mut self) {
            let due: Vec<Burial> = READERS.with_borrow_mut(|readers| {
                readers.pinned.remove(&self.0);
                for (before, _) in &mut readers.waiting {
                    before.remove(&self.0);
                }
                let due = readers.waiting.extract_if(.., |(before, _)| before.is_empty());
                due.map(|(_, burial)| burial).collect()
            });
            due.into_iter().for_each(|burial| burial());
        }
    }

    /// As the real one, but the memory stays, marked as gone.
    ///
    /// # Safety
    ///
    /// As of the real one.
    pub(crate) unsafe fn free<T: Garbage>(
        garbage: *mut T,
        bytes: usize,
        memory: &Arc<TableMemory>,
    ) {
        // SAFETY: the pointer comes from a box that nobody drops.
        let garbage: &'static T = unsafe { &*garbage };
        let memory = Arc::clone(memory);
        let has_readers = memory.has_readers();
        memory.retire(bytes);
        let burial = move || {
            memory.unretire(bytes);
            garbage.bury();
        };
        READERS.with_borrow_mut(|readers| match readers.pinned.is_empty() || !has_readers {
            true => burial(),
            false => readers.waiting.push((readers.pinned.clone(), Box::new(burial))),
        });
    }
}
