//! A pool that is too small.

use std::thread;
use std::time::{Duration, Instant};

use braidfs_pagecache::{CacheConfig, CacheError, Mapping, PAGE_SIZE, PageCache, WritebackPolicy};

use super::POLICY;
use crate::disk::{Disk, DiskError};
use crate::fixture::{File, PAGE, await_that, cache_of, for_each_policy, spawn_waiting};

/// A file that has every frame of a pool of 64 dirty.
fn full_of_dirty_pages(policy: WritebackPolicy) -> File {
    let file = File::over(cache_of(64, policy), Disk::with_pages((100..110).map(|page| (page, 9))));
    (0..64).for_each(|page| file.fill_page(page, 1));
    assert_eq!(file.counters().frames_used, 64);
    file
}

#[test]
fn reading_more_than_fits_evicts_and_stays_right() {
    for_each_policy(|policy| {
        let file = File::over(
            cache_of(64, policy),
            Disk::with_pages((0..1000).map(|page| (page, page as u8))),
        );
        for page in (0..1000).chain((0..1000).rev()) {
            assert_eq!(file.byte_of(page), page as u8);
        }
        assert!(file.counters().evictions >= 1900 - 64);
        assert!(file.counters().frames_used <= 64);
    });
}

#[test]
fn writing_more_than_fits_is_fine_while_it_is_written_back() {
    let file = File::over(cache_of(64, POLICY), Disk::default());
    for page in 0..1000 {
        file.fill_page(page, page as u8);
        if page % 20 == 19 {
            file.sync();
        }
    }
    (0..1000).for_each(|page| assert_eq!(file.byte_of(page), page as u8));
}

#[test]
fn reads_go_on_without_a_single_frame() {
    let file = full_of_dirty_pages(POLICY);
    assert_eq!((file.byte_of(105), file.byte_of(3)), (9, 1));
    assert_eq!(file.read(99 * PAGE + 1, 3 * PAGE_SIZE)[PAGE_SIZE - 2..PAGE_SIZE + 1], [0, 9, 9]);
    assert_eq!(file.byte_of(105), 9);
    assert_eq!(file.disk.page(105), Some([9; PAGE_SIZE]));
}

#[test]
fn a_read_without_a_frame_prefers_what_was_written_meanwhile() {
    let file = full_of_dirty_pages(POLICY);
    let stall = file.disk.stall_next_fill();
    thread::scope(|scope| {
        let reader = scope.spawn(|| file.byte_of(105));
        stall.await_fill();
        file.fill_page(105, 0);
        stall.release();
        assert_eq!(reader.join().unwrap(), 0);
    });
}

#[test]
fn without_a_frame_a_writer_waits_until_writeback_frees_some() {
    let file = full_of_dirty_pages(POLICY);
    let version = file.freeze();
    file.publish(&version);
    thread::scope(|scope| {
        let writer = spawn_waiting(scope, &file.cache, || file.fill_page(70, 2));
        assert!(file.cache.needs_writeback());
        version.frozen.complete();
        writer.join().unwrap();
    });
    assert_eq!(file.byte_of(70), 2);
    assert!(file.counters().memory_waits > 0);
}

#[test]
fn without_a_frame_a_writer_gives_up_at_the_deadline() {
    let file = full_of_dirty_pages(POLICY);
    file.cache.set_memory_deadline(Duration::from_millis(50));
    let started = Instant::now();
    let whole = file.mapping.write(70 * PAGE, &[1; PAGE_SIZE], &file.disk);
    assert!(matches!(whole, Err(DiskError::Cache(CacheError::OutOfMemory { .. }))), "{whole:?}");
    let partial = file.mapping.write(105 * PAGE, &[1; 10], &file.disk);
    assert!(
        matches!(partial, Err(DiskError::Cache(CacheError::OutOfMemory { .. }))),
        "{partial:?}"
    );
    assert!(started.elapsed() >= Duration::from_millis(100));
    file.fill_page(3, 2);
    assert_eq!(file.byte_of(105), 9, "the failed write left nothing behind");
}

