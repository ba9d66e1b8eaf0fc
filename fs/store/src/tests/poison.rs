//! After the first failed write or flush nothing is written any more, and everybody is told.

use std::sync::Arc;
use std::time::Duration;

use braidfs_block::{BlockOperation, Fault, FaultyDevice, MemoryDevice};
use braidfs_format::Key;

use super::harness::{Harness, MIB, compare, formatted, open};
use super::model::{Edit, How};
use super::model_edits::inode_record;
use crate::{ChangeSet, StoreErrorKind};

type Faulty = FaultyDevice<MemoryDevice>;

fn harness() -> (Arc<Faulty>, Harness) {
    let device = Arc::new(FaultyDevice::new(formatted(16 * MIB, Some(64))));
    let mut harness = Harness::new(Arc::clone(&device));
    harness.commit(&[
        Edit::Put(Key::inode(2), inode_record(1)),
        Edit::Write { inode: 2, start: 0, length: 5, tag: 1, how: How::Blocks },
    ]);
    (device, harness)
}

/// Every kind of change is refused, reads go on, and a new mount finds the last durable state.
fn assert_poisoned(device: &Faulty, harness: &Harness, durable: u64) {
    let store = &harness.store;
    let error = store.publish(ChangeSet::default()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Poisoned, "{error}");
    assert_eq!(error.errno(), libc::EIO);
    let mut reservation = store.reserve(1).unwrap_or_default();
    assert!(store.write_data(&mut reservation, 9, &[&[1; 4096]]).is_err());
    assert!(store.unify().is_err());
    assert!(store.close().is_err());
    assert!(store.poisoned().is_some());
    assert!(store.get(&Key::inode(2)).unwrap().is_some());
    device.heal();
    assert!(store.publish(ChangeSet::default()).is_err(), "it does not heal");
    let (store, _) = open(Arc::new(device.inner().clone())).unwrap();
    let found = store.next_delta() - 2;
    assert!(found >= durable, "found {found}, durable was {durable}");
    compare(&store, &harness.history[found as usize]);
}

#[test]
fn a_failed_transaction_write_sticks() {
    let (device, mut harness) = harness();
    let durable = harness.store.durable_through();
    device.inject(Fault::nth(BlockOperation::Write, 1));
    let error = harness.try_publish(&[Edit::Put(Key::inode(3), inode_record(2))]).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (StoreErrorKind::Io, libc::EIO));
    assert!(harness.store.get(&Key::inode(3)).unwrap().is_none(), "it was not published");
    assert_poisoned(&device, &harness, durable);
}

#[test]
fn a_failed_data_write_sticks() {
    let (device, harness) = harness();
    device.inject(Fault::nth(BlockOperation::Write, 1).no_space());
    let mut reservation = harness.store.reserve(2).unwrap();
    let error = harness.store.write_data(&mut reservation, 3, &[&[1; 4096]]).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Io);
    assert!(error.to_string().contains("full"), "{error}");
    assert_poisoned(&device, &harness, harness.store.durable_through());
}

#[test]
fn a_failed_flush_sticks_and_the_delta_is_not_durable() {
    let (device, mut harness) = harness();
    let durable = harness.store.durable_through();
    let delta = harness.publish(&[Edit::Put(Key::inode(3), inode_record(2))]);
    device.inject(Fault::nth(BlockOperation::Flush, 1));
    let first = harness.store.make_durable(delta).unwrap_err();
    let again = harness.store.make_durable(delta).unwrap_err();
    assert_eq!(first.to_string(), again.to_string());
    assert_eq!(harness.store.durable_through(), durable);
    harness.store.make_durable(durable).unwrap();
    assert_poisoned(&device, &harness, durable);
}

#[test]
fn each_waiter_gets_the_error_of_the_flush() {
    let (device, mut harness) = harness();
    let delta = harness.publish(&[Edit::Put(Key::inode(3), inode_record(2))]);
    device.set_latency(BlockOperation::Flush, Duration::from_millis(50));
    device.inject(Fault::nth(BlockOperation::Flush, 1).forever());
    let store = &harness.store;
    let errors: Vec<_> = std::thread::scope(|scope| {
        let wait = || scope.spawn(|| store.make_durable(delta).unwrap_err());
        let waiters: Vec<_> = (0..6).map(|_| wait()).collect();
        waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect()
    });
    assert_eq!(device.injected(), 1, "the flush was tried again");
    assert!(errors.iter().all(|error| error.kind() == StoreErrorKind::Io));
    assert_poisoned(&device, &harness, delta - 1);
}

#[test]
fn a_unify_that_fails_anywhere_sticks_and_loses_nothing() {
    for operation in [BlockOperation::Write, BlockOperation::Flush] {
        for number in 1.. {
            let (device, mut harness) = harness();
            let inline = How::Inline(2000);
            let edits = [Edit::Write { inode: 3, start: 0, length: 2, tag: 5, how: inline }];
            let durable = harness.commit(&edits);
            device.inject(Fault::nth(operation, number));
            match harness.store.unify() {
                Ok(()) => break,
                Err(error) => assert_eq!(error.kind(), StoreErrorKind::Io, "{error}"),
            }
            compare(&harness.store, harness.model());
            assert_poisoned(&device, &harness, durable);
        }
    }
}

#[test]
fn a_failed_read_hurts_only_its_reader() {
    let (device, harness) = harness();
    let mapped = harness.store.map(2, 0..5).unwrap();
    let mut page = [0; 4096];
    device.inject(Fault::nth(BlockOperation::Read, 1));
    let error = harness.store.read_extent(&mapped[0].extent, 2, &mut [&mut page]).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Io);
    harness.store.read_extent(&mapped[0].extent, 2, &mut [&mut page]).unwrap();
    assert!(harness.store.poisoned().is_none());
}

#[test]
fn a_rotten_block_is_named() {
    let (device, harness) = harness();
    let mapped = harness.store.map(2, 0..5).unwrap();
    let (address, _) = mapped[0].extent.blocks().unwrap();
    device.corrupt_block_at((address + 3) * 4096);
    let mut pages = [[0; 4096]; 5];
    let mut slices: Vec<_> = pages.iter_mut().collect();
    let error = harness.store.read_extent(&mapped[0].extent, 0, &mut slices).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert_eq!(error.block(), Some(address + 3));
    harness.store.read_extent(&mapped[0].extent, 0, &mut slices[..3]).unwrap();
    let error = harness.store.read_extent(&mapped[0].extent, 4, &mut slices[..2]).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Invalid);
}
