//! Space: a full volume, and when a freed block may be used again.

use std::collections::BTreeSet;

use braidfs_format::Key;

use super::harness::{Harness, MIB, formatted};
use super::model::{Edit, How};
use super::model_edits::{dirent, inode_record};
use crate::StoreErrorKind;

fn write(inode: u64, start: u64, length: u64, tag: u64) -> Edit {
    Edit::Write { inode, start, length, tag, how: How::Blocks }
}

fn addresses(harness: &Harness, inode: u64) -> BTreeSet<u64> {
    let mapped = harness.store.map(inode, 0..1 << 40).unwrap();
    let runs = mapped.iter().filter_map(|mapped| mapped.extent.blocks());
    runs.flat_map(|(start, length)| start..start + length).collect()
}

/// Fills the volume with files from `inode` on until it refuses more. Returns the next inode.
fn fill_with(harness: &mut Harness, mut inode: u64, blocks: u64) -> u64 {
    loop {
        let edits = [
            Edit::Put(Key::inode(inode), inode_record(1)),
            Edit::Put(Key::dirent(1, inode), dirent(inode)),
            write(inode, 0, blocks, inode),
        ];
        match harness.try_publish(&edits) {
            Ok(delta) => harness.store.make_durable(delta).unwrap(),
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::NoSpace, "{error}");
                return inode;
            }
        }
        inode += 1;
    }
}

fn fill(harness: &mut Harness) -> u64 {
    fill_with(harness, 2, 64)
}

#[test]
fn a_full_volume_refuses_data_but_not_deletion_and_space_comes_back() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(64)));
    let empty = harness.store.statistics();
    let end = fill(&mut harness);
    assert!(end > 20, "only {end} files of 256 KiB fit 16 MiB");
    harness.check();
    for inode in 2..end {
        harness.commit(&[Edit::Remove(inode), Edit::Delete(Key::dirent(1, inode))]);
    }
    harness.store.unify().unwrap();
    harness.check();
    let after = harness.store.statistics();
    assert_eq!(after.free_blocks, empty.free_blocks);
    assert_eq!(after.available_blocks, empty.available_blocks);
    assert_eq!(after.pending_blocks, 0);
    assert_eq!(fill(&mut harness), end);
    harness.check();
}

#[test]
fn overwriting_on_a_full_volume_works_by_reclaiming() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(64)));
    fill(&mut harness);
    harness.commit(&[Edit::Remove(2), Edit::Delete(Key::dirent(1, 2))]);
    for tag in 0..20 {
        let delta = harness.try_publish(&[write(3, 0, 20, tag)]).unwrap();
        harness.store.make_durable(delta).unwrap();
    }
    harness.check();
    harness.reopen();
    harness.check();
}

#[test]
fn renaming_and_unlinking_work_without_reservation_on_a_full_volume() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(64)));
    let end = fill(&mut harness);
    for round in 0..200 {
        let inode = 2 + round % (end - 2);
        harness.commit(&[
            Edit::Put(Key::dirent(1, 10_000 + round), dirent(inode)),
            Edit::Put(Key::inode(inode), inode_record(round)),
        ]);
        if round >= 2 {
            harness.commit(&[Edit::Delete(Key::dirent(1, 10_000 + round - 2))]);
        }
    }
    harness.check();
}

#[test]
fn a_block_is_not_reused_before_a_durable_transaction_says_that_its_freeing_is() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(64)));
    harness.commit(&[write(2, 0, 8, 1)]);
    let old = addresses(&harness, 2);
    harness.publish(&[write(2, 0, 8, 2)]);
    assert_eq!(harness.store.statistics().pending_blocks, 0, "not even merged");
    let freed_by = harness.store.next_delta() - 1;
    harness.store.make_durable(freed_by).unwrap();
    assert_eq!(harness.store.statistics().pending_blocks, 8, "durable, but not said so");
    // The next transaction says so; not before it is durable itself may they go.
    let rest = harness.store.statistics().available_blocks - 64;
    let whole = Edit::Write { inode: 3, start: 0, length: rest, tag: 3, how: How::Unwritten };
    harness.publish(&[whole]);
    assert!(addresses(&harness, 3).is_disjoint(&old));
    assert_eq!(harness.store.statistics().pending_blocks, 8);
    harness.store.make_durable(harness.store.next_delta() - 1).unwrap();
    assert_eq!(harness.store.statistics().pending_blocks, 0);
    harness.check();
}

