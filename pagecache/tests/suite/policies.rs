//! The three policies, side by side and switched while pages are in flight.

use std::thread;

use braidfs_pagecache::{CacheConfig, CacheError, PAGE_SIZE, PageCache, WritebackPolicy};

use crate::disk::{Disk, DiskError};
use crate::fixture::{File, PAGE, content_of, spawn_waiting};

#[test]
fn under_wait_a_writer_waits_until_the_version_completed() {
    let file = File::new(WritebackPolicy::Wait);
    file.fill_page(0, 1);
    let version = file.freeze();
    thread::scope(|scope| {
        let writer = spawn_waiting(scope, &file.cache, || file.fill_page(0, 2));
        assert_eq!(file.byte_of(0), 1, "readers do not wait");
        file.fill_page(1, 3);
        version.frozen.complete();
        writer.join().unwrap();
    });
    assert_eq!(file.byte_of(0), 2);
    let counters = file.counters();
    assert_eq!((counters.forks, counters.bytes_copied, counters.frozen_bytes_peak), (0, 0, 0));
    assert!(counters.waits >= 1 && counters.wait_ns >= 20_000_000, "{counters:?}");
}

#[test]
fn under_wait_a_writer_goes_on_when_the_version_failed() {
    let file = File::new(WritebackPolicy::Wait);
    file.fill_page(0, 1);
    let version = file.freeze();
    thread::scope(|scope| {
        let writer = spawn_waiting(scope, &file.cache, || file.write(0, &[2; 10]));
        version.frozen.fail();
        writer.join().unwrap();
    });
    assert_eq!(file.read(5, 10), [[2; 5], [1; 5]].concat());
    assert_eq!(file.mapping.dirty_pages(), 1);
}

#[test]
fn under_wait_truncation_within_a_page_in_flight_waits_too() {
    let file = File::new(WritebackPolicy::Wait);
    file.fill_page(0, 1);
    let version = file.freeze();
    thread::scope(|scope| {
        let writer = spawn_waiting(scope, &file.cache, || file.truncate(100));
        version.frozen.complete();
        writer.join().unwrap();
    });
    assert_eq!(file.read(99, 2), [1, 0]);
}

#[test]
fn shutdown_ends_the_wait_with_an_error() {
    let file = File::new(WritebackPolicy::Wait);
    file.fill_page(0, 1);
    let version = file.freeze();
    thread::scope(|scope| {
        let writer = spawn_waiting(scope, &file.cache, || {
            file.mapping.write(0, &[2; PAGE_SIZE], &file.disk)
        });
        file.cache.shut_down();
        assert_eq!(writer.join().unwrap(), Err(DiskError::Cache(CacheError::ShutDown)));
    });
    assert_eq!(file.byte_of(0), 1);
    file.fill_page(1, 1);
    drop(version);
}

#[test]
fn switching_from_wait_to_fork_frees_those_who_wait() {
    let file = File::new(WritebackPolicy::Wait);
    file.fill_page(0, 1);
    let version = file.freeze();
    thread::scope(|scope| {
        let writer = spawn_waiting(scope, &file.cache, || file.fill_page(0, 2));
        file.cache.set_policy(WritebackPolicy::Fork);
        writer.join().unwrap();
    });
    assert_eq!((file.byte_of(0), file.counters().forks), (2, 1));
    assert_eq!(content_of(&version.frozen), [(0, Some(1))].into());
}

#[test]
fn under_copy_every_dirty_page_is_copied_at_the_freeze_and_none_later() {
    let file = File::new(WritebackPolicy::Copy);
    (0..5).for_each(|page| file.fill_page(page, 1));
    let version = file.freeze();
    let counters = file.counters();
    assert_eq!((counters.bytes_copied, counters.frozen_bytes), (5 * PAGE, 5 * PAGE));
    file.fill_page(0, 2);
    file.write(PAGE, &[2; 10]);
    let counters = file.counters();
    assert_eq!((counters.forks, counters.bytes_copied, counters.waits), (0, 5 * PAGE, 0));
    assert_eq!(content_of(&version.frozen), (0..5).map(|page| (page, Some(1))).collect());
    version.frozen.complete();
    assert_eq!((file.mapping.dirty_pages(), file.counters().frozen_bytes), (2, 0));
}

