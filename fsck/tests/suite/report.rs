//! What a report says beyond the ids: paths, limits, errors, cancelling.

use std::cell::Cell;

use braidfs_block::MemoryDevice;
use braidfs_format::{FileKind, checksum};
use braidfs_fsck::{
    CheckError, CheckOptions, Finding, Observer, PASSES, Pass, PassStatus, Silent, check,
};

use crate::support::*;

#[test]
fn findings_name_the_paths_of_their_inode() {
    let volume = sample();
    let device = volume.build();
    flip(&device, volume.geometry.data_start, 0);
    let report = check_all(&device);
    let mut paths = report.findings[0].paths.clone();
    paths.sort();
    assert_eq!(paths, ["/dir/hard", "/file"]);
}

#[test]
fn paths_lead_through_the_log_and_are_printable() {
    let mut volume = busy();
    volume.put_entry(INNER, "\x1b[31m\u{e9}", SMALL, FileKind::Regular);
    let report = check_all(&volume.build());
    assert_eq!(report.counts.keys().copied().collect::<Vec<_>>(), ["B0701"]);
    let mut paths = report.findings[0].paths.clone();
    paths.sort();
    assert_eq!(paths, ["/dir/inner/\\u{1b}[31m\u{e9}", "/small"]);
}

#[test]
fn what_the_root_does_not_reach_is_named_by_its_inode() {
    let mut volume = sample();
    volume.remove_entry(DIRECTORY, "inner");
    volume.record(DIRECTORY).links -= 1;
    volume.record(PREALLOCATED).links = 5;
    let report = check_all(&volume.build());
    let finding = report.findings.iter().find(|finding| finding.problem.id == "B0701").unwrap();
    assert_eq!(finding.paths, ["<inode 6>/pre"]);
}

#[test]
fn findings_beyond_the_limit_are_counted() {
    let mut volume = sample();
    for inode in [SMALL, FILE, FIFO, SYMLINK] {
        volume.record(inode).links = 9;
    }
    let options = CheckOptions { findings_limit: 3, ..CheckOptions::forced() };
    let report = check(&volume.build(), &options, &Silent).unwrap();
    assert_eq!((report.findings.len(), report.findings_dropped, report.damage_count()), (3, 1, 4));
    assert!(!report.is_clean());
}

#[test]
fn what_is_no_volume_is_an_error() {
    for size in [0, 4096, 8192, 1 << 24] {
        let outcome = check(&MemoryDevice::new(size), &CheckOptions::default(), &Silent);
        assert!(matches!(outcome, Err(CheckError::NotAVolume)), "{outcome:?}");
    }
}

#[test]
fn a_newer_volume_is_an_error() {
    // The version, an incompatible feature, and one that allows to read only.
    for (offset, says) in [(12, "version"), (64 + 3, "features"), (56 + 3, "features")] {
        let device = sample().build();
        for address in [0, 1, 8190, 8191] {
            let mut block = read_block(&device, address);
            block[offset] += 5;
            checksum::seal(&mut block);
            write_blocks(&device, address, &block);
        }
        let error = check(&device, &CheckOptions::default(), &Silent).unwrap_err();
        assert!(matches!(error, CheckError::Unsupported(_)), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_damaged_tree_does_not_flood_the_report() {
    let volume = sample();
    let device = volume.build();
    flip(&device, volume.leaf_address(0), 70);
    let report = check_all(&device);
    assert_eq!(report.findings.len(), 1);
    let skipped =
        |pass: &&braidfs_fsck::PassReport| matches!(pass.status, PassStatus::Skipped { .. });
    let skipped: Vec<_> = report.passes.iter().filter(skipped).map(|pass| pass.id).collect();
    assert_eq!(skipped, [4, 5, 6, 7, 8, 9]);
    // The data that is left is read all the same.
    assert!(report.totals.unwrap().data_blocks_read > 0);
}

/// Counts what it is told, and cancels after a while.
#[derive(Default)]
struct Watcher {
    questions: Cell<u32>,
    cancel_after: u32,
    started: Cell<usize>,
    finished: Cell<usize>,
    found: Cell<usize>,
}

impl Observer for Watcher {
    fn pass_started(&self, _pass: &Pass, _units: u64) {
        self.started.set(self.started.get() + 1);
    }

    fn found(&self, _finding: &Finding) {
        self.found.set(self.found.get() + 1);
    }

    fn pass_finished(&self, _pass: &Pass) {
        self.finished.set(self.finished.get() + 1);
    }

    fn is_cancelled(&self) -> bool {
        self.questions.set(self.questions.get() + 1);
        self.questions.get() > self.cancel_after
    }
}

#[test]
fn an_observer_sees_every_pass_and_every_finding() {
    let mut volume = sample();
    volume.record(SMALL).links = 9;
    let watcher = Watcher { cancel_after: u32::MAX, ..Watcher::default() };
    let options = CheckOptions { data: true, ..CheckOptions::forced() };
    let report = check(&volume.build(), &options, &watcher).unwrap();
    assert!(!report.cancelled);
    assert_eq!((watcher.started.get(), watcher.finished.get()), (PASSES.len(), PASSES.len()));
    assert_eq!(watcher.found.get(), 1);
}

#[test]
fn a_check_can_be_cancelled_at_any_point() {
    let device = busy().build();
    let options = CheckOptions { data: true, ..CheckOptions::forced() };
    let whole = Watcher { cancel_after: u32::MAX, ..Watcher::default() };
    check(&device, &options, &whole).unwrap();
    for cancel_after in 0..whole.questions.get() {
        let watcher = Watcher { cancel_after, ..Watcher::default() };
        let report = check(&device, &options, &watcher).unwrap();
        assert!(report.cancelled && report.is_clean());
        assert_eq!(watcher.started.get(), watcher.finished.get());
        let last = report.passes.last().unwrap();
        assert_eq!(last.status, PassStatus::Interrupted);
    }
}
