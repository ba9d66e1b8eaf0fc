//! Images that are damaged, foreign or cut short, and volumes that cannot be made.

use std::io::IoSlice;
use std::sync::Arc;

use braidfs_block::{BlockDevice, MemoryDevice};
use braidfs_format::{Item, Key, Superblock};
use parking_lot::Mutex;

use super::harness::{Harness, MIB, compare, formatted, open, open_read_only};
use super::model::{Edit, How};
use super::model_edits::inode_record;
use crate::{FormatOptions, Store, StoreErrorKind};

/// A volume with changes in the tree and in the log, and its content.
fn used() -> (MemoryDevice, Harness) {
    let device = Arc::new(formatted(16 * MIB, Some(64)));
    let mut harness = Harness::new(Arc::clone(&device));
    harness.commit(&[Edit::Write { inode: 2, start: 0, length: 5, tag: 1, how: How::Blocks }]);
    harness.store.unify().unwrap();
    harness.commit(&[Edit::Put(Key::inode(3), inode_record(9))]);
    (MemoryDevice::clone(&device), harness)
}

fn block(device: &MemoryDevice, address: u64) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    device.read_at(address * 4096, &mut bytes).unwrap();
    bytes
}

fn put(device: &MemoryDevice, address: u64, bytes: &[u8]) {
    device.write_at(address * 4096, &[IoSlice::new(bytes)]).unwrap();
}

fn spoil(device: &MemoryDevice, address: u64) {
    let mut bytes = block(device, address);
    bytes[100] ^= 0x40;
    put(device, address, &bytes);
}

