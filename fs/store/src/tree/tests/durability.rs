//! What is on the device, what is read back, and what happens when it is not what it should be.

use std::io::IoSlice;
use std::sync::Arc;

use braidfs_block::{BlockDevice, MemoryDevice};
use braidfs_format::{BLOCK_SIZE, Key};
use uuid::Uuid;

use super::support::{Model, Volume, assert_same, key, sized_item};
use crate::error::{StoreError, StoreErrorKind};
use crate::tree::{NodeStore, Tree};

fn filled(volume: &mut Volume, inodes: u64) -> Model {
    let mut edit = volume.edit();
    let mut model = Model::new();
    for inode in 1..=inodes {
        edit.put(key(inode, 0), sized_item(300)).unwrap();
        model.insert(key(inode, 0), sized_item(300));
    }
    volume.finish(edit);
    model
}

#[test]
fn every_snapshot_reads_what_it_held_when_it_was_made() {
    let mut volume = Volume::new(1 << 16);
    let mut model = filled(&mut volume, 500);
    let mut snapshots = vec![(volume.tree.clone().unwrap(), model.clone())];
    for round in 0..8 {
        let mut edit = volume.edit();
        for inode in (round * 50 + 1)..(round * 60 + 40) {
            edit.put(key(inode, round), sized_item(700)).unwrap();
            model.insert(key(inode, round), sized_item(700));
            assert_eq!(edit.delete(&key(inode, 0)).unwrap(), model.remove(&key(inode, 0)));
        }
        snapshots.push((volume.finish(edit).tree, model.clone()));
    }
    let fresh = NodeStore::new(volume.device.clone(), Uuid::from_u128(7), 0);
    for (tree, model) in &snapshots {
        assert_same(tree, model);
        assert_same(&Tree::open(fresh.clone(), tree.root(), tree.level()), model);
    }
}

#[test]
fn a_failed_allocation_writes_nothing() {
    let mut volume = Volume::new(1 << 20);
    filled(&mut volume, 500);
    let before = MemoryDevice::clone(&volume.device);
    let mut edit = volume.edit();
    (1..500).for_each(|inode| edit.put(key(inode, 1), sized_item(300)).unwrap());
    let mut left = 5;
    let mut allocate = || {
        left -= 1;
        if left == 0 { Err(StoreError::no_space("testing", "enough")) } else { Ok(1 << 16) }
    };
    let error = edit.finish(&mut allocate, 9).err().unwrap();
    assert_eq!(error.kind(), StoreErrorKind::NoSpace);
    assert!(before == *volume.device);
}

#[test]
fn a_damaged_node_is_an_error_that_names_its_block() {
    let mut volume = Volume::new(1 << 20);
    filled(&mut volume, 500);
    let tree = volume.reopen(1 << 20);
    let root = tree.root().address;
    let offset = root * BLOCK_SIZE as u64;
    let mut block = vec![0; BLOCK_SIZE];
    volume.device.read_at(offset, &mut block).unwrap();
    block[100] ^= 1;
    volume.device.write_at(offset, &[IoSlice::new(&block)]).unwrap();
    let error = tree.get(&Key::MIN).unwrap_err();
    assert_eq!((error.kind(), error.block()), (StoreErrorKind::Corrupt, Some(root)));
    block[100] ^= 1;
    volume.device.write_at(offset, &[IoSlice::new(&block)]).unwrap();
    assert!(tree.get(&key(7, 0)).unwrap().is_some());
}

#[test]
fn a_pointer_of_another_time_or_level_is_refused() {
    let mut volume = Volume::new(1 << 20);
    filled(&mut volume, 500);
    let tree = volume.tree.clone().unwrap();
    let open = |root, level| Tree::open(volume.store.clone(), root, level).get(&Key::MIN);
    let mut root = tree.root();
    assert!(open(root, tree.level()).is_ok());
    assert!(open(root, tree.level() + 1).is_err());
    root.checksum ^= 1;
    assert!(open(root, tree.level()).is_err());
    root = tree.root();
    root.birth += 1;
    assert!(open(root, tree.level()).is_err());
}

#[test]
fn trees_are_read_while_the_next_one_is_made() {
    let mut volume = Volume::new(1 << 16);
    let model = Arc::new(filled(&mut volume, 300));
    let tree = volume.tree.clone().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..10).for_each(|_| assert_same(&tree, &model)));
        }
        for round in 1..10 {
            let mut edit = volume.edit();
            (1..300).for_each(|inode| edit.put(key(inode, round), sized_item(100)).unwrap());
            volume.finish(edit);
        }
    });
}