#[test]
fn a_copied_page_that_is_replaced_is_not_counted_as_frozen_again() {
    let file = File::new(WritebackPolicy::Copy);
    (0..3).for_each(|page| file.fill_page(page, 1));
    let version = file.freeze();
    file.fill_page(0, 0);
    file.truncate(2 * PAGE);
    let counters = file.counters();
    assert_eq!((counters.frozen_bytes, counters.forks), (3 * PAGE, 0));
    assert_eq!(counters.frames_used, 4, "three copies, and one live page that is not zeros");
    version.frozen.complete();
    assert_eq!(file.counters().frozen_bytes, 0);
}

#[test]
fn under_wait_even_zeros_wait_for_a_page_in_flight() {
    let file = File::new(WritebackPolicy::Wait);
    file.fill_page(0, 1);
    let version = file.freeze();
    thread::scope(|scope| {
        let writer = spawn_waiting(scope, &file.cache, || file.fill_page(0, 0));
        version.frozen.complete();
        writer.join().unwrap();
    });
    assert_eq!(file.byte_of(0), 0);
}

#[test]
fn a_copied_version_can_fail_and_what_was_not_written_since_is_dirty_again() {
    let file = File::new(WritebackPolicy::Copy);
    file.fill_page(0, 1);
    file.fill_page(1, 1);
    let version = file.freeze();
    file.fill_page(0, 2);
    version.frozen.fail();
    assert_eq!(content_of(&file.freeze().frozen), [(0, Some(2)), (1, Some(1))].into());
}

#[test]
fn a_copied_page_in_flight_is_not_waited_for_after_a_switch_to_wait() {
    let file = File::new(WritebackPolicy::Copy);
    file.fill_page(0, 1);
    let version = file.freeze();
    file.cache.set_policy(WritebackPolicy::Wait);
    file.fill_page(0, 2);
    assert_eq!(content_of(&version.frozen), [(0, Some(1))].into());
    assert_eq!(file.counters().waits, 0);
}

/// A file under the policy `Copy` in a pool of 64 frames, of which it has that many dirty.
fn copied_file(dirty: u64) -> File {
    let cache = PageCache::new(CacheConfig {
        policy: WritebackPolicy::Copy,
        pool_bytes: 64 * PAGE,
        dirty_limit_bytes: 50 * PAGE,
        frozen_limit_bytes: 10 * PAGE,
        background_bytes: 10 * PAGE,
        dedup_zero: true,
        zero_colours: 4,
    });
    let file = File::over(cache.unwrap(), Disk::default());
    (0..dirty).for_each(|page| file.fill_page(page, 1));
    file
}

#[test]
fn without_memory_for_copies_the_policy_copy_shares() {
    let file = copied_file(60);
    let version = file.freeze();
    assert_eq!(file.counters().bytes_copied, 4 * PAGE);
    file.fill_page(0, 2);
    assert_eq!(content_of(&version.frozen), (0..60).map(|page| (page, Some(1))).collect());
    version.frozen.complete();
    file.sync();
    file.assert_settled();
}

#[test]
fn beyond_the_limit_of_frozen_copies_the_policy_copy_shares_and_waits() {
    let file = copied_file(40);
    let version = file.freeze();
    assert_eq!(file.counters().bytes_copied, 10 * PAGE);
    file.fill_page(0, 2);
    thread::scope(|scope| {
        let writer = spawn_waiting(scope, &file.cache, || file.fill_page(30, 2));
        assert_eq!(content_of(&version.frozen), (0..40).map(|page| (page, Some(1))).collect());
        version.frozen.complete();
        writer.join().unwrap();
    });
    file.sync();
    file.assert_settled();
}

#[test]
fn at_the_limit_of_frozen_copies_forking_falls_back_to_waiting() {
    let cache = PageCache::new(CacheConfig {
        frozen_limit_bytes: 2 * PAGE,
        ..CacheConfig::with_pool_bytes(1024 * PAGE)
    });
    let file = File::over(cache.unwrap(), Disk::default());
    (0..4).for_each(|page| file.fill_page(page, 1));
    let version = file.freeze();
    file.fill_page(0, 2);
    file.fill_page(1, 2);
    assert_eq!(file.counters().waits, 0);
    thread::scope(|scope| {
        let writer = spawn_waiting(scope, &file.cache, || file.fill_page(2, 2));
        file.fill_page(9, 1);
        assert_eq!(content_of(&version.frozen), (0..4).map(|page| (page, Some(1))).collect());
        version.frozen.complete();
        writer.join().unwrap();
    });
    let counters = file.counters();
    assert_eq!((counters.forks, counters.frozen_bytes_peak), (2, 2 * PAGE));
}
