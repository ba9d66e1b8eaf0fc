//! The fork rule: what a write does to a page, by what the page is.

use braidfs_pagecache::{PAGE_SIZE, WritebackPolicy};

use super::POLICY;
use crate::fixture::{File, PAGE, content_of, for_each_policy};

#[test]
fn what_was_written_is_read_and_frozen() {
    for_each_policy(|policy| {
        let file = File::new(policy);
        file.fill_page(0, 1);
        file.fill_page(1, 2);
        file.fill_page(7, 3);
        assert_eq!(file.mapping.dirty_pages(), 3);
        let version = file.freeze();
        assert_eq!(content_of(&version.frozen), [(0, Some(1)), (1, Some(2)), (7, Some(3))].into());
        let runs: Vec<_> = version.frozen.runs().map(|run| (run.first, run.pages.len())).collect();
        assert_eq!(runs, [(0, 2), (7, 1)]);
        assert_eq!((file.byte_of(0), file.byte_of(7), file.byte_of(5)), (1, 3, 0));
        version.frozen.complete();
        file.assert_settled();
    });
}

#[test]
fn a_page_dirty_in_the_open_version_is_written_in_place() {
    let file = File::new(POLICY);
    file.fill_page(0, 1);
    let used = file.counters().frames_used;
    file.fill_page(0, 2);
    file.write(10, b"part");
    let counters = file.counters();
    assert_eq!((counters.forks, counters.bytes_copied, counters.frames_used), (0, 0, used));
    assert_eq!(counters.dirty_bytes, PAGE);
}

#[test]
fn a_page_in_flight_is_forked_and_the_frozen_one_stays() {
    let file = File::new(WritebackPolicy::Fork);
    file.fill_page(0, 1);
    file.fill_page(1, 1);
    let version = file.freeze();
    file.fill_page(0, 2);
    file.write(PAGE, &[3; 100]);
    assert_eq!(content_of(&version.frozen), [(0, Some(1)), (1, Some(1))].into());
    assert_eq!(file.byte_of(0), 2);
    assert_eq!(file.read(PAGE + 90, 20), [[3; 10], [1; 10]].concat());
    let counters = file.counters();
    assert_eq!((counters.forks, counters.bytes_copied), (2, PAGE), "a whole page needs no copy");
    assert_eq!((counters.frozen_bytes, counters.dirty_bytes), (2 * PAGE, 2 * PAGE));
    version.frozen.complete();
    assert_eq!((file.counters().frozen_bytes, file.counters().dirty_bytes), (0, 2 * PAGE));
    assert_eq!(file.mapping.dirty_pages(), 2, "what was forked stays dirty");
    file.sync();
    file.assert_settled();
    assert_eq!(file.counters().frozen_bytes_peak, 2 * PAGE);
}

#[test]
fn the_fork_rule_is_the_same_before_and_after_the_pages_were_gathered() {
    for gather_first in [false, true] {
        let file = File::new(WritebackPolicy::Fork);
        (0..4).for_each(|page| file.fill_page(page, 1));
        let version = file.freeze();
        if gather_first {
            assert_eq!(version.frozen.runs().count(), 1);
        }
        file.fill_page(2, 9);
        assert_eq!(content_of(&version.frozen), (0..4).map(|page| (page, Some(1))).collect());
        version.frozen.complete();
        assert_eq!(content_of(&file.freeze().frozen), [(2, Some(9))].into());
    }
}

#[test]
fn a_clean_page_is_dirtied_in_place() {
    let file = File::with_pages(POLICY, [(0, 7)]);
    assert_eq!(file.byte_of(0), 7);
    let used = file.counters().frames_used;
    file.write(0, &[8; 4]);
    let counters = file.counters();
    assert_eq!((counters.forks, counters.bytes_copied, counters.frames_used), (0, 0, used));
    assert_eq!(file.mapping.next_dirty(0), Some(0));
}

#[test]
fn a_page_is_dirtied_in_place_again_once_its_version_completed() {
    let file = File::new(POLICY);
    file.fill_page(0, 1);
    file.sync();
    let used = file.counters().frames_used;
    file.fill_page(0, 2);
    assert_eq!((file.counters().forks, file.counters().frames_used), (0, used));
}

#[test]
fn clean_pages_of_a_frozen_table_are_not_written_back() {
    let file = File::with_pages(POLICY, [(0, 7), (1, 8)]);
    assert_eq!((file.byte_of(0), file.byte_of(1)), (7, 8));
    file.fill_page(1, 9);
    let version = file.freeze();
    file.fill_page(0, 5);
    assert_eq!(content_of(&version.frozen), [(1, Some(9))].into());
    assert_eq!(file.counters().forks, 0, "a clean page is not needed by the frozen version");
}

#[test]
fn only_what_changed_since_the_last_freeze_is_frozen() {
    for_each_policy(|policy| {
        let file = File::new(policy);
        file.fill_page(0, 1);
        let first = file.freeze();
        assert!(file.mapping.freeze().is_none(), "nothing is dirty in the open version");
        file.fill_page(1, 2);
        let second = file.freeze();
        assert_eq!(content_of(&second.frozen), [(1, Some(2))].into());
        assert_eq!(content_of(&first.frozen), [(0, Some(1))].into());
        assert!(file.mapping.is_dirty(0) && file.mapping.is_dirty(1) && !file.mapping.is_dirty(2));
    });
}

#[test]
fn a_large_write_is_one_call_and_lies_side_by_side() {
    let file = File::new(POLICY);
    let data: Vec<u8> = (0..300 * PAGE_SIZE).map(|at| (at / 100) as u8).collect();
    file.write(100, &data);
    assert_eq!(file.read(100, data.len()), data);
    let version = file.freeze();
    let run = version.frozen.runs().next().unwrap();
    assert_eq!((run.first, run.pages.len()), (0, 301));
}

#[test]
fn a_version_dropped_without_an_outcome_has_failed() {
    for_each_policy(|policy| {
        let file = File::new(policy);
        file.fill_page(0, 1);
        drop(file.freeze());
        assert_eq!(file.mapping.dirty_pages(), 1);
        assert_eq!(content_of(&file.freeze().frozen), [(0, Some(1))].into());
    });
}

#[test]
fn amounts_return_to_zero_when_a_dirty_file_is_dropped() {
    let file = File::new(WritebackPolicy::Fork);
    (0..10).for_each(|page| file.fill_page(page, 1));
    let version = file.freeze();
    (0..10).for_each(|page| file.fill_page(page, 2));
    let File { cache, mapping, disk, .. } = file;
    drop((mapping, disk));
    assert_eq!(cache.counters().dirty_bytes, 10 * PAGE);
    drop(version);
    let counters = cache.counters();
    assert_eq!((counters.dirty_bytes, counters.frozen_bytes, counters.frames_used), (0, 0, 0));
}
