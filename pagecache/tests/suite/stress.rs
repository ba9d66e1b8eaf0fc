//! Many threads at once, under each policy.
//!
//! Every page is written whole, with a number that only grows. So a page that is torn, and one that
//! goes back in time, are told at sight, be it read from the cache, taken from a frozen version, or
//! found on the disk.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use braidfs_pagecache::{PAGE_SIZE, PageBytes, WritebackPolicy};

use crate::disk::Disk;
use crate::fixture::{File, PAGE, Version, cache_of, for_each_policy};

const PAGES: u64 = 48;
const WRITERS: u64 = 3;
const DURATION: Duration = Duration::from_millis(1500);

fn page_of_number(number: u64) -> PageBytes {
    let mut bytes = [0; PAGE_SIZE];
    bytes.as_chunks_mut::<8>().0.fill(number.to_le_bytes());
    bytes
}

fn number_of(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    assert!(words.iter().all(|word| *word == words[0]), "a page is torn");
    u64::from_le_bytes(words[0])
}

struct Stress {
    file: File,
    other: File,
    done: AtomicBool,
    /// The last number whose write returned, for each page.
    written: Vec<AtomicU64>,
    /// The last number seen in a published version, for each page.
    published: Mutex<Vec<u64>>,
}

impl Stress {
    fn new(policy: WritebackPolicy, pool_pages: u64) -> Self {
        let cache = cache_of(pool_pages, policy);
        let other = File::over(cache.clone(), Disk::with_pages((0..400).map(|page| (page, 7))));
        Self {
            file: File::over(cache, Disk::default()),
            other,
            done: AtomicBool::new(false),
            written: (0..PAGES).map(|_| AtomicU64::new(0)).collect(),
            published: Mutex::new(vec![0; PAGES as usize]),
        }
    }

    fn is_running(&self) -> bool {
        !self.done.load(Ordering::Relaxed)
    }

    /// Writes the pages that are this writer's, again and again.
    fn write(&self, writer: u64) {
        let mut number = 0;
        while self.is_running() {
            for page in (writer..PAGES).step_by(WRITERS as usize) {
                number += 1;
                // Now and then zeros, which take another way.
                let number = if number % 13 == 0 { 0 } else { number };
                self.file.cache.throttle();
                self.file.write(page * PAGE, &page_of_number(number));
                self.written[page as usize].store(number, Ordering::Release);
                assert_eq!(
                    number_of(&self.file.read(page * PAGE, PAGE_SIZE)),
                    number,
                    "a writer reads what it wrote"
                );
            }
        }
    }

    /// Reads pages of other writers.
    fn read(&self) {
        let mut seen = vec![0; PAGES as usize];
        while self.is_running() {
            for page in 0..PAGES {
                let number = number_of(&self.file.read(page * PAGE, PAGE_SIZE));
                let last = &mut seen[page as usize];
                assert!(
                    number == 0 || number >= *last,
                    "page {page} went back from {last} to {number}"
                );
                *last = number.max(*last);
            }
        }
    }

    /// Freezes and publishes, in order; others complete.
    fn write_back(&self, ended: &mpsc::SyncSender<Version>) {
        while self.is_running() {
            let Some(version) = self.file.try_freeze() else {
                thread::yield_now();
                continue;
            };
            if version.number % 17 == 0 {
                version.frozen.fail();
                continue;
            }
            self.check_frozen(&version);
            self.file.publish(&version);
            ended.send(version).unwrap();
        }
    }

    fn check_frozen(&self, version: &Version) {
        let mut published = self.published.lock().unwrap();
        for run in version.frozen.runs() {
            for (page, content) in (run.first..).zip(&run.pages) {
                let Some(bytes) = content.bytes() else { continue };
                let (number, last) = (number_of(bytes), &mut published[page as usize]);
                assert!(number >= *last, "version {} takes page {page} back", version.number);
                *last = number;
            }
        }
    }

