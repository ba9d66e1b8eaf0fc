//! Cutting, punching and evicting while a staged delta still needs the pages.

use braidfs::{FallocateMode, MountOptions, SetAttributes};
use braidfs_pagecache::WritebackPolicy;
use braidfs_tests::world::repeatable;

use crate::stage::{NEVER_WAITING, PAGE, Stage, lose_power_everywhere, page_bytes};

/// More than what goes into the log itself.
const PAGES: usize = 24;

fn cut(stage: &Stage, file: u64, size: usize) {
    let size = SetAttributes { size: Some(size as u64), ..SetAttributes::default() };
    stage.volume.setattr(file, &size).expect("truncate");
}

/// A file is written and staged; while that delta waits for the disk, `change` happens to it and is staged
/// too. Every image is as of one of the deltas, and the last once that is acknowledged.
fn changed_while_staged(change: impl Fn(&Stage, u64), expected: Vec<u8>) {
    for policy in NEVER_WAITING {
        let stage = Stage::new(policy);
        let file = stage.create("file");
        stage.fill(file, PAGES, 1);
        stage.device.flushes().hold();
        std::thread::scope(|scope| {
            let first = stage.start_fsync(scope, file);
            change(&stage, file);
            assert_eq!(page_bytes(&stage.volume, "file"), expected, "{policy}: readers");
            let second = stage.start_fsync(scope, file);
            stage.device.flushes().let_all_go();
            first.join().unwrap().expect("fsync");
            stage.acknowledge(1);
            second.join().unwrap().expect("fsync");
            stage.acknowledge(2);
        });
        let counters = stage.volume.statistics().cache;
        assert_eq!((counters.dirty_bytes, counters.frozen_bytes), (0, 0));
        let states = [Vec::new(), vec![1; PAGES], expected.clone()];
        let recording = stage.device.inner().recording();
        lose_power_everywhere(&recording, &states, |volume| match volume.lookup(1, b"file") {
            Ok(found) if found.size > 0 => page_bytes(volume, "file"),
            _ => Vec::new(),
        });
    }
}

#[test]
fn a_truncation_of_staged_pages_comes_after_them() {
    changed_while_staged(|stage, file| cut(stage, file, 2 * PAGE), vec![1; 2]);
}

#[test]
fn pages_cut_off_while_staged_do_not_come_back_when_the_file_grows() {
    let change = |stage: &Stage, file: u64| {
        cut(stage, file, 3 * PAGE);
        cut(stage, file, PAGES * PAGE);
    };
    let expected = (0..PAGES).map(|page| u8::from(page < 3)).collect();
    changed_while_staged(change, expected);
}

#[test]
fn a_hole_punched_into_staged_pages_comes_after_them() {
    let change = |stage: &Stage, file: u64| {
        let (start, length) = (5 * PAGE as u64, 10 * PAGE as u64);
        stage.volume.fallocate(file, FallocateMode::PunchHole, start, length).expect("punch");
    };
    let expected = (0..PAGES).map(|page| u8::from(!(5..15).contains(&page))).collect();
    changed_while_staged(change, expected);
}

#[test]
fn pages_beyond_the_size_are_discarded_and_not_written() {
    let stage = Stage::new(WritebackPolicy::Fork);
    let file = stage.create("file");
    stage.fill(file, PAGES, 1);
    cut(&stage, file, PAGE);
    assert_eq!(stage.volume.statistics().cache.dirty_bytes, PAGE as u64);
    let before = stage.volume.statistics().store.data_blocks_written;
    stage.volume.syncfs().expect("sync");
    let written = stage.volume.statistics().store.data_blocks_written - before;
    assert!(written <= 1, "{written} blocks");
    cut(&stage, file, PAGES * PAGE);
    let expected: Vec<u8> = (0..PAGES).map(|page| u8::from(page < 1)).collect();
    assert_eq!(page_bytes(&stage.volume, "file"), expected);
}

#[test]
fn an_unlinked_file_is_dropped_while_it_is_staged() {
    for policy in NEVER_WAITING {
        let stage = Stage::new(policy);
        let file = stage.create("file");
        stage.fill(file, PAGES, 1);
        stage.device.flushes().hold();
        std::thread::scope(|scope| {
            let fsync = stage.start_fsync(scope, file);
            stage.volume.unlink(1, b"file").expect("unlink");
            stage.volume.forget(file, 1);
            stage.device.flushes().let_all_go();
            fsync.join().unwrap().expect("fsync");
        });
        stage.volume.syncfs().expect("sync");
        stage.acknowledge(1);
        let counters = stage.volume.statistics().cache;
        assert_eq!((counters.dirty_bytes, counters.frozen_bytes), (0, 0));
        let recording = stage.device.inner().recording();
        // Not made yet, empty, or full; and gone in the end.
        lose_power_everywhere(&recording, &[true, false], |volume| {
            let Ok(found) = volume.lookup(1, b"file") else { return false };
            assert!([0, PAGES * PAGE].contains(&(found.size as usize)));
            found.size == 0 || page_bytes(volume, "file") == [1; PAGES]
        });
    }
}

#[test]
fn staged_pages_are_not_evicted_before_they_are_durable() {
    for policy in NEVER_WAITING {
        let stage =
            Stage::with(MountOptions { policy, cache_bytes: Some(1 << 20), ..repeatable() });
        let (file, large) = (stage.create("file"), stage.create("large"));
        for part in 0..32u64 {
            let offset = part * 128 * 1024;
            stage.volume.write(large, offset, &[7; 128 * 1024], false).expect("write");
            stage.volume.syncfs().expect("sync");
        }
        stage.fill(file, PAGES, 1);
        stage.device.flushes().hold();
        std::thread::scope(|scope| {
            let fsync = stage.start_fsync(scope, file);
            let before = stage.volume.statistics().cache;
            assert!(page_bytes(&stage.volume, "large").iter().all(|byte| *byte == 7));
            let during = stage.volume.statistics().cache;
            assert!(during.evictions > before.evictions + 500, "the large file is four caches");
            assert_eq!(page_bytes(&stage.volume, "file"), [1; PAGES]);
            assert_eq!(stage.volume.statistics().cache.misses, during.misses, "it was cached");
            stage.device.flushes().let_all_go();
            fsync.join().unwrap().expect("fsync");
        });
    }
}
