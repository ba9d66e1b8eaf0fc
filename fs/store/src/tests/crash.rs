//! Every image that a power loss can leave: it opens, and equals the model at one delta, none older
//! than the last durable one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use braidfs_block::{CrashCase, CrashPoint, MemoryDevice, Recording, RecordingDevice};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::harness::{Harness, MIB, check_space, compare, formatted, open, open_read_only};
use super::model::{Edit, How, Model};
use super::model_edits::edits;
use crate::Store;

/// A workload that is recorded from the first mount on.
struct Recorded {
    recording: Recording,
    history: Vec<Model>,
}

fn record(work: impl FnOnce(&mut Harness, &RecordingDevice<MemoryDevice>)) -> Recorded {
    record_on(formatted(16 * MIB, Some(64)), work)
}

fn record_on(
    base: MemoryDevice,
    work: impl FnOnce(&mut Harness, &RecordingDevice<MemoryDevice>),
) -> Recorded {
    let device = Arc::new(RecordingDevice::new(base));
    let mut harness = Harness::new(Arc::clone(&device));
    device.mark("durable", 1);
    work(&mut harness, &device);
    Recorded { recording: device.recording(), history: harness.history }
}

fn make_durable(harness: &Harness, device: &RecordingDevice<MemoryDevice>) {
    let delta = harness.store.next_delta() - 1;
    harness.store.make_durable(delta).unwrap();
    device.mark("durable", delta);
}

/// Opens an image and compares it with the state that it must be in. Returns its delta.
fn check_image(image: MemoryDevice, history: &[Model], durable: u64, what: &str) -> u64 {
    let device = Arc::new(image);
    let before = read_only_delta(Arc::clone(&device), history);
    let (store, _) = open(device).unwrap_or_else(|error| panic!("{what}: {error}"));
    // The mount's own transaction comes behind the state that was found.
    let delta = store.next_delta() - 2;
    assert!(delta >= durable, "{what}: found delta {delta}, but {durable} was durable");
    assert_eq!(delta, before, "{what}: a read-only look found another delta");
    compare(&store, &history[delta as usize]);
    check_space(&store);
    delta
}

fn read_only_delta(device: Arc<MemoryDevice>, history: &[Model]) -> u64 {
    let (store, _) = open_read_only(device);
    let delta = store.next_delta() - 1;
    compare(&store, &history[delta as usize]);
    delta
}

/// Checks the images of one moment. Returns how many.
fn check_point(point: &CrashPoint<'_>, history: &[Model], subsets: usize, torn: bool) -> usize {
    let durable = point.last_mark("durable").unwrap_or(0);
    let writes = if torn { 0..point.volatile_count() } else { 0..0 };
    let torn = writes.flat_map(|write| point.torn(write).chain(point.garbage(write)).step_by(7));
    let check = |case: CrashCase| {
        check_image(point.image(&case), history, durable, &case.to_string());
    };
    point.subsets(subsets).chain(torn).map(check).count()
}

fn check_all(recorded: &Recorded, subsets: usize, torn: bool) {
    let images: usize = recorded
        .recording
        .crash_points()
        .map(|point| check_point(&point, &recorded.history, subsets, torn))
        .sum();
    assert!(images > 4, "only {images} images");
}

fn small_write(inode: u64, start: u64, tag: u64) -> Edit {
    Edit::Write { inode, start, length: 3, tag, how: How::Blocks }
}

#[test]
fn every_prefix_subset_and_tear_of_a_few_deltas_opens() {
    let recorded = record(|harness, device| {
        harness.publish(&[small_write(2, 0, 1)]);
        make_durable(harness, device);
        harness.publish(&[small_write(2, 1, 2), small_write(3, 5, 3)]);
        harness.publish(&[small_write(2, 2, 4), Edit::Punch { inode: 3, start: 6, length: 9 }]);
        make_durable(harness, device);
        harness.publish(&[Edit::Remove(2)]);
        make_durable(harness, device);
        harness.publish(&[small_write(4, 0, 5)]);
        make_durable(harness, device);
    });
    check_all(&recorded, 64, true);
}

#[test]
fn a_crash_anywhere_in_a_unify_keeps_the_old_state_or_the_new() {
    let recorded = record(|harness, device| {
        for tag in 0..6 {
            let inline =
                Edit::Write { inode: 5, start: tag, length: 1, tag, how: How::Inline(3000) };
            harness.publish(&[small_write(2 + tag % 3, tag, tag), inline]);
        }
        make_durable(harness, device);
        harness.store.unify().unwrap();
        harness.publish(&[Edit::Remove(2), small_write(3, 1, 9)]);
        harness.publish(&[small_write(3, 2, 10)]);
        make_durable(harness, device);
        harness.publish(&[small_write(4, 2, 11)]);
        harness.store.unify().unwrap();
        make_durable(harness, device);
        harness.store.close().unwrap();
    });
    check_all(&recorded, 40, true);
}

/// Two deltas to a flush: the second frees what the first one wrote, and a crash makes replay verify
/// both. The volume is kept so full that every freed block is soon used again.
#[test]
fn blocks_are_reused_only_when_no_crash_can_need_them() {
    let recorded = record(|harness, device| {
        let length = harness.store.statistics().available_blocks - 64;
        let filler = Edit::Write { inode: 2, start: 0, length, tag: 1, how: How::Unwritten };
        harness.publish(&[filler]);
        make_durable(harness, device);
        for tag in 0..24 {
            let edits = [
                Edit::Write { inode: 3, start: 0, length: 10, tag, how: How::Blocks },
                Edit::Punch { inode: 4, start: 0, length: 100 },
                Edit::Write { inode: 4, start: tag, length: 1, tag, how: How::Blocks },
            ];
            harness.publish(&edits);
            if tag % 2 == 1 {
                make_durable(harness, device);
            }
        }
    });
    check_all(&recorded, 16, false);
}