#[test]
fn shutdown_ends_the_wait_for_a_frame() {
    let file = full_of_dirty_pages(POLICY);
    thread::scope(|scope| {
        let writer = spawn_waiting(scope, &file.cache, || {
            file.mapping.write(70 * PAGE, &[1; PAGE_SIZE], &file.disk)
        });
        file.cache.shut_down();
        assert_eq!(writer.join().unwrap(), Err(DiskError::Cache(CacheError::ShutDown)));
    });
}

#[test]
fn a_scan_does_not_push_out_what_is_used_again_and_again() {
    let cache = cache_of(256, POLICY);
    let hot = File::over(cache.clone(), Disk::with_pages((0..64).map(|page| (page, 1))));
    let scanned = File::over(cache, Disk::with_pages((0..5000).map(|page| (page, 1))));
    for _ in 0..3 {
        (0..64).for_each(|page| assert_eq!(hot.byte_of(page), 1));
    }
    let fills = hot.disk.fills();
    for page in 0..5000 {
        assert_eq!(scanned.byte_of(page), 1);
        if page % 5 == 0 {
            // Each hot page comes up again after 320 others, which are more than fit.
            hot.byte_of(page / 5 * 29 % 64);
        }
    }
    let again = hot.disk.fills() - fills;
    assert!(again <= 50, "{again} of 1,000 uses of hot pages missed");
}

#[test]
fn a_forked_page_is_as_hot_as_it_was() {
    let cache = cache_of(256, WritebackPolicy::Fork);
    let hot = File::over(cache.clone(), Disk::with_pages((0..16).map(|page| (page, 1))));
    let scanned = File::over(cache, Disk::with_pages((0..5000).map(|page| (page, 1))));
    for _ in 0..3 {
        (0..16).for_each(|page| assert_eq!(hot.byte_of(page), 1));
    }
    (0..16).for_each(|page| hot.write(page * PAGE, &[2; 9]));
    let version = hot.freeze();
    (0..16).for_each(|page| hot.write(page * PAGE, &[3; 9]));
    version.frozen.complete();
    hot.sync();
    let fills = hot.disk.fills();
    (0..500).for_each(|page| assert_eq!(scanned.byte_of(page), 1));
    (0..16).for_each(|page| assert_eq!(hot.read(page * PAGE, 10)[8..], [3, 1]));
    assert_eq!(hot.disk.fills(), fills, "no forked page was evicted");
}

#[test]
fn a_mapping_that_is_dropped_gives_its_frames_back() {
    let file = File::over(
        cache_of(128, POLICY),
        Disk::with_pages((0..50).map(|page| (page, 1))),
    );
    for _ in 0..100 {
        let mapping = Mapping::new(&file.cache);
        let mut data = vec![0; 50 * PAGE_SIZE];
        mapping.read(0, &mut data, &file.disk).unwrap();
        mapping.write(0, &data, &file.disk).unwrap();
    }
    let counters = file.counters();
    assert_eq!((counters.frames_used, counters.dirty_bytes, counters.table_bytes), (0, 0, 0));
}

#[test]
fn an_empty_mapping_is_small() {
    let cache = cache_of(64, POLICY);
    assert!(size_of::<Mapping>() <= 256, "{} bytes", size_of::<Mapping>());
    let mappings: Vec<_> = (0..1000).map(|_| Mapping::new(&cache)).collect();
    assert_eq!((mappings.len(), cache.counters().table_bytes), (1000, 0));
}

#[test]
fn the_throttle_holds_a_writer_at_the_limit_until_writeback_made_progress() {
    let cache = PageCache::new(CacheConfig {
        dirty_limit_bytes: 20 * PAGE,
        background_bytes: 10 * PAGE,
        ..CacheConfig::with_pool_bytes(128 * PAGE)
    });
    let file = File::over(cache.unwrap(), Disk::default());
    for page in 0..20 {
        assert_eq!(file.cache.needs_writeback(), page > 10);
        file.cache.throttle();
        file.fill_page(page, 1);
    }
    thread::scope(|scope| {
        let writer = spawn_waiting(scope, &file.cache, || file.cache.throttle());
        await_that("demand", || file.cache.wait_until_writeback_is_needed(Duration::from_secs(1)));
        file.sync();
        writer.join().unwrap();
    });
    assert!(file.counters().throttle_ns > 0);
}
