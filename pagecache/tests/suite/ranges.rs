//! Truncating and punching at byte granularity, and the queries over ranges.

use braidfs_pagecache::{CacheError, PAGE_SIZE};

use super::POLICY;
use crate::disk::DiskError;
use crate::fixture::{File, PAGE, for_each_policy};

#[test]
fn truncation_zeroes_the_rest_of_the_last_page() {
    for_each_policy(|policy| {
        let file = File::with_pages(policy, [(0, 1), (1, 2), (2, 3)]);
        file.truncate(PAGE + 100);
        assert_eq!(file.read(PAGE + 98, 4), [2, 2, 0, 0]);
        assert_eq!(file.byte_of(2), 0);
        assert_eq!((file.mapping.next_dirty(0), file.mapping.dirty_pages()), (Some(1), 1));
        file.sync();
        file.assert_settled();
        assert_eq!(file.disk.page(1).unwrap()[99..101], [2, 0]);
    });
}

#[test]
fn truncation_dirties_nothing_where_there_are_zeros_already() {
    let file = File::with_pages(POLICY, [(0, 0)]);
    file.truncate(100);
    file.truncate(50 * PAGE + 5);
    file.write(100 * PAGE, &[0; PAGE_SIZE]);
    file.truncate(100 * PAGE + 1);
    assert_eq!(file.mapping.dirty_pages(), 1, "the page of zeros was dirty before");
    file.sync();
    file.truncate(100 * PAGE + 1);
    file.assert_settled();
}

#[test]
fn truncation_at_a_page_boundary_touches_no_page_that_stays() {
    let file = File::with_pages(POLICY, [(0, 1), (1, 1)]);
    file.fill_page(1, 2);
    file.truncate(PAGE);
    assert_eq!(file.disk.fills(), 0);
    file.assert_settled();
}

#[test]
fn dirty_pages_that_are_cut_off_are_not_written_back() {
    let file = File::new(POLICY);
    (0..10).for_each(|page| file.fill_page(page, 1));
    file.truncate(3 * PAGE);
    assert_eq!(file.freeze().frozen.page_count(), 3);
    file.truncate(0);
    assert!(file.mapping.freeze().is_none());
    assert_eq!(file.counters().dirty_bytes, 0);
}

#[test]
fn punching_drops_whole_pages_and_zeroes_the_edges() {
    for_each_policy(|policy| {
        let file = File::with_pages(policy, (0..5).map(|page| (page, 1)));
        file.punch(PAGE + 100, 3 * PAGE + 200);
        let expected = |at: u64| u8::from(!(PAGE + 100..3 * PAGE + 200).contains(&at));
        assert!(
            file.read(0, 5 * PAGE_SIZE).iter().zip(0..).all(|(byte, at)| *byte == expected(at))
        );
        let dirty: Vec<_> = (0..5).filter(|page| file.mapping.is_dirty(*page)).collect();
        assert_eq!(dirty, [1, 3]);
    });
}

#[test]
fn punching_every_small_range_zeroes_exactly_that() {
    let edges = [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE - 1, 2 * PAGE, 2 * PAGE + 1, 3 * PAGE];
    for start in edges {
        for end in edges.into_iter().filter(|end| *end >= start) {
            let file = File::with_pages(POLICY, (0..4).map(|page| (page, 1)));
            file.punch(start, end);
            let data = file.read(0, 4 * PAGE_SIZE);
            let wrong =
                data.iter().zip(0..).find(|(byte, at)| (**byte == 0) != (start..end).contains(at));
            assert_eq!(wrong, None, "{start}..{end}");
        }
    }
}

#[test]
fn punching_known_zeros_dirties_nothing() {
    let file = File::new(POLICY);
    file.punch(100, 10 * PAGE + 100);
    file.assert_settled();
}

#[test]
fn ranges_beyond_the_largest_file_are_refused() {
    let file = File::new(POLICY);
    let refused = |result: Result<(), DiskError>| {
        assert!(matches!(result, Err(DiskError::Cache(CacheError::Range { .. }))), "{result:?}");
    };
    refused(file.mapping.write(u64::MAX, &[1], &file.disk));
    refused(file.mapping.write((1 << 63) - 1, &[1, 2], &file.disk));
    refused(file.mapping.read(1 << 63, &mut [0], &file.disk));
    refused(file.mapping.truncate(u64::MAX, &file.disk));
    refused(file.mapping.punch(0..u64::MAX, &file.disk));
    file.write((1 << 63) - 1, &[1]);
    assert_eq!(file.read((1 << 63) - 1, 1), [1]);
}

#[test]
fn nothing_is_a_fine_length() {
    let file = File::new(POLICY);
    file.write(5, &[]);
    assert_eq!(file.read(5, 0), []);
    file.punch(7, 7);
    assert_eq!(file.disk.fills(), 0);
    file.assert_settled();
}

#[test]
fn dropping_clean_pages_leaves_dirty_ones_and_those_in_flight() {
    let file = File::with_pages(POLICY, (0..6).map(|page| (page, 1)));
    file.read(0, 6 * PAGE_SIZE);
    file.fill_page(1, 2);
    let version = file.freeze();
    file.fill_page(3, 3);
    let fills = file.disk.fills();
    file.mapping.drop_clean(0..5);
    assert_eq!((file.byte_of(1), file.byte_of(3), file.byte_of(5)), (2, 3, 1));
    assert_eq!(file.disk.fills(), fills);
    assert_eq!((file.byte_of(0), file.byte_of(4)), (1, 1));
    assert_eq!(file.disk.fills(), fills + 2);
    assert_eq!(file.mapping.pending_pages(), 2);
    drop(version);
}

#[test]
fn ranges_without_end_are_fine_where_nothing_is_addressed() {
    let file = File::with_pages(POLICY, [(0, 1)]);
    assert_eq!(file.byte_of(0), 1);
    file.mapping.drop_clean(0..u64::MAX);
    assert_eq!((file.mapping.next_dirty(u64::MAX), file.mapping.is_dirty(u64::MAX)), (None, false));
    assert!(!file.cache.needs_writeback());
    file.cache.shut_down();
    assert!(!file.cache.wait_until_writeback_is_needed(std::time::Duration::MAX));
}

#[test]
fn next_dirty_finds_what_is_not_durable() {
    let file = File::new(POLICY);
    file.fill_page(3, 1);
    file.fill_page(1000, 1);
    let version = file.freeze();
    assert_eq!(version.frozen.runs().count(), 2);
    file.fill_page(500, 1);
    let found: Vec<_> = [0, 3, 4, 501, 1001].map(|from| file.mapping.next_dirty(from)).into();
    assert_eq!(found, [Some(3), Some(3), Some(500), Some(1000), None]);
    version.frozen.complete();
    assert_eq!(file.mapping.next_dirty(0), Some(500));
}
