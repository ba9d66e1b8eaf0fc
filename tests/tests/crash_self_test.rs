//! Planted bugs: a device that lies, and a harness that must notice.
//!
//! If one of these fails, the crash tests prove nothing.

use braidfs_tests::crash::{Effort, Lie, Recorder, Region, Setup, Tally, explore};
use braidfs_tests::shrink::attempt;
use braidfs_tests::steps::{Data, Step};
use braidfs_tests::world::World;

/// Overwrites, fsyncs and folds a file whose data has blocks of its own.
fn steps() -> Vec<Step> {
    let path = "/file".to_owned();
    let mut steps = vec![Step::Create { path: path.clone(), mode: 0o644 }];
    for round in 0..6 {
        let data = Data { length: 20 * 4096, seed: round + 1 };
        steps.push(Step::Write { path: path.clone(), offset: round * 9000, data });
        steps.push(Step::Fsync { path: path.clone() });
        if round % 2 == 1 {
            steps.push(Step::Unify);
        }
    }
    steps
}

fn effort() -> Effort {
    Effort { damaged: 0, use_every: 0, nested_every: 0, ..Effort::small() }
}

fn tally_with(lie: Option<Lie>) -> Tally {
    let setup = Setup { lie, ..Setup::default() };
    let mut recorder = Recorder::new("planted bug", &setup);
    recorder.apply_all(steps());
    explore(&recorder.finish(), &effort())
}

#[track_caller]
fn assert_noticed(lie: Lie) {
    // The volume itself may notice, by a checksum.
    if let Ok(tally) = attempt(|| tally_with(Some(lie.clone()))) {
        assert!(!tally.failures.is_empty(), "nobody noticed {lie:?} in {} images", tally.images);
    }
}

#[test]
fn an_honest_device_is_found_sound() {
    let tally = tally_with(None);
    assert!(tally.failures.is_empty(), "{}", tally.failures[0]);
    assert!(tally.images > 30);
}

#[test]
fn dropped_flushes_are_noticed() {
    assert_noticed(Lie::DropFlushes);
}

#[test]
fn a_lost_transaction_is_noticed() {
    assert_noticed(Lie::DropWrites(Region::Log, 4));
}

#[test]
fn a_lost_write_of_data_is_noticed() {
    assert_noticed(Lie::DropWrites(Region::Data, 3));
}

#[test]
fn a_lost_bitmap_is_noticed() {
    assert_noticed(Lie::DropWrites(Region::Bitmaps, 1));
}

#[test]
fn a_lost_superblock_is_noticed() {
    assert_noticed(Lie::DropWrites(Region::Superblocks, 1));
}

#[test]
fn corrupted_data_is_noticed() {
    assert_noticed(Lie::CorruptWrites(Region::Data, 3));
}

#[test]
fn a_corrupted_transaction_is_noticed() {
    assert_noticed(Lie::CorruptWrites(Region::Log, 4));
}

#[test]
fn a_corrupted_bitmap_is_noticed() {
    assert_noticed(Lie::CorruptWrites(Region::Bitmaps, 1));
}

#[test]
fn misplaced_data_is_noticed() {
    assert_noticed(Lie::MisplaceWrites(Region::Data, 2));
}

#[test]
fn data_written_after_its_flush_is_noticed() {
    assert_noticed(Lie::DelayWrites(Region::Data));
}

#[test]
fn a_transaction_written_after_its_flush_is_noticed() {
    assert_noticed(Lie::DelayWrites(Region::Log));
}

#[test]
fn a_model_that_is_wrong_is_noticed() {
    let mut recorder = Recorder::new("wrong model", &Setup::default());
    recorder.apply_all(steps());
    let World { model, .. } = &mut recorder.world;
    model.chmod("/file", 0o600).expect("the file is there");
    recorder.apply(&Step::Create { path: "/new".into(), mode: 0o644 });
    recorder.apply(&Step::Sync);
    let tally = explore(&recorder.finish(), &effort());
    assert!(tally.failures.iter().all(|failure| failure.problem.contains("\"/file\"")));
    assert!(!tally.failures.is_empty());
}
