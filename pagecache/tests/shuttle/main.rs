//! The protocols of a mapping under a model checker, which decides at every step of every lock who goes
//! on: `RUSTFLAGS="--cfg shuttle" cargo test -p braidfs-pagecache --test shuttle`.
//!
//! A lost wake-up or a deadlock fails a test by itself. What else must hold is asserted: nobody reads
//! older content than they read before, a frozen version does not change, and in the end the cache
//! and the disk agree.

#![cfg(shuttle)]
#![allow(clippy::unwrap_used)]

mod fsync;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use braidfs_pagecache::{
    Backing, CacheConfig, CacheError, Frozen, FrozenPage, Mapping, PAGE_SIZE, PageCache, PageFill,
    WritebackPolicy,
};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread::{JoinHandle, spawn, yield_now};
use shuttle::{Config, Runner};

const PAGE: u64 = PAGE_SIZE as u64;

/// Runs a scenario under many schedules: 1,500 of each kind, or what `SCHEDULES` says.
fn explore(scenario: impl Fn() + Send + Sync + Clone + 'static) {
    let schedules = std::env::var("SCHEDULES").ok().and_then(|count| count.parse().ok());
    let schedules = schedules.unwrap_or(1500);
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    Runner::new(RandomScheduler::new(schedules), config.clone()).run(scenario.clone());
    Runner::new(PctScheduler::new(3, schedules), config).run(scenario);
}

/// Pages full of one byte each.
#[derive(Default)]
struct Disk {
    pages: Mutex<BTreeMap<u64, u8>>,
}

impl Disk {
    fn publish(&self, frozen: &Frozen) {
        for run in frozen.runs() {
            for (page, content) in (run.first..).zip(&run.pages) {
                self.pages.lock().unwrap().insert(page, byte_of(content));
            }
        }
    }

    fn byte(&self, page: u64) -> u8 {
        self.pages.lock().unwrap().get(&page).copied().unwrap_or(0)
    }
}

impl Backing for Disk {
    type Error = CacheError;

    fn fill(&self, first: u64, pages: &mut [PageFill<'_>]) -> Result<(), CacheError> {
        for (page, fill) in (first..).zip(pages) {
            match self.byte(page) {
                0 => {}
                byte => fill.buffer().fill(byte),
            }
        }
        // Between the look at the disk and the installation anything may happen.
        yield_now();
        Ok(())
    }
}

fn byte_of(page: &FrozenPage<'_>) -> u8 {
    page.bytes().map_or(0, |bytes| uniform(bytes))
}

fn uniform(bytes: &[u8]) -> u8 {
    assert!(bytes.iter().all(|byte| *byte == bytes[0]), "a page is torn");
    bytes[0]
}

struct World {
    cache: Arc<PageCache>,
    mapping: Arc<Mapping>,
    disk: Disk,
}

impl World {
    fn new(policy: WritebackPolicy) -> Arc<Self> {
        let config = CacheConfig { policy, ..CacheConfig::with_pool_bytes(64 * PAGE) };
        Self::with(config, &[])
    }

    fn with(config: CacheConfig, disk: &[(u64, u8)]) -> Arc<Self> {
        let cache = PageCache::new(config).unwrap();
        let pages = Mutex::new(disk.iter().copied().collect());
        Arc::new(Self { mapping: Mapping::new(&cache), cache, disk: Disk { pages } })
    }

    fn write(&self, page: u64, byte: u8) {
        self.mapping.write(page * PAGE, &[byte; PAGE_SIZE], &self.disk).unwrap();
    }

    fn read(&self, page: u64) -> u8 {
        let mut bytes = [0xee; PAGE_SIZE];
        self.mapping.read(page * PAGE, &mut bytes, &self.disk).unwrap();
        uniform(&bytes)
    }

    fn sync(&self) {
        if let Some(frozen) = self.mapping.freeze() {
            self.disk.publish(&frozen);
            frozen.complete();
        }
    }

