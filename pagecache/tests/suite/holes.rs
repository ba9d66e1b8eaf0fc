//! Holes and zeros: pages that take no memory.

use braidfs_pagecache::{PAGE_SIZE, WritebackPolicy};

use super::POLICY;
use crate::disk::Disk;
use crate::fixture::{File, PAGE, cache_of, content_of, for_each_policy};

#[test]
fn a_hole_is_looked_up_once() {
    let file = File::new(POLICY);
    assert_eq!(file.byte_of(5), 0);
    assert_eq!(file.byte_of(5), 0);
    assert_eq!(file.disk.fills(), 1);
    assert_eq!(file.counters().frames_used, 0);
    assert!(!file.mapping.is_dirty(5));
}

#[test]
fn a_large_hole_takes_neither_frames_nor_much_table() {
    let file = File::new(POLICY);
    for start in (0..1 << 30).step_by(1 << 20) {
        assert!(file.read(start, 1 << 20).iter().all(|byte| *byte == 0));
    }
    let counters = file.counters();
    assert_eq!(counters.frames_used, 0);
    assert!(
        counters.table_bytes < 400_000,
        "{} bytes of table for 1 GiB of holes",
        counters.table_bytes
    );
}

#[test]
fn writing_to_a_known_hole_puts_zeros_around_it() {
    for_each_policy(|policy| {
        let file = File::new(policy);
        assert_eq!(file.byte_of(0), 0);
        file.write(100, &[5; 10]);
        assert_eq!(file.read(95, 20), [&[0; 5][..], &[5; 10], &[0; 5]].concat());
        assert_eq!(file.read(0, PAGE_SIZE).iter().map(|byte| u64::from(*byte)).sum::<u64>(), 50);
        let version = file.freeze();
        assert_eq!(version.frozen.page_count(), 1);
    });
}

#[test]
fn holes_found_by_readahead_are_not_remembered() {
    let file = File::with_pages(POLICY, [(0, 1)]);
    assert_eq!(file.byte_of(0), 1);
    assert!(file.disk.pages_asked() > 1, "the first read at the start reads ahead");
    let fills = file.disk.fills();
    assert_eq!(file.byte_of(2), 0);
    assert_eq!(file.disk.fills(), fills + 1);
}

#[test]
fn a_page_written_full_of_zeros_takes_no_memory_and_is_written_back_as_a_hole() {
    for_each_policy(|policy| {
        let file = File::new(policy);
        file.write(0, &[0; 3 * PAGE_SIZE]);
        let counters = file.counters();
        assert_eq!(
            (counters.frames_used, counters.zero_dedups, counters.dirty_bytes),
            (0, 3, 3 * PAGE)
        );
        let version = file.freeze();
        assert_eq!(content_of(&version.frozen), [(0, None), (1, None), (2, None)].into());
        file.write(10, &[4; 10]);
        assert_eq!(file.counters().waits, 0, "there are no bytes to keep stable");
        version.frozen.complete();
        assert_eq!(file.mapping.dirty_pages(), 1);
        assert_eq!(file.read(8, 4), [0, 0, 4, 4]);
    });
}

#[test]
fn zeros_written_over_data_free_its_frame_once_nobody_needs_it() {
    let file = File::new(WritebackPolicy::Fork);
    file.fill_page(0, 1);
    let version = file.freeze();
    file.fill_page(0, 0);
    assert_eq!(content_of(&version.frozen), [(0, Some(1))].into());
    assert_eq!((file.counters().frames_used, file.counters().frozen_bytes), (1, PAGE));
    version.frozen.complete();
    assert_eq!((file.counters().frames_used, file.counters().frozen_bytes), (0, 0));
    assert_eq!(content_of(&file.freeze().frozen), [(0, None)].into());
}

#[test]
fn durable_zeros_of_different_versions_collapse() {
    let file = File::new(POLICY);
    for page in 0..4096 {
        file.fill_page(page, 0);
        if page % 100 == 99 {
            file.sync();
        }
    }
    file.sync();
    let bytes = file.counters().table_bytes;
    assert!(bytes < 10_000, "{bytes} bytes of table for 4,096 pages of zeros");
}

#[test]
fn zeros_are_kept_in_frames_when_deduplication_is_off() {
    let file = File::new(POLICY);
    file.cache.set_dedup_zero(false);
    file.fill_page(0, 0);
    assert_eq!((file.counters().frames_used, file.counters().zero_dedups), (1, 0));
    assert_eq!(content_of(&file.freeze().frozen), [(0, Some(0))].into());
}

#[test]
fn a_partial_write_of_zeros_is_not_deduplicated() {
    let file = File::with_pages(POLICY, [(0, 1)]);
    file.write(0, &[0; 100]);
    assert_eq!(file.read(98, 4), [0, 0, 1, 1]);
    assert_eq!(file.counters().zero_dedups, 0);
}

#[test]
fn tables_of_scattered_holes_are_shed() {
    let file = File::over(cache_of(64, POLICY), Disk::default());
    for place in 0..20_000 {
        assert_eq!(file.read((place * 600 + 511) * PAGE, 1), [0]);
    }
    let bytes = file.counters().table_bytes;
    assert!(bytes < 3 << 20, "{bytes} bytes of tables");
}
