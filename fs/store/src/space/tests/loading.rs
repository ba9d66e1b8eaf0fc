//! What a mount finds after crashes and after damage.

use super::support::{Volume, assert_sums, persisted_blocks, used_blocks};
use crate::error::StoreErrorKind;
use crate::space::{BitmapUpdate, BlockRun};

/// Prepares a unify that takes the last `count` blocks of the tree's extent away.
fn prepared(volume: &Volume, space: &crate::space::Space, count: u64) -> BitmapUpdate {
    let data = volume.tree_data();
    let gone = BlockRun::new(data.start + data.length - count, count);
    let sequence = volume.superblock.sequence + 1;
    let freed = if count == 0 { &[][..] } else { &[gone][..] };
    space.begin_unify(3).unwrap().prepare(&[], freed, sequence).unwrap()
}

fn slot(volume: &Volume, slot: u64) -> u64 {
    volume.geometry().bitmap_address(0, slot)
}

#[test]
fn a_new_volume_uses_its_fixed_regions_and_its_tree() {
    for block_count in [4096, 32256, 32257, 70_001] {
        let volume = Volume::new(block_count);
        let (geometry, free) = (volume.geometry(), volume.first_free());
        let expected = (0..free).chain(geometry.data_end()..block_count);
        assert!(used_blocks(&volume.space) == expected.collect());
        let used = volume.superblock.used_blocks;
        assert_eq!(used, free + 2);
        assert_eq!(volume.space.counts().free, block_count - used);
        assert_sums(&volume.space);
    }
}

#[test]
fn a_bitmap_whose_superblock_never_came_is_ignored_and_written_over() {
    let mut volume = Volume::new(70_000);
    let before = used_blocks(&volume.space);
    let update = prepared(&volume, &volume.space, 5);
    let written = update.writes[0].0;
    volume.write_bitmaps(&update);
    let found = volume.reload().unwrap();
    assert_eq!(used_blocks(&found), before);
    // A unify that changes nothing else must still get rid of it.
    let mut turn = found.begin_unify(3).unwrap();
    let update = turn.prepare(&[], &[], 2).unwrap();
    assert_eq!(update.writes.iter().map(|(address, _)| *address).collect::<Vec<_>>(), [written]);
    volume.write(&update);
    turn.complete(update, &[]).unwrap();
    assert_eq!(used_blocks(&volume.reload().unwrap()), before);
    let mut turn = found.begin_unify(4).unwrap();
    assert!(turn.prepare(&[], &[], 3).unwrap().writes.is_empty());
}

#[test]
fn a_torn_leftover_is_written_over() {
    let volume = Volume::new(70_000);
    let before = used_blocks(&volume.space);
    volume.damage(slot(&volume, 1));
    let found = volume.reload().unwrap();
    assert_eq!(used_blocks(&found), before);
    let update = prepared(&volume, &found, 0);
    assert_eq!(update.writes[0].0, slot(&volume, 1));
}

#[test]
fn a_rotten_bitmap_is_made_anew_from_the_tree_whatever_the_other_slot_says() {
    let mut volume = Volume::new(70_000);
    let before = persisted_blocks(&volume.space);
    // Slot 1 is in force and right; slot 0 is out of date and lacks the tree's last blocks.
    for count in [5, 0] {
        let space = volume.reload().unwrap();
        let mut turn = space.begin_unify(3).unwrap();
        let data = volume.tree_data();
        let gone = BlockRun::new(data.start + data.length - 5, 5);
        let sequence = volume.superblock.sequence + 1;
        let update = if count > 0 {
            turn.prepare(&[], &[gone], sequence).unwrap()
        } else {
            let back = space.adopt(gone);
            back.unwrap();
            turn.prepare(&[gone], &[], sequence).unwrap()
        };
        volume.write(&update);
    }
    assert_eq!(volume.superblock.sequence, 3);
    let in_force = slot(&volume, 0);
    volume.damage(in_force);
    let found = volume.reload().unwrap();
    assert_eq!(persisted_blocks(&found), before);
    // The stale slot is written first: as long as no superblock came, the damage must stay a sign.
    let update = prepared(&volume, &found, 1);
    assert_eq!(update.writes[0].0, slot(&volume, 1));
    volume.write_bitmaps(&update);
    assert_eq!(persisted_blocks(&volume.reload().unwrap()), before);
}

#[test]
fn without_any_bitmap_the_tree_alone_tells() {
    let volume = Volume::new(70_000);
    let before = used_blocks(&volume.space);
    for group in 0..volume.geometry().group_count {
        volume.damage(volume.geometry().bitmap_address(group, 0));
        volume.damage(volume.geometry().bitmap_address(group, 1));
    }
    let found = volume.reload().unwrap();
    assert_eq!(used_blocks(&found), before);
    let update = prepared(&volume, &found, 0);
    assert_eq!(update.writes.len() as u64, volume.geometry().group_count);
    assert_eq!(update.used_blocks, volume.superblock.used_blocks);
    assert_sums(&found);
}

#[test]
fn bitmaps_that_do_not_sum_up_are_made_anew() {
    let mut volume = Volume::new(4096);
    let before = used_blocks(&volume.space);
    let right = volume.superblock.used_blocks;
    let update = prepared(&volume, &volume.space, 5);
    volume.write(&update);
    let last = volume.first_free() - 1;
    assert!(!persisted_blocks(&volume.reload().unwrap()).contains(&last));
    volume.superblock.used_blocks = right;
    let found = volume.reload().unwrap();
    assert_eq!(used_blocks(&found), before);
    assert_eq!(prepared(&volume, &found, 0).writes.len(), 1);
}

#[test]
fn bitmaps_newer_than_the_superblock_in_both_slots_are_an_error() {
    let mut volume = Volume::new(4096);
    for offset in [0, 1] {
        let space = volume.reload().unwrap();
        let gone = BlockRun::new(volume.tree_data().start + offset, 1);
        let sequence = volume.superblock.sequence + 1;
        let update = space.begin_unify(3).unwrap().prepare(&[], &[gone], sequence).unwrap();
        volume.write(&update);
    }
    volume.superblock.sequence = 1;
    let error = volume.reload().err().unwrap();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
    assert_eq!(error.block(), Some(slot(&volume, 0)));
}
