//! Bitmaps of the next superblock, and what its completion frees.

use super::support::{Volume, assert_sums, persisted_blocks, used_blocks};
use crate::error::StoreErrorKind;
use crate::space::{BlockRun, Space};

fn take(space: &Space, wanted: u64) -> BlockRun {
    let mut held = space.reserve(wanted, 0).unwrap();
    space.allocate_run(&mut held, wanted).unwrap()
}

#[test]
fn the_bitmaps_on_the_device_are_those_of_the_tree() {
    let mut volume = Volume::new(70_000);
    let of_tree = take(&volume.space, 300);
    let of_log = take(&volume.space, 40);
    let left = BlockRun::new(volume.tree_data().start + 2, 3);
    let mut turn = volume.space.begin_unify(5).unwrap();
    let update = turn.prepare(&[of_tree], &[left], 2).unwrap();
    assert_eq!(update.used_blocks, volume.superblock.used_blocks + 300 - 3);
    assert_eq!(update.writes.len(), 1, "only the group that changed");
    let due = turn.complete(update, &[]).unwrap();
    assert_eq!(due, [left]);
    volume.superblock.sequence = 2;
    assert!(used_blocks(&volume.space).contains(&left.start), "readers may be left");
    volume.space.release(&due);
    assert!(!used_blocks(&volume.space).contains(&left.start));

    let space = volume.space.clone();
    let mut turn = space.begin_unify(6).unwrap();
    let update = turn.prepare(&[], &[BlockRun::new(of_tree.start, 1)], 3).unwrap();
    volume.write(&update);
    turn.complete(update, &[]).unwrap();
    let found = volume.reload().unwrap();
    assert_eq!(persisted_blocks(&found), persisted_blocks(&volume.space));
    assert_eq!(used_blocks(&found), persisted_blocks(&found));
    assert!(!used_blocks(&found).contains(&of_log.start));
    assert_sums(&volume.space);
    assert_sums(&found);
}

#[test]
fn a_group_is_written_to_its_stale_slot_in_turn() {
    let mut volume = Volume::new(70_000);
    let mut addresses = Vec::new();
    for round in 0..4 {
        let run = take(&volume.space, 1);
        let space = volume.space.clone();
        let mut turn = space.begin_unify(round).unwrap();
        let update = turn.prepare(&[run], &[], round + 2).unwrap();
        addresses.push(update.writes[0].0);
        volume.write(&update);
        turn.complete(update, &[]).unwrap();
        assert_eq!(used_blocks(&volume.reload().unwrap()), used_blocks(&volume.space));
    }
    let slot = |slot| volume.geometry().bitmap_address(0, slot);
    assert_eq!(addresses, [slot(1), slot(0), slot(1), slot(0)]);
}

#[test]
fn what_leaves_and_enters_stays() {
    let volume = Volume::new(4096);
    let data = volume.tree_data();
    let part = BlockRun::new(data.start + 4, 2);
    let mut turn = volume.space.begin_unify(5).unwrap();
    let update = turn.prepare(&[part], &[data], 2).unwrap();
    assert_eq!(update.used_blocks, volume.superblock.used_blocks - 8);
    let due = turn.complete(update, &[]).unwrap();
    assert_eq!(due, [BlockRun::new(data.start, 4), BlockRun::new(data.start + 6, 4)]);
}

