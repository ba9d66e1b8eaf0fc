//! Pages that became full of zeros, and the scanner that finds them. Several of these are bugs that the
//! kernel's merging of zero pages had.

use braidfs_pagecache::{PAGE_SIZE, WritebackPolicy, ZeroPageCounts};

use crate::disk::Disk;
use crate::fixture::{File, PAGE, cache_of, content_of, for_each_policy};

/// Goes round all frames twice: once to see which pages are at rest, once to look at them.
fn scan(file: &File) -> u64 {
    (0..2).map(|_| file.cache.scan_for_zeros(usize::MAX)).sum()
}

/// Zeroes a page in place, by writes of parts of it.
fn zero_in_parts(file: &File, page: u64) {
    for part in 0..4 {
        file.write(page * PAGE + part * PAGE / 4, &[0; PAGE_SIZE / 4]);
    }
}

fn deduplicated(file: &File) -> u64 {
    file.cache.zero_page_counts().deduplicated
}

#[test]
fn a_page_zeroed_in_place_is_found_and_written_back_as_a_hole() {
    for_each_policy(|policy| {
        let file = File::new(policy);
        (0..3).for_each(|page| file.fill_page(page, 1));
        zero_in_parts(&file, 1);
        assert_eq!((file.counters().frames_used, scan(&file)), (3, 1));
        assert_eq!((file.counters().frames_used, deduplicated(&file)), (2, 1));
        assert_eq!(file.counters().dirty_bytes, 3 * PAGE, "what was dirty stays dirty");
        let version = file.freeze();
        assert_eq!(content_of(&version.frozen), [(0, Some(1)), (1, None), (2, Some(1))].into());
        file.publish(&version);
        version.frozen.complete();
        file.assert_settled();
        assert_eq!([0, 1, 2].map(|page| file.byte_of(page)), [1, 0, 1]);
    });
}

#[test]
fn a_clean_page_of_zeros_is_found_and_stays_clean() {
    let file = File::with_pages(WritebackPolicy::Fork, [(3, 0), (4, 9)]);
    assert_eq!((file.byte_of(3), file.byte_of(4)), (0, 9));
    let before = file.counters().frames_used;
    assert_eq!(scan(&file), 1);
    assert_eq!(file.counters().frames_used, before - 1);
    let fills = file.disk.fills();
    assert_eq!(file.byte_of(3), 0);
    assert_eq!((file.disk.fills(), file.mapping.is_dirty(3)), (fills, false));
}

/// The kernel's scanner compares after its checksum fits, which a page that is not zeros may have too.
#[test]
fn a_page_with_one_bit_set_anywhere_is_left_alone() {
    let file = File::new(WritebackPolicy::Fork);
    for (page, at) in [0, 1, 255, 256, 2047, 4094, 4095].into_iter().enumerate() {
        let offset = page as u64 * PAGE;
        file.write(offset, &[0; PAGE_SIZE - 1]);
        file.write(offset + at, &[0x10]);
    }
    assert_eq!((scan(&file), deduplicated(&file)), (0, 0));
    assert_eq!(file.counters().zero_scans, 7);
}

/// The kernel forgot to count pages out, and its counter of zero pages was seen at -1.
#[test]
fn counts_are_exact_and_end_at_zero() {
    let file = File::new(WritebackPolicy::Fork);
    let zeros = |holes, deduplicated| ZeroPageCounts { holes, deduplicated };
    assert_eq!(file.cache.zero_page_counts(), zeros(0, 0));
    file.read(100 * PAGE, PAGE_SIZE);
    (0..4).for_each(|page| file.fill_page(page, 0));
    assert_eq!(file.cache.zero_page_counts(), zeros(1, 4));
    file.fill_page(2, 7);
    file.write(3 * PAGE + 5, &[7]);
    assert_eq!(file.cache.zero_page_counts(), zeros(1, 2));
    assert_eq!(file.counters().zero_unshares, 2);
    file.fill_page(0, 0);
    assert_eq!(file.counters().zero_unshares, 2, "zeros over zeros take nothing");
    let frozen = file.freeze();
    file.truncate(PAGE);
    assert_eq!(file.cache.zero_page_counts(), zeros(0, 1));
    drop(frozen);
    file.truncate(0);
    assert_eq!(file.cache.zero_page_counts(), zeros(0, 0));
    assert_eq!(file.counters().frames_used, 0);
}

/// The kernel's zero pages could not be told from holes, nor be taken back.
#[test]
fn a_zero_page_is_told_from_a_hole_and_unshared_by_a_write() {
    for_each_policy(|policy| {
        let file = File::new(policy);
        file.fill_page(0, 1);
        zero_in_parts(&file, 0);
        scan(&file);
        file.read(PAGE, PAGE_SIZE);
        let zeros = ZeroPageCounts { holes: 1, deduplicated: 1 };
        assert_eq!(file.cache.zero_page_counts(), zeros);
        file.write(10, &[5]);
        assert_eq!(file.read(8, 4), [0, 0, 5, 0]);
        assert_eq!((deduplicated(&file), file.counters().zero_unshares), (0, 1));
    });
}