fn open_kind(device: MemoryDevice) -> (StoreErrorKind, String) {
    let error = open(Arc::new(device)).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn the_far_copies_serve_when_the_near_ones_are_gone() {
    for damage in [spoil, |device: &MemoryDevice, address| put(device, address, &[0; 4096])] {
        let (device, harness) = used();
        damage(&device, 0);
        damage(&device, 1);
        let device = Arc::new(device);
        let (store, _) = open(Arc::clone(&device) as _).unwrap();
        compare(&store, harness.model());
        store.unify().unwrap();
        drop(store);
        let (store, _) = open(device).unwrap();
        compare(&store, harness.model());
    }
}

#[test]
fn any_one_copy_of_the_newest_slot_is_enough() {
    for lost in [0, 1] {
        let (device, harness) = used();
        let superblock = harness.store.superblock();
        let addresses = superblock.geometry.superblock_addresses(superblock.sequence);
        spoil(&device, addresses[lost]);
        let (store, _) = open_read_only(Arc::new(device));
        assert_eq!(store.superblock().sequence, superblock.sequence);
        compare(&store, harness.model());
    }
}

#[test]
fn four_damaged_copies_are_damage_not_a_foreign_image() {
    let (device, harness) = used();
    let geometry = harness.store.superblock().geometry;
    for slot in [0, 1] {
        geometry.superblock_addresses(slot).into_iter().for_each(|at| spoil(&device, at));
    }
    let (kind, text) = open_kind(device);
    assert_eq!(kind, StoreErrorKind::Corrupt, "{text}");
}

#[test]
fn what_is_no_volume_is_said_to_be_none() {
    let (kind, text) = open_kind(MemoryDevice::new(16 * MIB));
    assert_eq!(kind, StoreErrorKind::NotAVolume, "{text}");
    assert!(text.contains("mkfs"), "{text}");
    let (kind, _) = open_kind(MemoryDevice::new(8192));
    assert_eq!(kind, StoreErrorKind::NotAVolume);
}

#[test]
fn a_newer_version_is_unsupported() {
    let (device, harness) = used();
    let geometry = harness.store.superblock().geometry;
    for slot in [0, 1] {
        for address in geometry.superblock_addresses(slot) {
            let mut bytes = block(&device, address);
            bytes[12..16].copy_from_slice(&99_u32.to_le_bytes());
            braidfs_format::checksum::seal(&mut bytes);
            put(&device, address, &bytes);
        }
    }
    let (kind, text) = open_kind(device);
    assert_eq!(kind, StoreErrorKind::Unsupported, "{text}");
    assert!(text.contains("99"), "{text}");
}

#[test]
fn an_image_that_was_cut_short_says_so() {
    let (device, _) = used();
    let short = MemoryDevice::new(12 * MIB);
    for address in 0..12 * MIB / 4096 {
        put(&short, address, &block(&device, address));
    }
    let (kind, text) = open_kind(short);
    assert_eq!(kind, StoreErrorKind::Corrupt);
    assert!(text.contains("cut short"), "{text}");
}

#[test]
fn an_image_that_grew_still_opens() {
    let (device, harness) = used();
    let long = MemoryDevice::new(20 * MIB);
    for address in 0..16 * MIB / 4096 {
        put(&long, address, &block(&device, address));
    }
    let (store, _) = open(Arc::new(long)).unwrap();
    compare(&store, harness.model());
}

#[test]
fn a_rotten_root_fails_what_needs_it() {
    let (device, harness) = used();
    let root = harness.store.superblock().root.address;
    spoil(&device, root);
    let options = crate::OpenOptions { read_only: true, ..Default::default() };
    let (store, _) = Store::open(Arc::new(device), options, &|_, _| {}).unwrap();
    let error = store.get(&Key::inode(2)).unwrap_err();
    assert_eq!((error.kind(), error.block()), (StoreErrorKind::Corrupt, Some(root)));
    assert!(store.get(&Key::inode(3)).unwrap().is_some(), "the log knows this one");
}

#[test]
fn rotten_bitmaps_are_made_anew_from_the_tree() {
    let (device, harness) = used();
    let geometry = harness.store.superblock().geometry;
    for slot in [0, 1] {
        spoil(&device, geometry.bitmap_address(0, slot));
    }
    let (store, _) = open(Arc::new(device)).unwrap();
    compare(&store, harness.model());
    super::harness::check_space(&store);
}

#[test]
fn a_new_volume_has_a_root_directory_and_nothing_else() {
    let device = MemoryDevice::new(64 * MIB);
    let told = Mutex::new(Vec::new());
    let options = FormatOptions {
        label: "river".into(),
        root_uid: 1000,
        root_gid: 100,
        ..FormatOptions::default()
    };
    let made = Store::format(&device, &options, &|done, total| told.lock().push((done, total)));
    let made = made.unwrap();
    let told = told.into_inner();
    assert!(told.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert!(told.last().is_some_and(|(done, total)| done == total));

    let (store, report) = open_read_only(Arc::new(device));
    assert!(report.clean);
    assert_eq!(store.superblock().volume_id, made.volume_id);
    assert_eq!(store.superblock().label, "river");
    let Some(Item::Inode(root)) = store.get(&Key::inode(1)).unwrap() else { panic!("no root") };
    assert_eq!((root.mode, root.uid, root.gid, root.links), (0o040_755, 1000, 100, 2));
    assert_eq!((root.parent, root.size, root.blocks), (1, 0, 0));
    assert_eq!(store.range(Key::MIN, Key::inode(u64::MAX), 10).unwrap().len(), 1);
    assert_eq!((store.inode_count(), store.next_inode()), (1, 2));
    super::harness::check_space(&store);
}

#[test]
fn a_volume_may_be_made_over_another_one() {
    let (device, _) = used();
    Store::format(&device, &FormatOptions::default(), &|_, _| {}).unwrap();
    let (store, report) = open(Arc::new(device)).unwrap();
    assert!(report.clean && report.deltas == 0);
    assert_eq!(store.range(Key::MIN, Key::inode(u64::MAX), 10).unwrap().len(), 1);
}

#[test]
fn sizes_and_labels_that_make_no_sense_are_refused_before_anything_is_written() {
    let refuse = |bytes: u64, options: FormatOptions| {
        let device = MemoryDevice::new(bytes);
        let error = Store::format(&device, &options, &|_, _| {}).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Invalid, "{error}");
        assert!((0..bytes / 4096).all(|address| !Superblock::sniff(&block(&device, address))));
    };
    refuse(4 * MIB, FormatOptions::default());
    refuse(16 * MIB, FormatOptions { log_blocks: Some(3), ..Default::default() });
    refuse(16 * MIB, FormatOptions { log_blocks: Some(4000), ..Default::default() });
    refuse(16 * MIB, FormatOptions { label: "x".repeat(65), ..Default::default() });
}
