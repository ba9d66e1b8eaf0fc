//! A miss against whatever may happen while it is being filled.

use std::thread;

use braidfs_pagecache::PAGE_SIZE;

use super::POLICY;
use crate::disk::{Disk, DiskError};
use crate::fixture::{File, PAGE, cache_of};

/// Reads page 0 of a file, which has 1 on the disk, and does something to the file after the disk
/// was read and before the page is installed. Returns what the reader got.
fn read_across(file: &File, meanwhile: impl FnOnce()) -> Vec<u8> {
    let stall = file.disk.stall_next_fill();
    thread::scope(|scope| {
        let reader = scope.spawn(|| file.read(0, PAGE_SIZE));
        stall.await_fill();
        meanwhile();
        stall.release();
        reader.join().unwrap()
    })
}

fn file_of_ones() -> File {
    File::with_pages(POLICY, [(0, 1), (1, 1)])
}

#[test]
fn a_miss_is_not_installed_over_a_write() {
    let file = file_of_ones();
    assert_eq!(read_across(&file, || file.fill_page(0, 2)), [2; PAGE_SIZE]);
    assert_eq!(file.byte_of(0), 2);
    assert!(file.mapping.is_dirty(0));
}

#[test]
fn a_miss_is_not_installed_after_the_page_was_written_and_made_durable() {
    let file = file_of_ones();
    read_across(&file, || {
        file.fill_page(0, 2);
        file.sync();
    });
    assert_eq!(file.byte_of(0), 2);
}

#[test]
fn a_miss_is_not_installed_after_the_page_was_written_made_durable_and_evicted() {
    let file = File::over(cache_of(64, POLICY), Disk::with_pages([(0, 1)]));
    let other = File::over(file.cache.clone(), Disk::with_pages((0..300).map(|page| (page, 7))));
    let seen = read_across(&file, || {
        file.fill_page(0, 2);
        file.sync();
        (0..300).for_each(|page| assert_eq!(other.byte_of(page), 7));
    });
    assert_eq!(seen, [2; PAGE_SIZE], "the reader asked again");
    assert_eq!(file.byte_of(0), 2);
}

#[test]
fn a_miss_is_not_installed_after_a_truncation() {
    let file = file_of_ones();
    assert_eq!(read_across(&file, || file.truncate(0)), [0; PAGE_SIZE]);
    assert_eq!(file.byte_of(0), 0);
}

#[test]
fn a_miss_is_not_installed_after_a_hole_was_punched() {
    let file = file_of_ones();
    assert_eq!(read_across(&file, || file.punch(0, PAGE)), [0; PAGE_SIZE]);
    assert_eq!(file.byte_of(0), 0);
}

#[test]
fn a_miss_is_not_installed_after_the_backing_changed_under_the_cache() {
    let file = file_of_ones();
    let seen = read_across(&file, || {
        file.disk.hide(0..1, 0);
        file.mapping.drop_clean(0..1);
    });
    assert_eq!(seen, [0; PAGE_SIZE]);
    assert_eq!(file.byte_of(0), 0);
}

#[test]
fn of_two_misses_of_a_page_one_installs_and_both_read() {
    let file = file_of_ones();
    let seen = read_across(&file, || assert_eq!(file.byte_of(0), 1));
    assert_eq!(seen, [1; PAGE_SIZE]);
    assert_eq!(file.disk.fills(), 2);
    assert_eq!(file.byte_of(0), 1);
    assert_eq!(file.disk.fills(), 2);
}

#[test]
fn eviction_of_pages_that_were_only_read_outdates_nothing() {
    let file = File::over(
        cache_of(64, POLICY),
        Disk::with_pages((0..300).map(|page| (page, 1))),
    );
    (100..130).for_each(|page| assert_eq!(file.byte_of(page), 1));
    let fills = file.disk.fills();
    read_across(&file, || (130..290).rev().for_each(|page| assert_eq!(file.byte_of(page), 1)));
    assert!(file.counters().evictions > 0);
    assert_eq!(file.disk.fills(), fills + 1 + 160, "the stalled fill was good");
}

#[test]
fn a_partial_write_is_merged_into_newer_content_than_the_fill_found() {
    let file = file_of_ones();
    let stall = file.disk.stall_next_fill();
    thread::scope(|scope| {
        let writer = scope.spawn(|| file.write(10, &[9; 10]));
        stall.await_fill();
        file.fill_page(0, 2);
        stall.release();
        writer.join().unwrap();
    });
    assert_eq!(file.read(5, 20), [&[2; 5][..], &[9; 10], &[2; 5]].concat());
}

