//! The log ring: wrapping, filling up, and what does not fit.

use std::sync::Arc;

use braidfs_block::CountingDevice;
use braidfs_format::Key;

use super::harness::{Harness, MIB, compare, formatted, open, open_read_only};
use super::model::{Edit, How};
use super::model_edits::{inode_record, xattr};
use crate::{ChangeSet, StoreErrorKind};

fn large(tag: u64, values: u64) -> Vec<Edit> {
    let put = |hash| Edit::Put(Key::xattr(2, hash), xattr(tag + hash, 4000));
    (2..2 + values).map(put).collect()
}

#[test]
fn the_ring_wraps_and_is_unified_when_full() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(64)));
    for tag in 0..40 {
        harness.commit(&large(tag, 9));
    }
    let statistics = harness.store.statistics();
    assert!(statistics.unifies >= 4, "{statistics:?}");
    assert!(statistics.log_used_blocks <= 64);
    harness.check();
    let report = harness.reopen();
    assert!(report.deltas > 0 && report.discarded.is_none(), "{report:?}");
    harness.check();
}

#[test]
fn a_ring_that_is_full_to_the_last_block_is_replayed() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(64)));
    while harness.store.statistics().log_used_blocks < 64 {
        harness.commit(&[Edit::Put(Key::inode(3), inode_record(1))]);
    }
    assert_eq!(harness.store.statistics().unifies, 0);
    let (read_only, report) = open_read_only(Arc::clone(&harness.device));
    assert_eq!(report.deltas, 64);
    compare(&read_only, harness.model());
    // There is no room for the transaction of this mount before a unify.
    harness.reopen();
    assert_eq!(harness.store.statistics().unifies, 1);
    harness.check();
}

#[test]
fn needs_unify_when_half_full() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(64)));
    assert!(!harness.store.needs_unify());
    while harness.store.statistics().log_used_blocks <= 32 {
        assert!(!harness.store.needs_unify());
        harness.commit(&large(1, 1));
    }
    assert!(harness.store.needs_unify() && harness.store.has_log());
    harness.store.unify().unwrap();
    assert!(!harness.store.needs_unify() && !harness.store.has_log());
    assert_eq!(harness.store.statistics().log_used_blocks, 0);
    harness.check();
}

#[test]
fn what_can_never_fit_is_refused_and_changes_nothing() {
    let mut harness = Harness::new(formatted(16 * MIB, Some(64)));
    let delta = harness.store.next_delta();
    let mut changes = ChangeSet { next_inode: 3, ..ChangeSet::default() };
    for hash in 2..100 {
        changes.items.insert(Key::xattr(2, hash), Some(xattr(hash, 4000)));
    }
    let error = harness.store.publish(changes).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge, "{error}");
    assert_eq!(harness.store.next_delta(), delta);
    assert!(harness.store.max_delta_bytes() <= 32 * 4096);
    harness.commit(&large(1, 3));
    harness.check();
}

#[test]
fn what_no_volume_can_hold_is_refused() {
    let harness = Harness::new(formatted(16 * MIB, Some(64)));
    let mut changes = ChangeSet { next_inode: 3, ..ChangeSet::default() };
    changes.items.insert(Key::extent(2, 0), None);
    let error = harness.store.publish(changes).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Invalid, "{error}");

    let extent = braidfs_format::Extent {
        length: 1,
        content: braidfs_format::ExtentContent::Unwritten { address: 3, birth: 1 },
    };
    let change = braidfs_format::MapChange { start: 0, length: 1, extent: Some(extent) };
    let mut changes = ChangeSet { next_inode: 3, ..ChangeSet::default() };
    changes.maps.insert(2, vec![change]);
    let error = harness.store.publish(changes).unwrap_err();
    assert_eq!(error.block(), Some(3), "{error}");
    assert!(harness.store.poisoned().is_none());
}

#[test]
fn a_small_delta_costs_one_block_one_write_and_one_flush() {
    let device = Arc::new(CountingDevice::new(formatted(16 * MIB, None)));
    let mut harness = Harness::new(Arc::clone(&device));
    device.take_counts();
    harness.commit(&[
        Edit::Put(Key::inode(2), inode_record(1000)),
        Edit::Write { inode: 2, start: 0, length: 1, tag: 1, how: How::Inline(1000) },
    ]);
    let counts = device.take_counts();
    assert_eq!((counts.writes, counts.written_bytes, counts.flushes), (1, 4096, 1));
    assert_eq!(counts.reads, 0);
}

#[test]
fn a_delta_with_data_costs_one_write_a_run_and_one_flush() {
    let device = Arc::new(CountingDevice::new(formatted(16 * MIB, None)));
    let mut harness = Harness::new(Arc::clone(&device));
    device.take_counts();
    harness.commit(&[Edit::Write { inode: 2, start: 0, length: 300, tag: 1, how: How::Blocks }]);
    let counts = device.take_counts();
    assert_eq!((counts.writes, counts.flushes), (2, 1), "{counts:?}");
}

#[test]
fn a_read_only_open_writes_nothing() {
    let mut harness = Harness::new(formatted(16 * MIB, None));
    harness.commit(&large(1, 3));
    let device = Arc::new(CountingDevice::new(Arc::clone(&harness.device)));
    let (store, report) = open_read_only(Arc::clone(&device) as _);
    compare(&store, harness.model());
    assert_eq!(report.deltas, 2);
    assert_eq!(store.unify().unwrap_err().kind(), StoreErrorKind::ReadOnly);
    let changes = ChangeSet::default();
    assert_eq!(store.publish(changes).unwrap_err().kind(), StoreErrorKind::ReadOnly);
    store.close().unwrap();
    let counts = device.take_counts();
    assert_eq!((counts.writes, counts.flushes, counts.discards), (0, 0, 0));
}

#[test]
fn closing_leaves_a_clean_volume_that_takes_no_more_changes() {
    let device = Arc::new(formatted(16 * MIB, None));
    let mut harness = Harness::new(Arc::clone(&device));
    assert!(!harness.store.superblock().clean || harness.store.has_log());
    harness.publish(&large(1, 3));
    harness.store.close().unwrap();
    harness.store.close().unwrap();
    assert!(harness.store.superblock().clean);
    compare(&harness.store, harness.model());
    let error = harness.store.publish(ChangeSet::default()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::ReadOnly);
    let (_, report) = open(device).unwrap();
    assert!(report.clean && report.deltas == 0);
}

#[test]
fn deltas_are_numbered_on_over_mounts() {
    let device = Arc::new(formatted(16 * MIB, None));
    for mount in 1..5 {
        let (store, _) = open(Arc::clone(&device) as _).unwrap();
        assert_eq!(store.next_delta(), mount + 1);
        assert_eq!(store.durable_through(), mount);
    }
}
