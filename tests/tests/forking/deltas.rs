//! A page that several deltas write before the first is on the disk.

use braidfs_pagecache::WritebackPolicy;

use crate::stage::{NEVER_WAITING, PAGE, Stage, lose_power_everywhere, page_bytes};

/// More than what goes into the log itself, so that each delta has blocks of its own.
const PAGES: usize = 20;

/// Three deltas write the same pages while the flush of the first is held: each has copies of its own. Then
/// `end` says how the flushes end.
fn three_deltas(policy: WritebackPolicy, pages: usize, end: impl Fn(&Stage)) -> Stage {
    let stage = Stage::new(policy);
    let file = stage.create("file");
    stage.fill(file, pages, 1);
    stage.volume.fsync(file, false).expect("fsync");
    stage.acknowledge(1);
    stage.device.flushes().hold();
    std::thread::scope(|scope| {
        let mut fsyncs = Vec::new();
        for byte in 2..5 {
            stage.fill(file, pages, byte);
            fsyncs.push(stage.start_fsync(scope, file));
        }
        let counters = stage.volume.statistics().cache;
        let copies = if policy == WritebackPolicy::Copy { 3 } else { 2 };
        assert_eq!(counters.frozen_bytes, (copies * pages * PAGE) as u64, "{policy}");
        assert_eq!(counters.waits, 0);
        assert_eq!(page_bytes(&stage.volume, "file"), vec![4; pages], "readers see the newest");
        end(&stage);
        for (byte, fsync) in (2..).zip(fsyncs) {
            if fsync.join().unwrap().is_ok() {
                stage.acknowledge(byte);
            }
        }
    });
    stage
}

/// Cuts the power everywhere: the file is empty or not there, or as of one of the deltas.
fn lose_power(stage: &Stage, pages: usize) -> usize {
    let states: Vec<Vec<u8>> =
        (0..5).map(|byte| vec![byte; pages * usize::from(byte > 0)]).collect();
    let recording = stage.device.inner().recording();
    lose_power_everywhere(&recording, &states, |volume| match volume.lookup(1, b"file") {
        Ok(found) if found.size > 0 => page_bytes(volume, "file"),
        _ => Vec::new(),
    })
}

fn the_newest_durable_delta_wins(pages: usize) {
    for policy in NEVER_WAITING {
        let stage = three_deltas(policy, pages, |stage| stage.device.flushes().let_all_go());
        let counters = stage.volume.statistics().cache;
        assert_eq!((counters.dirty_bytes, counters.frozen_bytes), (0, 0), "nothing is left over");
        let images = lose_power(&stage, pages);
        assert!(images > 40, "{images} images");
    }
}

#[test]
fn of_three_copies_in_blocks_of_their_own_the_newest_durable_delta_wins() {
    the_newest_durable_delta_wins(PAGES);
}

#[test]
fn of_three_copies_in_the_log_the_newest_durable_delta_wins() {
    the_newest_durable_delta_wins(1);
}

#[test]
fn whichever_flush_fails_the_newest_acknowledged_delta_is_there() {
    for policy in NEVER_WAITING {
        for succeed in 0..2 {
            let stage = three_deltas(policy, PAGES, |stage| {
                for _ in 0..succeed {
                    stage.device.flushes().let_one_go();
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                stage.device.flushes().fail_one();
            });
            assert!(stage.volume.fsync(1, false).is_err(), "the error stays");
            lose_power(&stage, PAGES);
        }
    }
}

#[test]
fn an_fsync_does_not_wait_for_pages_dirtied_later() {
    let stage = Stage::new(WritebackPolicy::Fork);
    let file = stage.create("file");
    stage.fill(file, PAGES, 1);
    stage.device.flushes().hold();
    std::thread::scope(|scope| {
        let fsync = stage.start_fsync(scope, file);
        stage.fill(file, PAGES, 2);
        // One flush, and no more: what was dirtied later stays dirty.
        stage.device.flushes().let_one_go();
        fsync.join().unwrap().expect("fsync");
        assert_eq!(stage.volume.statistics().cache.dirty_bytes, (PAGES * PAGE) as u64);
        stage.device.flushes().let_all_go();
    });
}

#[test]
fn an_fsync_that_finds_nothing_dirty_waits_for_what_is_in_flight() {
    let stage = Stage::new(WritebackPolicy::Fork);
    let file = stage.create("file");
    stage.fill(file, PAGES, 1);
    stage.device.flushes().hold();
    std::thread::scope(|scope| {
        let first = stage.start_fsync(scope, file);
        let second = scope.spawn(|| stage.volume.fsync(file, false));
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!second.is_finished(), "the pages it promises are not durable yet");
        stage.device.flushes().let_all_go();
        first.join().unwrap().expect("fsync");
        second.join().unwrap().expect("fsync");
    });
}