#[test]
fn a_partial_write_is_not_merged_into_what_was_truncated_meanwhile() {
    let file = file_of_ones();
    let stall = file.disk.stall_next_fill();
    thread::scope(|scope| {
        let writer = scope.spawn(|| file.write(10, &[9; 10]));
        stall.await_fill();
        file.truncate(0);
        stall.release();
        writer.join().unwrap();
    });
    assert_eq!(file.read(5, 20), [&[0; 5][..], &[9; 10], &[0; 5]].concat());
}

#[test]
fn a_failed_fill_is_reported_and_nothing_is_installed() {
    let file = file_of_ones();
    file.disk.make_unreadable(1..2);
    assert_eq!(file.try_read(PAGE, 1), Err(DiskError::Unreadable(1)));
    assert_eq!(file.mapping.write(PAGE + 1, &[5], &file.disk), Err(DiskError::Unreadable(1)));
    assert_eq!(file.byte_of(0), 1);
    assert!(!file.mapping.is_dirty(1));
    file.fill_page(1, 3);
    assert_eq!(file.byte_of(1), 3, "a whole page needs no fill");
}

/// Page 1 cannot be read any more, because its block was freed by what happens meanwhile.
fn overtake(file: &File, how: impl FnOnce()) -> impl FnOnce() {
    file.disk.make_unreadable(1..2);
    move || {
        how();
        file.disk.make_unreadable(0..0);
    }
}

#[test]
fn a_fill_that_failed_because_it_was_overtaken_is_repeated() {
    let file = file_of_ones();
    let ways: [&dyn Fn(); 3] = [
        &|| file.fill_page(1, 2),
        &|| {
            file.fill_page(1, 2);
            file.sync();
            file.mapping.drop_clean(1..2);
        },
        &|| {
            file.punch(PAGE, 2 * PAGE);
            file.fill_page(1, 2);
            file.sync();
        },
    ];
    for way in ways {
        let stall = file.disk.stall_next_fill();
        let overtake = overtake(&file, way);
        thread::scope(|scope| {
            // Not in sequence, so nothing is read ahead that the error could be blamed on.
            let reader = scope.spawn(|| file.read(PAGE + 7, 1));
            stall.await_fill();
            overtake();
            stall.release();
            assert_eq!(reader.join().unwrap(), [2]);
        });
        file.sync();
        file.mapping.drop_clean(1..2);
    }
}

#[test]
fn a_partial_write_whose_fill_failed_because_it_was_overtaken_is_repeated() {
    let file = file_of_ones();
    let stall = file.disk.stall_next_fill();
    let overtake = overtake(&file, || file.fill_page(1, 2));
    thread::scope(|scope| {
        let writer = scope.spawn(|| file.write(PAGE + 7, &[9]));
        stall.await_fill();
        overtake();
        stall.release();
        writer.join().unwrap();
    });
    assert_eq!(file.read(PAGE + 6, 3), [2, 9, 2]);
}

#[test]
fn sequential_misses_read_ahead_and_random_ones_do_not() {
    let file = File::with_pages(POLICY, (0..400).map(|page| (page, 1)));
    for page in 0..200 {
        assert_eq!(file.byte_of(page), 1);
    }
    assert!(file.disk.fills() < 10, "{} fills", file.disk.fills());
    let counters = file.counters();
    assert_eq!(counters.misses + counters.hits, 200);
    let (fills, asked) = (file.disk.fills(), file.disk.pages_asked());
    for page in [390, 380, 370] {
        assert_eq!(file.byte_of(page), 1);
    }
    assert_eq!((file.disk.fills() - fills, file.disk.pages_asked() - asked), (3, 3));
}

#[test]
fn an_error_in_what_is_read_ahead_fails_nobody() {
    let file = File::with_pages(POLICY, (0..4).map(|page| (page, 1)));
    file.disk.make_unreadable(1..2);
    assert_eq!(file.byte_of(0), 1);
    assert_eq!(file.try_read(PAGE, 1), Err(DiskError::Unreadable(1)));
}

#[test]
fn a_large_read_is_a_few_large_fills() {
    let file = File::with_pages(POLICY, (0..512).map(|page| (page, page as u8)));
    let data = file.read(PAGE / 2, 400 * PAGE_SIZE);
    assert!(
        data.chunks(PAGE_SIZE / 2)
            .zip(1u64..)
            .all(|(half, at)| half.iter().all(|byte| *byte == (at / 2) as u8))
    );
    assert!(file.disk.fills() <= 2, "{} fills", file.disk.fills());
}