#[test]
fn the_ring_may_wrap_and_fill_under_crashes() {
    let recorded = record(|harness, device| {
        for tag in 0..12 {
            let value = super::model_edits::xattr(tag, 4000);
            let keys = (2..14).map(|hash| braidfs_format::Key::xattr(2 + tag % 4, hash));
            let edits: Vec<_> = keys.map(|key| Edit::Put(key, value.clone())).collect();
            harness.publish(&edits);
            make_durable(harness, device);
        }
    });
    check_all(&recorded, 16, false);
}

#[test]
fn crashes_while_unifies_run_beside_commits_lose_nothing() {
    let recorded = record(|harness, device| {
        let (store, stop) = (Arc::clone(&harness.store), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Acquire) {
                    store.unify().unwrap();
                }
            });
            for tag in 0..40 {
                let inline =
                    Edit::Write { inode: 5, start: tag, length: 1, tag, how: How::Inline(1500) };
                harness.publish(&[small_write(2 + tag % 3, tag % 7, tag), inline]);
                if tag % 3 != 0 {
                    make_durable(harness, device);
                }
            }
            stop.store(true, Ordering::Release);
        });
    });
    check_all(&recorded, 8, false);
}

#[test]
fn a_second_power_loss_while_mounting_loses_nothing() {
    let recorded = record(|harness, device| {
        harness.publish(&[small_write(2, 0, 1)]);
        make_durable(harness, device);
        harness.publish(&[small_write(2, 1, 2)]);
        harness.publish(&[small_write(3, 1, 3)]);
    });
    let points: Vec<_> = recorded.recording.crash_points().collect();
    for case in points.last().unwrap().subsets(32) {
        let image = points.last().unwrap().image(&case);
        let found = read_only_delta(Arc::new(image.clone()), &recorded.history);
        let mut history = recorded.history[..=found as usize].to_vec();
        let device = Arc::new(RecordingDevice::new(image));
        let (store, _) = open(Arc::clone(&device) as _).unwrap();
        history.push(history[found as usize].clone());
        let mounted = store.next_delta() - 1;
        device.mark("durable", mounted);
        let recording = device.recording();
        for point in recording.crash_points() {
            check_point(&point, &history, 16, true);
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Publish(Vec<Edit>),
    Durable,
    Unify,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => edits().prop_map(Step::Publish),
        2 => Just(Step::Durable),
        1 => Just(Step::Unify),
    ];
    prop::collection::vec(step, 4..24)
}

fn run(harness: &mut Harness, device: &RecordingDevice<MemoryDevice>, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Publish(edits) => {
                harness.publish(edits);
            }
            Step::Durable => make_durable(harness, device),
            Step::Unify => harness.store.unify().unwrap(),
        }
    }
}

#[test]
fn random_workloads_survive_a_crash_at_every_event() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..40 {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        let recorded = record(|harness, device| run(harness, device, &steps));
        check_all(&recorded, 12, false);
    }
}

#[test]
fn work_goes_on_after_a_crash_and_survives_the_next_one() {
    let mut runner = TestRunner::deterministic();
    let first = steps().new_tree(&mut runner).unwrap().current();
    let second = steps().new_tree(&mut runner).unwrap().current();
    let recorded = record(|harness, device| run(harness, device, &first));
    for point in recorded.recording.crash_points().step_by(9) {
        let image = point.durable_image();
        let found = read_only_delta(Arc::new(image.clone()), &recorded.history) as usize;
        let device = Arc::new(RecordingDevice::new(image));
        let (store, _) = open(Arc::clone(&device) as _).unwrap();
        device.mark("durable", store.next_delta() - 1);
        let mut history = recorded.history[..=found].to_vec();
        history.push(recorded.history[found].clone());
        let mut harness = Harness {
            device: Arc::clone(&device) as _,
            store: Arc::new(store),
            history,
            forgets: false,
        };
        run(&mut harness, &device, &second);
        let recorded = Recorded { recording: device.recording(), history: harness.history };
        for point in recorded.recording.crash_points().step_by(3) {
            check_point(&point, &recorded.history, 2, false);
        }
    }
}

/// What a crash discarded must never be found again, whatever is written after it.
#[test]
fn transactions_of_an_earlier_life_never_come_back() {
    let recorded = record(|harness, device| {
        harness.publish(&[small_write(2, 0, 1)]);
        make_durable(harness, device);
        for tag in 2..8 {
            harness.publish(&[small_write(2, tag, tag)]);
        }
    });
    let last = recorded.recording.crash_points().last().unwrap();
    // All transactions but the first of the uncertain ones are there, so all are left over.
    let lost = last.volatile().position(|write| write.length == 4096).unwrap();
    let image = Arc::new(last.image_keeping(|write| write != lost));
    let (store, report) = open(Arc::clone(&image) as _).unwrap();
    assert_eq!(report.deltas, 2);
    assert_eq!(store.next_delta() - 1, 3);
    compare(&store, &recorded.history[2]);
    drop(store);
    let (store, report) = open(image).unwrap();
    assert_eq!((report.deltas, report.discarded), (3, None));
    compare(&store, &recorded.history[2]);
    assert_volume_works(&store);
}

fn assert_volume_works(store: &Store) {
    let delta = store.publish(crate::ChangeSet { next_inode: 9, ..Default::default() }).unwrap();
    store.make_durable(delta).unwrap();
    store.unify().unwrap();
}
