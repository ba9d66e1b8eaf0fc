//! When freed blocks come back, and what happens to blocks freed twice.

use super::support::{Volume, assert_sums};
use crate::error::{StoreError, StoreErrorKind};
use crate::space::{BlockRun, Space};

fn take(space: &Space, wanted: u64) -> BlockRun {
    let mut held = space.reserve(wanted, 0).unwrap();
    let run = space.allocate_run(&mut held, wanted).unwrap();
    assert_eq!(run.length, wanted);
    run
}

fn assert_corrupt<T: std::fmt::Debug>(result: Result<T, StoreError>, block: u64) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.block()), (StoreErrorKind::Corrupt, Some(block)), "{error}");
}

#[test]
fn a_replaced_block_waits_for_the_mark_to_pass_its_delta_and_for_readers() {
    let volume = Volume::new(4096);
    let space = &volume.space;
    let all = space.counts();
    let (first, second) = (take(space, 20), take(space, 30));
    space.free_after(first, 7).unwrap();
    space.free_after(second, 8).unwrap();
    let counts = space.counts();
    assert_eq!((counts.pending, counts.free), (50, all.free - 50));
    assert!(space.release_through(6).is_empty());
    let due = space.release_through(7);
    assert_eq!(due, [first]);
    assert_eq!(space.counts().free, all.free - 50, "readers may be left");
    space.release(&due);
    let counts = space.counts();
    assert_eq!((counts.pending, counts.free, counts.available), (30, all.free - 30, all.free - 30));
    space.release(&space.release_through(u64::MAX));
    assert_eq!(space.counts(), all);
    assert_sums(space);
}

#[test]
fn what_was_freed_late_comes_with_the_next_mark() {
    let volume = Volume::new(4096);
    let space = &volume.space;
    let run = take(space, 5);
    assert!(space.release_through(10).is_empty());
    space.free_after(run, 4).unwrap();
    assert_eq!(space.release_through(10), [run]);
}

#[test]
fn runs_that_touch_come_back_as_one() {
    let volume = Volume::new(4096);
    let space = &volume.space;
    let run = take(space, 300);
    for part in 0..3 {
        space.free_after(BlockRun::new(run.start + part * 100, 100), 2).unwrap();
    }
    assert_eq!(space.release_through(2), [run]);
}

#[test]
fn blocks_freed_twice_are_refused() {
    let volume = Volume::new(4096);
    let space = &volume.space;
    let run = take(space, 20);
    let part = BlockRun::new(run.start + 5, 3);
    space.free_after(part, 3).unwrap();
    let counts = space.counts();
    assert_corrupt(space.free_after(run, 4), part.start);
    assert_corrupt(space.free_now(run), part.start);
    let due = space.release_through(3);
    assert_corrupt(space.free_after(part, 4), part.start);
    assert_eq!(space.counts(), counts);
    space.release(&due);
    assert_corrupt(space.free_after(part, 4), part.start);
    assert_corrupt(space.free_now(part), part.start);
    let counts = space.counts();
    space.release(&due);
    assert_eq!(space.counts(), counts, "released twice");
    assert_sums(space);
}

#[test]
fn blocks_of_the_tree_and_outside_the_data_area_are_not_freed() {
    let volume = Volume::new(4096);
    let space = &volume.space;
    let counts = space.counts();
    let tree_data = volume.tree_data();
    assert_corrupt(space.free_now(tree_data), tree_data.start);
    assert_corrupt(space.free_now(BlockRun::new(0, 1)), 0);
    assert_corrupt(space.free_now(BlockRun::new(4094, 1)), 4094);
    assert_corrupt(space.free_after(BlockRun::new(u64::MAX, 2), 1), u64::MAX);
    assert_corrupt(space.free_after(BlockRun::new(tree_data.start, 0), 1), tree_data.start);
    // What a delta replaces may be in the tree: that is left to the unify.
    space.free_after(tree_data, 3).unwrap();
    assert!(space.release_through(3).is_empty());
    assert_eq!(space.counts(), counts);
}

#[test]
fn blocks_of_the_replayed_log_are_adopted_once() {
    let volume = Volume::new(4096);
    let space = &volume.space;
    let all = space.counts();
    let run = BlockRun::new(volume.first_free() + 301, 9);
    space.adopt(run).unwrap();
    assert_eq!(space.counts().available, all.available - 9);
    assert_corrupt(space.adopt(BlockRun::new(run.start - 5, 6)), run.start);
    let with_tree = BlockRun::new(volume.first_free() - 3, 6);
    assert_corrupt(space.adopt(with_tree), with_tree.start);
    assert_eq!(space.counts().free, all.free - 9);
    assert_sums(space);
    space.free_after(run, 5).unwrap();
    assert_eq!(space.release_through(5), [run]);
}
