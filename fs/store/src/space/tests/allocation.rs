//! Where runs and quads come from, and that promises hold to the last block.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use super::support::{Volume, assert_sums};
use crate::error::StoreErrorKind;
use crate::space::section::zone_end;
use crate::space::{BlockRun, Space};

/// Allocates `wanted` blocks in as many runs as it takes.
fn take(space: &Space, mut wanted: u64) -> Vec<BlockRun> {
    let mut held = space.reserve(wanted, 0).unwrap();
    let mut runs = Vec::new();
    while wanted > 0 {
        let run = space.allocate_run(&mut held, wanted).unwrap();
        wanted -= run.length;
        runs.push(run);
    }
    runs
}

#[test]
fn what_is_written_together_lies_together() {
    let volume = Volume::new(100_000);
    let space = &volume.space;
    let first = take(space, 256);
    let second = take(space, 1);
    let third = take(space, 100);
    assert_eq!(first, [BlockRun::new(zone_end(&volume.geometry()), 256)]);
    assert_eq!(second, [BlockRun::new(first[0].end().unwrap(), 1)]);
    assert_eq!(third, [BlockRun::new(second[0].end().unwrap(), 100)]);
    assert_sums(space);
}

#[test]
fn nodes_keep_to_their_zone_until_it_is_full() {
    let volume = Volume::new(100_000);
    let zone_end = zone_end(&volume.geometry());
    let space = &volume.space;
    take(space, 1000);
    let mut held = space.reserve(0, 2000).unwrap();
    let mut outside = 0;
    for _ in 0..2000 {
        let node = space.allocate_node(&mut held).unwrap();
        assert_eq!(node % 4, 0);
        outside += u64::from(node >= zone_end);
    }
    let zone_quads = (zone_end - volume.first_free().next_multiple_of(4)) / 4;
    assert_eq!(outside, 2000 - zone_quads);
    assert_eq!(space.allocate_node(&mut held).unwrap_err().kind(), StoreErrorKind::NoSpace);
    assert_sums(space);
}

#[test]
fn without_nodes_data_gets_every_block() {
    let volume = Volume::new(40_000);
    let space = &volume.space;
    let all = space.counts().available;
    let runs = take(space, all);
    assert_eq!(runs.iter().map(|run| run.length).sum::<u64>(), all);
    let counts = space.counts();
    assert_eq!((counts.free, counts.available, counts.free_quads), (0, 0, 0));
    assert_eq!(space.reserve(1, 0).unwrap_err().kind(), StoreErrorKind::NoSpace);
    assert_eq!(space.reserve(0, 1).unwrap_err().kind(), StoreErrorKind::NoSpace);
    assert_sums(space);
}

#[test]
fn reserved_quads_survive_data_to_the_last_block() {
    let volume = Volume::new(8192);
    let space = &volume.space;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
    let mut quads = space.reserve(0, 100).unwrap();
    let mut runs = Vec::new();
    while space.counts().available > 0 {
        let wanted = (random.next_u64() % 40 + 1).min(space.counts().available);
        runs.extend(take(space, wanted));
    }
    assert_eq!(space.counts().free, 400);
    assert_eq!(space.counts().free_quads, 100);
    // Free blocks here and there: none of them makes a quad that data must spare.
    for run in runs.iter().filter(|run| run.length > 2).take(50) {
        space.free_now(BlockRun::new(run.start + 1, 1)).unwrap();
    }
    take(space, 50);
    for _ in 0..100 {
        space.allocate_node(&mut quads).unwrap();
    }
    assert_eq!(space.counts().free, 0);
    assert_sums(space);
}

#[test]
fn a_quad_cannot_be_promised_out_of_broken_ones() {
    let volume = Volume::new(4096);
    let space = &volume.space;
    let runs = take(space, space.counts().available);
    for run in runs {
        for block in run.range().filter(|block| block % 4 != 0) {
            space.free_now(BlockRun::new(block, 1)).unwrap();
        }
    }
    let counts = space.counts();
    assert!(counts.available > 2000 && counts.free_quads == 0);
    assert_eq!(space.reserve(0, 1).unwrap_err().kind(), StoreErrorKind::NoSpace);
    take(space, counts.available);
    assert_eq!(space.counts().free, 0);
    assert_sums(space);
}

#[test]
fn small_runs_spare_whole_quads_when_these_are_scarce() {
    let volume = Volume::new(4096);
    let space = &volume.space;
    let keep = 4 * 20;
    let runs = take(space, space.counts().available - keep);
    let quads = space.counts().free_quads;
    let mut freed = 0;
    for run in runs.iter().filter(|run| run.length > 100) {
        for block in run.range().filter(|block| block % 4 == 1).take(200) {
            space.free_now(BlockRun::new(block, 1)).unwrap();
            freed += 1;
        }
    }
    (0..freed).for_each(|_| drop(take(space, 1)));
    assert_eq!(space.counts().free_quads, quads);
    assert_sums(space);
}

#[test]
fn the_longest_run_is_found_where_none_is_long_enough() {
    let volume = Volume::new(100_000);
    let space = &volume.space;
    let runs = take(space, space.counts().available);
    let long = runs.iter().find(|run| run.length > 5000).unwrap().start;
    for (offset, length) in [(10, 3), (100, 70), (1000, 9), (2000, 69)] {
        space.free_now(BlockRun::new(long + offset, length)).unwrap();
    }
    let lengths: Vec<_> = take(space, 151).iter().map(|run| run.length).collect();
    assert_eq!(lengths, [70, 69, 9, 3]);
    assert_sums(space);
}

#[test]
fn nothing_is_given_without_a_reservation() {
    let volume = Volume::new(4096);
    let mut none = crate::space::Reservation::default();
    let error = volume.space.allocate_run(&mut none, 5).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::NoSpace);
    assert!(volume.space.allocate_node(&mut none).is_err());
}