#[test]
fn a_tree_cannot_drop_or_gain_what_it_must_not() {
    let volume = Volume::new(4096);
    let space = &volume.space;
    let run = take(space, 8);
    let counts = space.counts();
    let mut turn = space.begin_unify(5).unwrap();
    let data = volume.tree_data();
    let free = BlockRun::new(run.start + 100, 1);
    let outside = BlockRun::new(1, 1);
    let cases: [(&[BlockRun], &[BlockRun]); 6] = [
        (&[], &[run]),
        (&[], &[data, data]),
        (&[data], &[]),
        (&[run, run], &[]),
        (&[free], &[]),
        (&[outside], &[]),
    ];
    for (allocated, freed) in cases {
        let error = turn.prepare(allocated, freed, 2).err().unwrap();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
        assert!(error.block().is_some());
    }
    let update = turn.prepare(&[run], &[data], 2).unwrap();
    assert!(turn.prepare(&[], &[], 2).is_err(), "prepared twice");
    assert!(space.begin_unify(6).is_err(), "two at a time");
    turn.complete(update, &[]).unwrap();
    assert_eq!(space.counts().pending, counts.pending + 10);
    drop(space.begin_unify(6).unwrap());
    drop(space.begin_unify(7).unwrap());
}

#[test]
fn a_block_that_the_tree_came_to_hold_is_freed_by_the_next_unify_alone() {
    let volume = Volume::new(4096);
    let space = &volume.space;
    let run = take(space, 4);
    // The tree of deltas through 10 gets the run; delta 12 replaces it before that tree is there.
    let mut turn = space.begin_unify(10).unwrap();
    space.free_after(run, 12).unwrap();
    assert!(space.release_through(12).is_empty(), "the new tree may refer to it");
    let update = turn.prepare(&[run], &[], 2).unwrap();
    assert!(space.release_through(12).is_empty());
    assert!(turn.complete(update, &[]).unwrap().is_empty());
    assert!(space.release_through(12).is_empty(), "the tree refers to it");
    assert_eq!(space.counts().pending, 0);

    let mut turn = space.begin_unify(12).unwrap();
    let update = turn.prepare(&[], &[run], 3).unwrap();
    let due = turn.complete(update, &[]).unwrap();
    assert_eq!(due, [run]);
    space.release(&due);
    assert_eq!(take(space, 1).length, 1);
    assert_sums(space);
}

#[test]
fn a_block_queued_for_a_delta_that_the_unify_folds_is_not_freed_twice() {
    let volume = Volume::new(4096);
    let space = &volume.space;
    let (run, only_logged) = (take(space, 4), take(space, 6));
    let mut turn = space.begin_unify(10).unwrap();
    space.free_after(run, 12).unwrap();
    let update = turn.prepare(&[run], &[], 2).unwrap();
    turn.complete(update, &[]).unwrap();
    // The mark never passed 12 before the unify that folds 12 drops the run from the tree.
    space.free_after(only_logged, 12).unwrap();
    let mut turn = space.begin_unify(12).unwrap();
    let update = turn.prepare(&[], &[run], 3).unwrap();
    let due = turn.complete(update, &[]).unwrap();
    assert_eq!(due, [only_logged, run]);
    assert!(space.release_through(u64::MAX).is_empty());
    space.release(&due);
    assert_eq!(space.counts().pending, 0);
    assert_sums(space);
}

#[test]
fn a_turn_that_ends_early_leaves_no_trace_and_one_that_is_lost_holds_everything() {
    let volume = Volume::new(4096);
    let space = &volume.space;
    let run = take(space, 4);
    space.free_after(run, 6).unwrap();
    let turn = space.begin_unify(5).unwrap();
    assert!(space.release_through(6).is_empty());
    drop(turn);
    let mut turn = space.begin_unify(5).unwrap();
    turn.prepare(&[], &[], 2).unwrap();
    drop(turn);
    assert!(space.release_through(6).is_empty());
    assert!(space.begin_unify(6).is_err());
}

#[test]
fn a_unify_must_fold_every_delta_whose_blocks_were_let_go() {
    let volume = Volume::new(4096);
    let space = &volume.space;
    space.free_after(take(space, 4), 6).unwrap();
    drop(space.begin_unify(5).unwrap());
    assert_eq!(space.release_through(9).len(), 1);
    assert_eq!(space.begin_unify(5).err().unwrap().kind(), StoreErrorKind::Invalid);
    drop(space.begin_unify(6).unwrap());
}
