//! A disk that fails: each read, write and flush of a run in turn, once and for good.
//!
//! No panic; whoever syncs is told, then and ever after; nothing is changed any more; and what is on the
//! disk afterwards is the state of one delta, no older than the last acknowledged.

use braidfs_block::{BlockOperation, Fault};
use braidfs_tests::fault::{Prepared, run_with};

const STEPS: usize = 40;
/// More operations than any run makes.
const MOST: u64 = 400;

/// Fails each operation of a run in turn; returns how many there were.
fn fail_each(seed: u64, stride: u64, fault: impl Fn(u64) -> Fault) -> u64 {
    let base = Prepared::random(seed, STEPS);
    for number in (1..MOST).step_by(stride as usize) {
        let outcome = run_with(&base, fault(number), seed + 1, STEPS);
        if outcome.injected == 0 {
            return number;
        }
        let writes = !matches!(fault(number).operation, BlockOperation::Read);
        assert!(outcome.failed || !writes, "nobody noticed {:?}", fault(number));
    }
    panic!("a run of {STEPS} steps makes more than {MOST} operations");
}

#[test]
fn writes_that_fail_once() {
    assert!(fail_each(1, 1, |number| Fault::nth(BlockOperation::Write, number)) > 10);
}

#[test]
fn writes_that_fail_for_good() {
    fail_each(2, 2, |number| Fault::nth(BlockOperation::Write, number).forever());
}

#[test]
fn writes_that_are_made_but_reported_as_failed() {
    fail_each(3, 2, |number| Fault::nth(BlockOperation::Write, number).carried_out());
}

#[test]
fn writes_that_find_the_disk_below_full() {
    fail_each(4, 2, |number| Fault::nth(BlockOperation::Write, number).no_space());
}

#[test]
fn flushes_that_fail_once() {
    assert!(fail_each(5, 1, |number| Fault::nth(BlockOperation::Flush, number)) > 3);
}

#[test]
fn flushes_that_fail_for_good() {
    fail_each(6, 1, |number| Fault::nth(BlockOperation::Flush, number).forever());
}

#[test]
fn flushes_that_are_made_but_reported_as_failed() {
    fail_each(7, 1, |number| Fault::nth(BlockOperation::Flush, number).carried_out());
}

#[test]
fn reads_that_fail_once() {
    assert!(fail_each(8, 1, |number| Fault::nth(BlockOperation::Read, number)) > 3);
}

#[test]
fn reads_that_fail_for_good() {
    fail_each(9, 3, |number| Fault::nth(BlockOperation::Read, number).forever());
}