    /// Writes everything back and sees that pages contain what they must, in the cache and on the disk.
    fn check(&self, expected: &[(u64, u8)]) {
        self.sync();
        for (page, byte) in expected {
            assert_eq!(self.read(*page), *byte, "page {page} in the cache");
        }
        self.mapping.drop_clean(0..100);
        for (page, byte) in expected {
            assert_eq!(self.read(*page), *byte, "page {page} on the disk");
        }
        let counters = self.cache.counters();
        assert_eq!((counters.dirty_bytes, counters.frozen_bytes), (0, 0));
    }
}

/// Starts a thread that works on the world.
fn start(world: &Arc<World>, work: impl FnOnce(&World) + Send + 'static) -> JoinHandle<()> {
    let world = Arc::clone(world);
    spawn(move || work(&world))
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_miss_never_brings_back_what_was_written_synced_and_evicted() {
    explore(|| {
        let world = World::with(CacheConfig::with_pool_bytes(64 * PAGE), &[(0, 1)]);
        let reader = start(&world, |world| assert!([1, 2].contains(&world.read(0))));
        let writer = start(&world, |world| {
            world.write(0, 2);
            world.sync();
        });
        // Twice the pool: whatever is clean and cold when this starts is evicted.
        let evictor = start(&world, |world| {
            let other = Mapping::new(&world.cache);
            let mut bytes = vec![0; 32 * PAGE_SIZE];
            let full = Disk { pages: Mutex::new((0..128).map(|page| (page, 7)).collect()) };
            for at in (0..128).step_by(32) {
                other.read(at * PAGE, &mut bytes, &full).unwrap();
            }
        });
        join([reader, writer, evictor]);
        world.check(&[(0, 2)]);
    });
}

#[test]
fn a_page_found_full_of_zeros_is_not_lost_to_a_write_or_to_writeback() {
    explore(|| {
        let world = World::with(CacheConfig::with_pool_bytes(64 * PAGE), &[(0, 1)]);
        // In two parts, so that it is in a frame; and left alone for a round.
        for part in 0..2 {
            world.mapping.write(part * PAGE / 2, &[0; PAGE_SIZE / 2], &world.disk).unwrap();
        }
        world.cache.scan_for_zeros(usize::MAX);
        let scanner = start(&world, |world| {
            world.cache.scan_for_zeros(usize::MAX);
        });
        let writer = start(&world, |world| {
            assert_eq!(world.read(0), 0);
            world.write(0, 3);
        });
        let syncer = start(&world, World::sync);
        join([scanner, writer, syncer]);
        world.check(&[(0, 3)]);
        assert_eq!(world.cache.zero_page_counts().deduplicated, 0);
    });
}

#[test]
fn a_reader_never_goes_back_in_time() {
    explore(|| {
        let world = World::with(CacheConfig::with_pool_bytes(64 * PAGE), &[(0, 1)]);
        let reader = start(&world, |world| {
            let seen: Vec<u8> = (0..3).map(|_| world.read(0)).collect();
            assert!(seen.is_sorted(), "{seen:?}");
        });
        let writer = start(&world, |world| {
            for byte in 2..4 {
                world.write(0, byte);
                world.sync();
            }
        });
        let dropper = start(&world, |world| (0..2).for_each(|_| world.mapping.drop_clean(0..1)));
        join([reader, writer, dropper]);
        world.check(&[(0, 3)]);
    });
}

#[test]
fn versions_settle_in_any_order_while_the_page_is_written_again() {
    for policy in [WritebackPolicy::Fork, WritebackPolicy::Copy] {
        explore(move || {
            let world = World::new(policy);
            let versions: Vec<Frozen> = (1..3)
                .map(|byte| {
                    world.write(0, byte);
                    world.write(u64::from(byte), byte);
                    world.mapping.freeze().unwrap()
                })
                .collect();
            versions.iter().for_each(|frozen| world.disk.publish(frozen));
            let settling = versions.into_iter().map(|frozen| spawn(move || frozen.complete()));
            let settling: Vec<_> = settling.collect();
            let writer = start(&world, |world| {
                world.write(0, 3);
                assert_eq!(world.read(0), 3);
            });
            join(settling);
            join([writer]);
            assert_eq!(world.mapping.dirty_pages(), 1);
            world.check(&[(0, 3), (1, 1), (2, 2)]);
        });
    }
}

#[test]
fn a_frozen_version_stays_as_it_was_while_it_is_gathered() {
    explore(|| {
        let world = World::new(WritebackPolicy::Fork);
        (0..3).for_each(|page| world.write(page, 1));
        let frozen = world.mapping.freeze().unwrap();
        let backend = start(&world, move |_| {
            for _ in 0..2 {
                let run = frozen.runs().next().unwrap();
                assert_eq!(run.pages.len(), 3);
                assert!(run.pages.iter().all(|page| byte_of(page) == 1));
                yield_now();
            }
            frozen.fail();
        });
        let writer = start(&world, |world| {
            world.write(1, 2);
            world.mapping.freeze().unwrap().fail();
        });
        let cutter = start(&world, |world| world.mapping.truncate(2 * PAGE, &world.disk).unwrap());
        join([backend, writer, cutter]);
        assert_eq!(world.mapping.dirty_pages(), 2);
        world.check(&[(0, 1), (1, 2), (2, 0)]);
    });
}

#[test]
fn who_waits_for_a_page_in_flight_is_woken_however_the_version_ends() {
    for fails in [false, true] {
        explore(move || {
            let world = World::new(WritebackPolicy::Wait);
            world.write(0, 1);
            world.write(1, 1);
            let frozen = world.mapping.freeze().unwrap();
            let writers = [(0, 2), (1, 3)];
            let writers =
                writers.map(|(page, byte)| start(&world, move |world| world.write(page, byte)));
            let backend = start(&world, move |world| {
                world.disk.publish(&frozen);
                if fails { drop(frozen) } else { frozen.complete() }
            });
            join(writers);
            join([backend]);
            world.check(&[(0, 2), (1, 3)]);
        });
    }
}

#[test]
fn shutdown_and_a_change_of_policy_wake_who_waits() {
    explore(|| {
        let world = World::new(WritebackPolicy::Wait);
        world.write(0, 1);
        let frozen = world.mapping.freeze().unwrap();
        let writer = start(&world, |world| {
            let written = world.mapping.write(0, &[2; PAGE_SIZE], &world.disk);
            assert!(matches!(written, Ok(()) | Err(CacheError::ShutDown)));
        });
        let stopper = start(&world, |world| world.cache.shut_down());
        join([writer, stopper]);
        drop(frozen);
    });
    explore(|| {
        let world = World::new(WritebackPolicy::Wait);
        world.write(0, 1);
        let frozen = world.mapping.freeze().unwrap();
        let writer = start(&world, |world| world.write(0, 2));
        let switcher = start(&world, |world| world.cache.set_policy(WritebackPolicy::Fork));
        join([writer, switcher]);
        drop(frozen);
        world.check(&[(0, 2)]);
    });
}

#[test]
fn at_the_limits_writers_are_woken_by_progress() {
    let config = CacheConfig {
        dirty_limit_bytes: 2 * PAGE,
        background_bytes: PAGE,
        frozen_limit_bytes: PAGE,
        ..CacheConfig::with_pool_bytes(64 * PAGE)
    };
    explore(move || {
        let world = World::with(config.clone(), &[]);
        (0..2).for_each(|page| world.write(page, 1));
        let frozen = world.mapping.freeze().unwrap();
        let running = Arc::new(AtomicUsize::new(3));
        let writers = [0, 1, 2].map(|page| {
            let running = Arc::clone(&running);
            start(&world, move |world| {
                // All are above the background threshold, the first may fork, the second must not.
                world.cache.throttle();
                world.write(page, 2);
                running.fetch_sub(1, Ordering::Relaxed);
            })
        });
        let backend = start(&world, move |world| {
            world.disk.publish(&frozen);
            frozen.complete();
            while running.load(Ordering::Relaxed) > 0 {
                world.sync();
                yield_now();
            }
        });
        join(writers);
        join([backend]);
        world.check(&[(0, 2), (1, 2), (2, 2)]);
    });
}
