//! Publishing and making durable: group commit, pipelining, and reads meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use braidfs_block::{BlockOperation, CountingDevice, FaultyDevice, MemoryDevice};
use braidfs_format::Key;
use parking_lot::Mutex;

use super::harness::{Harness, MIB, formatted};
use super::model::{Edit, How};
use super::model_edits::inode_record;
use crate::{ChangeSet, Store, StoreErrorKind};

type Slow = FaultyDevice<CountingDevice<MemoryDevice>>;

fn slow_flushes() -> (Arc<Slow>, Harness) {
    let device = Arc::new(FaultyDevice::new(CountingDevice::new(formatted(16 * MIB, None))));
    let harness = Harness::new(Arc::clone(&device));
    device.set_latency(BlockOperation::Flush, Duration::from_millis(30));
    device.inner().take_counts();
    (device, harness)
}

fn one_put(tag: u64) -> ChangeSet {
    let mut changes = ChangeSet { next_inode: tag + 1, ..ChangeSet::default() };
    changes.items.insert(Key::inode(tag), Some(inode_record(tag)));
    changes
}

#[test]
fn a_crowd_shares_flushes() {
    let (device, harness) = slow_flushes();
    let publishing = Mutex::new(());
    std::thread::scope(|scope| {
        for tag in 10..26 {
            let (store, publishing) = (&harness.store, &publishing);
            scope.spawn(move || {
                let delta = {
                    let _turn = publishing.lock();
                    store.publish(one_put(tag)).unwrap()
                };
                store.make_durable(delta).unwrap();
                assert!(store.durable_through() >= delta);
            });
        }
    });
    let flushes = device.inner().counts().flushes;
    assert!((1..=4).contains(&flushes), "{flushes} flushes for 16 deltas");
    for tag in 10..26 {
        assert!(harness.store.get(&Key::inode(tag)).unwrap().is_some());
    }
}

#[test]
fn publishing_goes_on_while_a_flush_is_under_way() {
    let (_device, harness) = slow_flushes();
    let store = &harness.store;
    let first = store.publish(one_put(10)).unwrap();
    let flushing = &AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            store.make_durable(first).unwrap();
            flushing.store(false, Ordering::Release);
        });
        std::thread::sleep(Duration::from_millis(5));
        let second = store.publish(one_put(11)).unwrap();
        assert!(flushing.load(Ordering::Acquire), "the publish waited for the flush");
        assert!(store.get(&Key::inode(11)).unwrap().is_some());
        assert!(store.durable_through() < second);
    });
    assert_eq!(store.durable_through(), first);
    store.make_durable(first + 1).unwrap();
}

#[test]
fn a_delta_that_is_durable_needs_no_flush() {
    let (device, harness) = slow_flushes();
    let delta = harness.store.publish(one_put(10)).unwrap();
    harness.store.make_durable(delta).unwrap();
    harness.store.make_durable(delta).unwrap();
    harness.store.make_durable(1).unwrap();
    assert_eq!(device.inner().counts().flushes, 1);
    let error = harness.store.make_durable(delta + 1).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Invalid);
}

/// Readers look all the while; what they find of a key never goes back in time.
#[test]
fn reads_and_publishes_go_on_during_unifies() {
    let mut harness = Harness::new(formatted(64 * MIB, None));
    for tag in 0..200 {
        harness.publish(&[Edit::Put(Key::dirent(2, 2 + tag), super::model_edits::dirent(tag))]);
    }
    let (store, stop) = (&harness.store, AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| unify_until(store, &stop));
        scope.spawn(|| read_until(store, &stop));
        for tag in 1000..1400 {
            let delta = store.publish(rewrite(store, tag)).unwrap();
            if tag % 3 == 0 {
                store.make_durable(delta).unwrap();
            }
        }
        stop.store(true, Ordering::Release);
    });
    assert!(store.statistics().unifies > 0);
    store.reclaim().unwrap();
    super::harness::check_space(store);
    let all = store.range(Key::dirent(2, 0), Key::dirent(2, 10_000), usize::MAX).unwrap();
    assert_eq!(all.len(), 200);
}

fn rewrite(store: &Store, tag: u64) -> ChangeSet {
    let mut changes = one_put(7);
    changes.items.insert(Key::inode(7), Some(inode_record(tag)));
    let mut reservation = store.reserve(2).unwrap();
    let edits = [Edit::Write { inode: 7, start: tag % 5, length: 2, tag, how: How::Blocks }];
    changes.maps = super::model::change_set(store, &edits, &mut reservation).maps;
    changes
}

fn unify_until(store: &Store, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        store.unify().unwrap();
    }
}

fn read_until(store: &Store, stop: &AtomicBool) {
    let mut newest = 0;
    while !stop.load(Ordering::Acquire) {
        if let Some(braidfs_format::Item::Inode(record)) = store.get(&Key::inode(7)).unwrap() {
            assert!(record.size >= newest, "the inode went back in time");
            newest = record.size;
        }
        let names = store.range(Key::dirent(2, 0), Key::dirent(2, 10_000), 10_000).unwrap();
        assert_eq!(names.len(), 200);
        for mapped in store.map(7, 0..100).unwrap() {
            let mut pages = vec![[0; 4096]; mapped.extent.length as usize];
            let mut pages: Vec<_> = pages.iter_mut().collect();
            store.read_extent(&mapped.extent, 0, &mut pages).unwrap();
        }
    }
}