#[test]
fn a_unify_releases_what_its_deltas_freed() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(64)));
    let free = harness.store.statistics().free_blocks;
    harness.commit(&[write(2, 0, 8, 1)]);
    harness.commit(&[write(2, 0, 8, 2)]);
    assert_eq!(harness.store.statistics().pending_blocks, 8);
    harness.store.unify().unwrap();
    let statistics = harness.store.statistics();
    assert_eq!(statistics.pending_blocks, 0);
    assert_eq!(statistics.free_blocks, free - 8);
    harness.commit(&[Edit::Remove(2)]);
    assert_eq!(harness.store.statistics().free_blocks, free - 8, "the tree still has them");
    harness.store.unify().unwrap();
    assert_eq!(harness.store.statistics().free_blocks, free);
    harness.check();
}

#[test]
fn what_a_replay_found_superseded_waits_too() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(64)));
    harness.commit(&[write(2, 0, 8, 1)]);
    harness.publish(&[write(2, 0, 4, 2)]);
    harness.publish(&[write(2, 2, 4, 3)]);
    let report = harness.reopen();
    assert_eq!(report.deltas, 4);
    assert!(report.verified_blocks >= 8, "{report:?}");
    assert!(harness.store.statistics().pending_blocks >= 8);
    harness.check();
    harness.commit(&[]);
    harness.commit(&[]);
    assert_eq!(harness.store.statistics().pending_blocks, 0);
    harness.check();
}

#[test]
fn a_reader_keeps_the_blocks_that_it_mapped() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(64)));
    harness.commit(&[write(2, 0, 8, 1)]);
    harness.store.unify().unwrap();
    let mapped = harness.store.map(2, 0..8).unwrap();
    harness.commit(&[Edit::Remove(2)]);
    for tag in 0..3000 {
        harness.commit(&[write(3, 0, 1, tag)]);
    }
    harness.store.unify().unwrap();
    assert!(harness.store.statistics().pending_blocks >= 8);
    let mut pages = [[0; 4096]; 8];
    let mut slices: Vec<_> = pages.iter_mut().collect();
    harness.store.read_extent(&mapped[0].extent, 0, &mut slices).unwrap();
    assert!(pages[5][..] == super::model::content(1, 5, 4096)[..]);
    drop(mapped);
    assert_eq!(harness.store.statistics().pending_blocks, 0);
    harness.check();
}

#[test]
fn unpublished_blocks_go_back_at_once() {
    let harness = Harness::new(formatted(16 * MIB, Some(64)));
    let before = harness.store.statistics();
    let mut reservation = harness.store.reserve(10).unwrap();
    let page = [7; 4096];
    let extents = harness.store.write_data(&mut reservation, 2, &[&page; 10]).unwrap();
    extents.iter().for_each(|extent| harness.store.release_unpublished(extent));
    drop(reservation);
    assert_eq!(harness.store.statistics().free_blocks, before.free_blocks);
    assert_eq!(harness.store.statistics().available_blocks, before.available_blocks);
}

#[test]
fn data_beyond_the_reservation_is_refused() {
    let harness = Harness::new(formatted(16 * MIB, Some(64)));
    let mut reservation = harness.store.reserve(4).unwrap();
    let before = harness.store.statistics().free_blocks;
    let page = [7; 4096];
    let error = harness.store.write_data(&mut reservation, 2, &[&page; 10]).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::NoSpace);
    assert_eq!(harness.store.statistics().free_blocks, before);
}

#[test]
fn long_inline_content_moves_to_blocks_of_its_own() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(64)));
    let free = harness.store.statistics().free_blocks;
    let inline = |start, bytes| Edit::Write {
        inode: 2,
        start,
        length: 1,
        tag: start,
        how: How::Inline(bytes),
    };
    harness.commit(&[inline(0, 1024), inline(1, 1025), inline(2, 4096), inline(7, 1)]);
    assert_eq!(harness.store.statistics().free_blocks, free);
    harness.store.unify().unwrap();
    let blocks = addresses(&harness, 2);
    assert_eq!(blocks.len(), 2);
    harness.check();
    harness.reopen();
    harness.check();
}

/// Takes all space away, so that a unify finds none.
fn starve(harness: &Harness) -> Vec<crate::Reservation> {
    let reserve = harness.store.metadata_reserve.take();
    let counts = harness.store.space.counts();
    vec![reserve, harness.store.space.reserve(counts.available, 0).unwrap(), {
        let left = harness.store.space.counts().available;
        harness.store.space.reserve(left, 0).unwrap()
    }]
}