#[test]
fn the_switch_is_effective_from_then_on() {
    let file = File::new(WritebackPolicy::Fork);
    file.cache.set_dedup_zero(false);
    (0..4).for_each(|page| file.fill_page(page, 0));
    assert!(!file.cache.wants_zero_scan());
    assert_eq!((scan(&file), file.counters().frames_used), (0, 4));
    file.cache.set_dedup_zero(true);
    assert_eq!(file.counters().frames_used, 4, "nothing happens by itself");
    assert!(file.cache.wants_zero_scan());
    assert_eq!((scan(&file), file.counters().frames_used), (4, 0));
    file.cache.set_dedup_zero(false);
    assert_eq!(deduplicated(&file), 4, "nor is anything taken back");
    file.fill_page(0, 0);
    assert_eq!((deduplicated(&file), file.counters().frames_used), (3, 1));
}

#[test]
fn a_page_in_use_is_left_alone() {
    let file = File::new(WritebackPolicy::Fork);
    file.fill_page(0, 1);
    zero_in_parts(&file, 0);
    for _ in 0..5 {
        assert_eq!(file.cache.scan_for_zeros(usize::MAX), 0);
        file.read(0, 10);
    }
    assert_eq!(file.counters().zero_scans, 0);
    assert_eq!(scan(&file), 1);
}

/// A page that is being written belongs to a frozen version too: its frame would not become free.
#[test]
fn a_page_in_flight_is_passed_until_it_is_durable() {
    for policy in [WritebackPolicy::Fork, WritebackPolicy::Wait] {
        let file = File::new(policy);
        file.fill_page(0, 1);
        zero_in_parts(&file, 0);
        let version = file.freeze();
        assert_eq!(scan(&file), 0, "the table is shared");
        assert_eq!(content_of(&version.frozen), [(0, Some(0))].into());
        assert_eq!(scan(&file), 0, "the page is in flight");
        file.publish(&version);
        version.frozen.complete();
        assert_eq!(scan(&file), 1);
        assert_eq!(file.counters().frames_used, 0);
        file.assert_settled();
    }
}

#[test]
fn the_scanner_rests_when_there_is_nothing_to_find() {
    let file = File::over(cache_of(1024, WritebackPolicy::Fork), Disk::default());
    assert!(file.cache.wants_zero_scan());
    assert_eq!(scan(&file), 0);
    assert!(!file.cache.wants_zero_scan());
    file.fill_page(0, 1);
    assert!(file.cache.wants_zero_scan(), "something was written");
    file.sync();
    for _ in 0..8 {
        file.cache.scan_for_zeros(256);
    }
    assert!(!file.cache.wants_zero_scan());
}

#[test]
fn clean_zeros_that_were_found_collapse() {
    let file = File::new(WritebackPolicy::Fork);
    file.cache.set_dedup_zero(false);
    for page in 0..512 {
        file.fill_page(page, 0);
        file.sync();
    }
    file.cache.set_dedup_zero(true);
    let before = file.counters().table_bytes;
    assert_eq!(scan(&file), 512);
    let after = file.counters().table_bytes;
    assert!(after < before / 2, "{after} bytes of table after {before}");
}

#[test]
fn scanning_gets_into_nobodys_way() {
    let file = File::new(WritebackPolicy::Fork);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2u64)
            .map(|writer| {
                let file = &file;
                scope.spawn(move || {
                    for turn in 0..600u64 {
                        let page = 2 * (turn * 7 % 32) + writer;
                        file.fill_page(page, turn as u8);
                        zero_in_parts(file, page);
                        assert_eq!(file.byte_of(page), 0);
                        file.write(page * PAGE, &[writer as u8 + 1; PAGE_SIZE]);
                        assert_eq!(file.byte_of(page), writer as u8 + 1);
                        if turn % 2 == 0 {
                            zero_in_parts(file, page);
                        }
                    }
                })
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            scan(&file);
            file.sync();
        }
    });
    file.sync();
    scan(&file);
    file.assert_settled();
    for page in 0..64 {
        let byte = file.byte_of(page);
        assert!(byte == 0 || u64::from(byte) == page % 2 + 1, "{byte} in page {page}");
        assert_eq!(file.disk.page(page).map_or(0, |bytes| bytes[77]), byte);
    }
    let frames = (0..64).filter(|page| file.byte_of(*page) != 0).count() as u64;
    assert_eq!(file.counters().frames_used, frames);
}

#[test]
fn the_scanner_wakes_for_what_was_durable_before_it_looked() {
    let file = File::new(WritebackPolicy::Fork);
    assert_eq!(scan(&file), 0);
    assert!(!file.cache.wants_zero_scan());
    file.fill_page(0, 1);
    zero_in_parts(&file, 0);
    file.sync();
    assert!(file.cache.wants_zero_scan());
    assert_eq!(scan(&file), 1);
}
