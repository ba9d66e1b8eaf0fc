//! Who waits for a page under writeback, and who must not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use braidfs::{FallocateMode, MountOptions, SetAttributes};
use braidfs_pagecache::WritebackPolicy;
use braidfs_tests::holding::await_that;
use braidfs_tests::world::repeatable;

use crate::stage::{PAGE, Stage, page_bytes};

/// What stalls on a page under writeback.
type Stalling = fn(&Stage, u64);

const WRITE: Stalling = |stage, file| stage.fill(file, 1, 9);
const CUT: Stalling = |stage, file| {
    let size = SetAttributes { size: Some(100), ..SetAttributes::default() };
    stage.volume.setattr(file, &size).expect("truncate");
};
const PUNCH: Stalling = |stage, file| {
    let punched = stage.volume.fallocate(file, FallocateMode::PunchHole, 100, PAGE as u64);
    punched.expect("punch");
};

/// While one stalls on a page under writeback, everybody else goes on: deltas close, names are made,
/// other files and other pages of the same one are written and read.
fn stalls_only_its_writer(stage: &Stage, pages: usize, stall: Stalling) {
    let (file, other) = (stage.create("file"), stage.create("other"));
    stage.fill(file, pages, 1);
    stage.device.flushes().hold();
    let went_on = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writeback = stage.start_fsync(scope, file);
        let waits_before = stage.volume.statistics().cache.waits;
        scope.spawn(move || {
            stall(stage, file);
            went_on.store(true, Ordering::Release);
        });
        std::thread::sleep(Duration::from_millis(50));
        assert!(!went_on.load(Ordering::Acquire), "it should wait");
        stage.fill(other, 2, 3);
        // Closing a delta waits for all who are in it; with a stalled writer in it nothing would get past this.
        let second = stage.start_fsync(scope, other);
        let made = stage.volume.mknod(1, b"new", 0o100_644, 0, &braidfs::Credentials::default());
        assert!(made.is_ok());
        assert_eq!(page_bytes(&stage.volume, "file"), vec![1; pages], "readers do not wait");
        assert!(!went_on.load(Ordering::Acquire));
        stage.device.flushes().let_all_go();
        writeback.join().unwrap().expect("fsync");
        second.join().unwrap().expect("fsync");
        await_that("the end of the stall", || went_on.load(Ordering::Acquire));
        assert!(stage.volume.statistics().cache.waits > waits_before);
    });
}

#[test]
fn under_wait_a_stalled_write_stalls_only_its_writer() {
    stalls_only_its_writer(&Stage::new(WritebackPolicy::Wait), 4, WRITE);
}

#[test]
fn under_wait_a_stalled_truncation_stalls_only_its_caller() {
    stalls_only_its_writer(&Stage::new(WritebackPolicy::Wait), 4, CUT);
}

#[test]
fn under_wait_a_stalled_hole_stalls_only_its_caller() {
    stalls_only_its_writer(&Stage::new(WritebackPolicy::Wait), 4, PUNCH);
}

#[test]
fn at_the_frozen_limit_a_stalled_write_stalls_only_its_writer() {
    // 256 pages may be frozen, and the write is of more.
    let stage = Stage::with(MountOptions { frozen_limit_bytes: Some(1 << 20), ..repeatable() });
    stalls_only_its_writer(&stage, 300, |stage, file| stage.fill(file, 300, 9));
    assert!(stage.volume.statistics().cache.frozen_bytes_peak <= 1 << 20);
}

#[test]
fn under_fork_nobody_waits_for_a_page_under_writeback() {
    let stage = Stage::new(WritebackPolicy::Fork);
    let file = stage.create("file");
    stage.fill(file, 4, 1);
    stage.device.flushes().hold();
    std::thread::scope(|scope| {
        let writeback = stage.start_fsync(scope, file);
        for stalling in [WRITE, PUNCH, CUT] {
            stalling(&stage, file);
        }
        assert_eq!(stage.volume.statistics().cache.waits, 0);
        stage.device.flushes().let_all_go();
        writeback.join().unwrap().expect("fsync");
    });
}

#[test]
fn a_change_of_policy_frees_who_waits() {
    let stage = Stage::new(WritebackPolicy::Wait);
    let file = stage.create("file");
    stage.fill(file, 4, 1);
    stage.device.flushes().hold();
    std::thread::scope(|scope| {
        let writeback = stage.start_fsync(scope, file);
        let writer = scope.spawn(|| stage.fill(file, 4, 2));
        await_that("a wait", || {
            std::thread::sleep(Duration::from_millis(20));
            !writer.is_finished()
        });
        stage.volume.set_policy(WritebackPolicy::Fork);
        writer.join().unwrap();
        stage.device.flushes().let_all_go();
        writeback.join().unwrap().expect("fsync");
    });
    assert_eq!(page_bytes(&stage.volume, "file"), [2; 4]);
}
