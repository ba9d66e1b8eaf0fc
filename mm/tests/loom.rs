//! The count of a frame under an exhaustive model checker that knows the memory model:
//! `RUSTFLAGS="--cfg loom" cargo test -p braidfs-mm --test loom --release`.
//!
//! The count is the very file that the crate uses, over the checker's atomics. Around it stands what
//! a table and its reader do with it: a word that names the frame, and the bytes of the frame, which
//! the checker guards against being read and written at the same time.

#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::thread;

/// The atomics that `count` is to use here.
mod sync {
    pub(crate) mod atomic {
        pub(crate) use loom::sync::atomic::{AtomicU32, Ordering};
    }
}

#[allow(dead_code)]
#[path = "../src/frame/count.rs"]
mod count;

use count::Count;

const EMPTY: u32 = 0;
const NAMED: u32 = 1;

/// A frame, an entry of a table that may name it, and whether the pool has it.
struct Scene {
    count: Count,
    bytes: UnsafeCell<u32>,
    word: AtomicU32,
    free: AtomicBool,
}

// SAFETY: the bytes are what is being checked: the model checker sees each access.
unsafe impl Sync for Scene {}
// SAFETY: as above.
unsafe impl Send for Scene {}

impl Scene {
    /// A frame that an entry names, and nothing else does.
    fn new() -> Arc<Self> {
        Arc::new(Self {
            count: Count::one(),
            bytes: UnsafeCell::new(1),
            word: AtomicU32::new(NAMED),
            free: AtomicBool::new(false),
        })
    }

    /// What a reader without a lock does: the bytes, if the entry names the frame.
    fn read(&self) -> Option<u32> {
        if self.word.load(Ordering::Acquire) != NAMED || !self.count.try_retain() {
            return None;
        }
        let named = self.word.load(Ordering::Acquire) == NAMED;
        let seen = named.then(|| self.bytes.with(|bytes| unsafe { *bytes }));
        self.give_up();
        seen
    }

    /// What a writer in place does, if it can.
    fn write_in_place(&self, value: u32) -> bool {
        let locked = self.count.try_lock();
        if locked {
            self.write(value);
            self.count.unlock();
        }
        locked
    }

    fn write(&self, value: u32) {
        self.bytes.with_mut(|bytes| unsafe { *bytes = value });
    }

    fn give_up(&self) {
        if self.count.release() {
            self.free.store(true, Ordering::Release);
        }
    }
}

/// Runs one against the other in all orders.
fn explore(reader: fn(&Scene), writer: fn(&Scene)) {
    loom::model(move || {
        let scene = Scene::new();
        let other = Arc::clone(&scene);
        let thread = thread::spawn(move || reader(&other));
        writer(&scene);
        thread.join().unwrap();
    });
}

fn reads_one_of_the_two(scene: &Scene) {
    assert!(matches!(scene.read(), None | Some(1 | 2)));
}

#[test]
fn a_page_is_not_read_while_it_is_written_in_place() {
    explore(reads_one_of_the_two, |scene| {
        if scene.write_in_place(2) {
            assert!(scene.count.references() >= 1);
        }
    });
}

#[test]
fn a_page_that_was_taken_out_is_written_only_when_no_reader_has_it() {
    explore(reads_one_of_the_two, |scene| {
        scene.word.store(EMPTY, Ordering::Release);
        if scene.count.is_alone() {
            scene.write(2);
        }
        scene.give_up();
    });
}

/// What `is_alone` would be if it only looked.
#[test]
#[should_panic]
fn to_look_at_the_count_would_not_be_enough() {
    explore(reads_one_of_the_two, |scene| {
        scene.word.store(EMPTY, Ordering::Release);
        if scene.count.references() == 1 {
            scene.write(2);
        }
        scene.give_up();
    });
}

#[test]
fn a_frame_that_is_used_anew_is_not_read_as_what_it_was() {
    explore(
        |scene| {
            assert!(scene.read().is_none_or(|seen| seen == 1), "the bytes of another page");
        },
        |scene| {
            scene.word.store(EMPTY, Ordering::Release);
            scene.give_up();
            if scene.free.swap(false, Ordering::AcqRel) {
                scene.count.begin();
                scene.write(2);
                scene.give_up();
            }
        },
    );
}

#[test]
fn a_frame_that_comes_back_to_the_entry_is_read_whole() {
    explore(reads_one_of_the_two, |scene| {
        scene.word.store(EMPTY, Ordering::Release);
        scene.give_up();
        if scene.free.swap(false, Ordering::AcqRel) {
            scene.count.begin();
            scene.write(2);
            scene.word.store(NAMED, Ordering::Release);
        }
    });
}

#[test]
fn two_readers_and_a_writer_agree_on_the_count() {
    loom::model(|| {
        let scene = Scene::new();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let scene = Arc::clone(&scene);
                thread::spawn(move || reads_one_of_the_two(&scene))
            })
            .collect();
        scene.write_in_place(2);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert_eq!(scene.count.references(), 1);
        assert!(scene.write_in_place(2), "a count was lost");
    });
}