    /// Completes versions, out of order.
    fn complete(&self, versions: &mpsc::Receiver<Version>) {
        let mut held: Vec<Version> = Vec::new();
        for (count, version) in versions.iter().enumerate() {
            held.push(version);
            if held.len() > 2 || self.file.cache.policy() == WritebackPolicy::Wait {
                held.swap_remove(count % held.len()).frozen.complete();
            }
        }
        held.into_iter().for_each(|version| version.frozen.complete());
    }

    /// Keeps memory short.
    fn press_memory(&self) {
        while self.is_running() {
            for page in (0..400).step_by(8) {
                assert!(self.other.read(page * PAGE, 8 * PAGE_SIZE).iter().all(|byte| *byte == 7));
            }
        }
    }

    fn run(&self) {
        let (ended, versions) = mpsc::sync_channel(4);
        thread::scope(|scope| {
            (0..WRITERS).for_each(|writer| drop(scope.spawn(move || self.write(writer))));
            scope.spawn(|| self.read());
            scope.spawn(|| self.press_memory());
            scope.spawn(move || self.complete(&versions));
            let deadline = Instant::now() + DURATION;
            let backend = scope.spawn(move || self.write_back(&ended));
            while Instant::now() < deadline && !backend.is_finished() {
                thread::sleep(Duration::from_millis(5));
            }
            self.done.store(true, Ordering::Relaxed);
            // Writers may wait for writeback that has stopped.
            self.file.cache.set_policy(WritebackPolicy::Fork);
        });
    }

    fn check(&self) {
        self.file.sync();
        self.file.assert_settled();
        self.file.mapping.drop_clean(0..PAGES);
        for page in 0..PAGES {
            let number = number_of(&self.file.read(page * PAGE, PAGE_SIZE));
            assert_eq!(number, self.written[page as usize].load(Ordering::Acquire), "page {page}");
        }
    }
}

#[test]
fn writers_readers_writeback_and_eviction_at_once() {
    for_each_policy(|policy| {
        let stress = Stress::new(policy, 384);
        stress.run();
        stress.check();
        assert!(stress.file.freezes() > 20, "{} freezes", stress.file.freezes());
        assert!(stress.file.counters().evictions > 0);
    });
}

/// Partial writes, truncations, punches and reads of the same pages by several threads: nothing to
/// compare with, but invariants must hold and everything must come back to zero.
#[test]
fn truncation_punching_and_partial_writes_at_once() {
    for_each_policy(|policy| {
        let file = File::over(cache_of(256, policy), Disk::default());
        let done = AtomicBool::new(false);
        let rounds = |work: &dyn Fn(u64)| {
            let mut round = 0;
            while !done.load(Ordering::Relaxed) {
                round += 1;
                work(round);
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                rounds(&|round| file.write(round * 1000 % (40 * PAGE), &[round as u8; 3000]))
            });
            scope.spawn(|| rounds(&|round| drop(file.read(round * 777 % (40 * PAGE), 9000))));
            scope.spawn(|| rounds(&|round| file.truncate(round * 5001 % (40 * PAGE))));
            scope.spawn(|| {
                rounds(&|round| {
                    file.punch(round * 3001 % (20 * PAGE), 20 * PAGE + round * 501 % (20 * PAGE))
                })
            });
            scope.spawn(|| {
                rounds(&|round| if round % 5 == 0 { drop(file.try_freeze()) } else { file.sync() })
            });
            thread::sleep(Duration::from_millis(700));
            done.store(true, Ordering::Relaxed);
        });
        file.sync();
        file.assert_settled();
        assert_eq!(file.counters().frozen_bytes, 0);
        let live = file.read(0, 42 * PAGE_SIZE);
        file.mapping.drop_clean(0..100);
        assert!(file.read(0, 42 * PAGE_SIZE) == live, "the cache and the disk agree");
    });
}