#[test]
fn a_unify_without_space_puts_everything_back_and_works_later() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(64)));
    let inline = Edit::Write { inode: 2, start: 50, length: 1, tag: 4, how: How::Inline(3000) };
    harness.commit(&[write(2, 0, 8, 1), Edit::Put(Key::inode(3), inode_record(1)), inline]);
    harness.commit(&[write(2, 2, 8, 2)]);
    let before = harness.store.statistics();
    let starved = starve(&harness);
    let error = harness.store.unify().unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::NoSpace, "{error}");
    assert!(harness.store.poisoned().is_none());
    super::harness::compare(&harness.store, harness.model());
    // Deltas are still taken, but data gets no space before a unify has succeeded.
    harness.commit(&[Edit::Put(Key::inode(4), inode_record(1)), Edit::Delete(Key::inode(3))]);
    assert_eq!(harness.store.reserve(1).unwrap_err().kind(), StoreErrorKind::NoSpace);
    assert!(harness.store.needs_unify());
    drop(starved);
    harness.check();
    harness.store.unify().unwrap();
    assert!(!harness.store.needs_unify());
    harness.store.reserve(1).unwrap();
    harness.check();
    let after = harness.store.statistics();
    assert_eq!(after.log_used_blocks, 0);
    assert_eq!(after.free_blocks, before.free_blocks + before.pending_blocks - 1);
}

#[test]
fn what_is_logged_while_a_unify_finds_no_space_is_merged_with_it() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(64)));
    harness.commit(&[write(2, 0, 8, 1), write(3, 0, 8, 1)]);
    let (layer, _) = harness.store.layers.write().begin_unify();
    harness.commit(&[write(2, 4, 8, 2), Edit::Remove(3)]);
    harness.commit(&[write(2, 6, 1, 3)]);
    super::harness::compare(&harness.store, harness.model());
    let (delta, freed) = harness.store.layers.write().abandon_unify(layer);
    harness.store.free_after(delta, freed);
    harness.check();
    harness.reopen();
    harness.check();
    harness.store.unify().unwrap();
    harness.check();
}

#[test]
fn a_volume_can_be_closed_without_space_to_unify() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(64)));
    harness.commit(&[write(2, 0, 8, 1), Edit::Put(Key::inode(3), inode_record(1))]);
    let starved = starve(&harness);
    harness.store.close().unwrap();
    drop(starved);
    let report = harness.reopen();
    assert_eq!((report.clean, report.deltas), (false, 2));
    harness.check();
}

/// Names only: what is in the way then are tree nodes, each of which a delta may touch.
#[test]
fn a_volume_full_of_names_takes_deletions_and_closes() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(256)));
    harness.forgets = true;
    let hash = |name: u64| 2 + (name.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8);
    let mut names = 0;
    loop {
        // As a filesystem does: the space for some names is reserved, then they are published.
        let Ok(reservation) = harness.store.reserve(2 * 400).or_else(|_| {
            harness.store.reclaim().unwrap();
            harness.store.reserve(2 * 400)
        }) else {
            break;
        };
        let names_of = |name| Edit::Put(Key::dirent(1, hash(name)), dirent(name));
        let edits: Vec<_> = (names..names + 400).map(names_of).collect();
        harness.publish(&edits);
        drop(reservation);
        names += 400;
    }
    assert!(names > 10_000, "only {names} names");
    harness.store.reclaim().unwrap();
    for some in 0..4 {
        let delete = |name| Edit::Delete(Key::dirent(1, hash(name)));
        let edits: Vec<_> = (some * 1000..some * 1000 + 900).map(delete).collect();
        harness.commit(&edits);
        let touch = |name| Edit::Put(Key::dirent(1, hash(name)), dirent(name + 1));
        let edits: Vec<_> = (8000 + some * 300..8000 + some * 300 + 300).map(touch).collect();
        harness.commit(&edits);
        harness.store.unify().unwrap();
    }
    harness.check();
    harness.store.close().unwrap();
    assert!(harness.reopen().clean);
    harness.check();
}

#[test]
fn data_for_blocks_that_were_given_up_finds_space() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(64)));
    let unwritten = Edit::Write { inode: 2, start: 0, length: 256, tag: 0, how: How::Unwritten };
    harness.commit(&[unwritten]);
    fill_with(&mut harness, 3, 16);
    let left = harness.store.statistics().available_blocks;
    drop(
        harness.store.reserve(left).map(|all| harness.publish_with(&[write(900, 0, left, 1)], all)),
    );
    for part in 0..16 {
        let edits = [write(2, part * 16, 16, part)];
        let reservation = harness.store.reserve(16).or_else(|_| {
            harness.commit(&[Edit::Punch { inode: 2, start: part * 16, length: 16 }]);
            harness.store.reclaim().unwrap();
            harness.store.reserve_prepaid(16)
        });
        harness.publish_with(&edits, reservation.unwrap());
        harness.store.make_durable(harness.store.next_delta() - 1).unwrap();
    }
    harness.check();
}
