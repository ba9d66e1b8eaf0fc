//! Page tables under a model checker that chooses who goes on at each step of a table, of a reader
//! without a lock, and of a frame: `RUSTFLAGS="--cfg shuttle" cargo test -p braidfs-mm --test shuttle`.
//!
//! A node that is freed while somebody can look at it fails a test by itself: see `reclaim`.

#![cfg(shuttle)]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use braidfs_mm::{Content, FramePool, HeldEntry, PAGE_SIZE, PageTable, PoolConfig, TableReader};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::Mutex;
use shuttle::thread::{JoinHandle, spawn};
use shuttle::{Config, Runner};

/// Schedules a scenario is run under, of each kind.
fn schedules() -> usize {
    std::env::var("SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(1500)
}

/// Runs a scenario under many schedules.
fn explore(scenario: impl Fn() + Send + Sync + Clone + 'static) {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    Runner::new(RandomScheduler::new(schedules()), config.clone()).run(scenario.clone());
    Runner::new(PctScheduler::new(3, schedules()), config).run(scenario);
}

fn pool() -> Arc<FramePool> {
    FramePool::new(&PoolConfig::new(64 * PAGE_SIZE as u64)).unwrap()
}

fn put(table: &mut PageTable, index: u64, value: u8) {
    let frame = table.pool().allocate_copy(&[value; PAGE_SIZE]).unwrap();
    table.insert(index, frame).unwrap();
}

/// Writes a page in place if that is possible, else in a new frame.
fn write(table: &mut PageTable, index: u64, value: u8) {
    if let Some(mut page) = table.page_mut(index) {
        return page.fill(value);
    }
    put(table, index, value);
}

fn uniform(page: &[u8]) -> u8 {
    assert!(page.iter().all(|byte| *byte == page[0]), "a page is torn");
    page[0]
}

/// The value of a page; `None` if it has none.
fn value(table: &PageTable, index: u64) -> Option<u8> {
    table.get(index).and_then(|entry| entry.frame()).map(|frame| uniform(frame.page()))
}

/// The value of a page as a reader without a lock sees it.
fn held(reader: &TableReader, index: u64) -> Option<u8> {
    match reader.get(index)? {
        HeldEntry::Frame(frame, _) => Some(uniform(&frame[..])),
        HeldEntry::HoleZero(_) | HeldEntry::DedupZero(_) => Some(0),
    }
}

fn join(threads: Vec<JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Nothing is left when all tables are gone.
fn is_empty(pool: &FramePool) {
    assert_eq!((pool.free_frames(), pool.counters().table_bytes), (64, 0));
}

#[test]
fn a_fork_stands_still_while_the_live_table_is_written() {
    explore(|| {
        let pool = pool();
        let mut live = PageTable::new(&pool);
        (0..3).for_each(|index| put(&mut live, index, 1));
        let live = Arc::new(Mutex::new(live));
        let writer = Arc::clone(&live);
        let writer = spawn(move || {
            for round in 2..5 {
                write(&mut writer.lock().unwrap(), u64::from(round % 2), round);
            }
        });
        let forker = Arc::clone(&live);
        let forker = spawn(move || {
            let fork = forker.lock().unwrap().fork();
            let of_fork = fork.fork();
            let before: Vec<_> = (0..3).map(|index| value(&fork, index)).collect();
            drop(fork);
            shuttle::thread::yield_now();
            assert_eq!((0..3).map(|index| value(&of_fork, index)).collect::<Vec<_>>(), before);
        });
        join(vec![writer, forker]);
        assert_eq!(value(&live.lock().unwrap(), 0), Some(4));
        drop(live);
        is_empty(&pool);
    });
}

#[test]
fn two_forks_that_share_a_leaf_break_it_at_once() {
    explore(|| {
        let pool = pool();
        let mut first = PageTable::new(&pool);
        (0..4).for_each(|index| put(&mut first, index, 1));
        put(&mut first, 600, 1);
        let forks = [first.fork(), first.fork()];
        drop(first);
        let threads = forks.into_iter().zip(2..);
        let threads = threads.map(|(mut table, mark)| {
            spawn(move || {
                write(&mut table, 1, mark);
                write(&mut table, 1, mark + 10);
                write(&mut table, 600, mark);
                let seen: Vec<_> = [0, 1, 2, 600].map(|index| value(&table, index)).to_vec();
                assert_eq!(seen, [Some(1), Some(mark + 10), Some(1), Some(mark)]);
                assert_eq!(table.counts().frames, 5);
            })
        });
        join(threads.collect());
        is_empty(&pool);
    });
}

#[test]
fn what_is_unlinked_and_freed_is_not_seen_by_readers() {
    explore(|| {
        let pool = pool();
        let mut table = PageTable::new(&pool);
        put(&mut table, 0, 1);
        put(&mut table, 700, 2);
        let readers = (0..2).map(|_| table.reader()).collect::<Vec<_>>();
        let readers = readers.into_iter().map(|reader| {
            spawn(move || {
                for _ in 0..3 {
                    assert!(matches!(held(&reader, 0), None | Some(1 | 4)));
                    assert!(matches!(held(&reader, 700), None | Some(2 | 3)));
                }
            })
        });
        let mut threads: Vec<_> = readers.collect();
        threads.push(spawn(move || {
            table.remove_range(512..1024, |_, _| ()).unwrap();
            // In the frame that was just freed.
            put(&mut table, 1, 7);
            put(&mut table, 700, 3);
            // Higher, and lower again.
            table.insert(1 << 30, Content::HoleZero).unwrap();
            table.remove(1 << 30).unwrap();
            write(&mut table, 0, 4);
            table.clear();
        }));
        join(threads);
        is_empty(&pool);
    });
}

#[test]
fn a_reader_sees_its_table_and_not_the_fork_that_got_its_nodes() {
    explore(|| {
        let pool = pool();
        let mut live = PageTable::new(&pool);
        put(&mut live, 0, 1);
        let reader = live.reader();
        let mut fork = live.fork();
        let threads = vec![
            spawn(move || {
                for _ in 0..3 {
                    assert!(matches!(held(&reader, 0), None | Some(1 | 2)), "the fork's page");
                    assert!(held(&reader, 3).is_none(), "the fork's page");
                }
            }),
            // The live table leaves the leaf to the fork, which may change it in place after that.
            spawn(move || write(&mut live, 0, 2)),
            spawn(move || {
                write(&mut fork, 0, 9);
                write(&mut fork, 0, 9);
                put(&mut fork, 3, 9);
                fork.insert(3, Content::DedupZero).unwrap();
                fork.remove(0).unwrap();
                put(&mut fork, 0, 9);
            }),
        ];
        join(threads);
        is_empty(&pool);
    });
}

#[test]
fn a_discard_and_a_fault_leave_a_page_or_none() {
    explore(|| {
        let pool = pool();
        let mut table = PageTable::new(&pool);
        put(&mut table, 5, 1);
        let reader = table.reader();
        let table = Arc::new(Mutex::new(table));
        let (discarder, faulter) = (Arc::clone(&table), Arc::clone(&table));
        let threads = vec![
            spawn(move || {
                for _ in 0..2 {
                    discarder.lock().unwrap().remove_range(0..512, |_, _| ()).unwrap();
                }
            }),
            spawn(move || {
                for value in 2..4 {
                    let mut table = faulter.lock().unwrap();
                    if table.get(5).is_none() {
                        put(&mut table, 5, value);
                    }
                }
            }),
            spawn(move || {
                let mut newest = 0;
                for _ in 0..3 {
                    if let Some(value) = held(&reader, 5) {
                        assert!(value >= newest, "a page that was discarded");
                        newest = value;
                    }
                }
            }),
        ];
        join(threads);
        let table = Arc::into_inner(table).unwrap().into_inner().unwrap();
        assert_eq!(table.counts().frames, u64::from(value(&table, 5).is_some()));
        drop(table);
        is_empty(&pool);
    });
}

#[test]
fn a_leaf_collapses_and_comes_apart_under_a_reader() {
    explore(|| {
        let pool = pool();
        let mut table = PageTable::new(&pool);
        (0..511).for_each(|index| drop(table.insert(index, Content::HoleZero).unwrap()));
        put(&mut table, 511, 1);
        let reader = table.reader();
        let threads = vec![
            spawn(move || {
                for index in [511, 7, 511, 7] {
                    let seen = held(&reader, index);
                    assert!(matches!(seen, None | Some(0)) || (index == 511 && seen <= Some(2)));
                }
            }),
            spawn(move || {
                table.insert(511, Content::HoleZero).unwrap();
                put(&mut table, 511, 2);
                table.insert(511, Content::HoleZero).unwrap();
            }),
        ];
        join(threads);
        is_empty(&pool);
    });
}

#[test]
fn a_frame_that_is_used_for_another_page_is_not_taken_for_the_old_one() {
    explore(|| {
        let pool = pool();
        let mut table = PageTable::new(&pool);
        put(&mut table, 0, 1);
        put(&mut table, 5, 5);
        let reader = table.reader();
        let threads = vec![
            spawn(move || {
                for _ in 0..3 {
                    assert!(
                        matches!(held(&reader, 0), None | Some(1)),
                        "the page of another index"
                    );
                }
            }),
            // The leaf stays, and the frame of page 0 becomes that of page 1.
            spawn(move || {
                table.remove(0).unwrap();
                put(&mut table, 1, 7);
                write(&mut table, 1, 8);
            }),
        ];
        join(threads);
        is_empty(&pool);
    });
}

/// The kernel's series once cleared the entry of a table before its copy was complete.
#[test]
fn a_copy_is_complete_before_it_takes_the_place_of_a_shared_leaf() {
    explore(|| {
        let pool = pool();
        let mut live = PageTable::new(&pool);
        put(&mut live, 3, 1);
        put(&mut live, 600, 2);
        let fork = live.fork();
        let reader = live.reader();
        let writer = spawn(move || {
            put(&mut live, 0, 9);
            live
        });
        let threads = vec![
            spawn(move || {
                // A look-up is disturbed at most once by each node that is broken: it finds the page.
                assert_eq!(held(&reader, 3), Some(1));
                assert_eq!(held(&reader, 600), Some(2));
            }),
            spawn(move || drop(fork)),
        ];
        join(threads);
        drop(writer.join().unwrap());
        is_empty(&pool);
    });
}
