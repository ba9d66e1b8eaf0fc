//! How full nodes are, and how trees grow and shrink.

use braidfs_format::{Item, Key, Node};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use super::support::{Model, Volume, assert_same, key, shape, sized_item};
use crate::error::StoreErrorKind;

/// The share of the room in leaves that is used, in percent.
fn fill_percent(volume: &Volume) -> usize {
    let shape = shape(volume.tree.as_ref().unwrap());
    shape.leaf_bytes * 100 / (shape.leaves * Node::CAPACITY_BYTES)
}

#[test]
fn a_new_tree_is_an_empty_leaf() {
    let mut volume = Volume::new(1 << 20);
    let edit = volume.edit();
    let commit = volume.finish(edit);
    assert_eq!((commit.allocated_nodes.len(), commit.node_count_change), (1, 1));
    let tree = volume.reopen(1 << 20);
    assert_eq!(tree.level(), 0);
    assert_same(&tree, &Model::new());
    assert!(tree.last_at_or_before(&key(5, 5)).unwrap().is_none());
}

#[test]
fn an_edit_without_a_change_writes_nothing() {
    let mut volume = Volume::new(1 << 20);
    let mut edit = volume.edit();
    edit.put(key(1, 1), sized_item(50)).unwrap();
    let root = volume.finish(edit).tree.root();
    let mut edit = volume.edit();
    assert!(edit.delete(&key(1, 2)).unwrap().is_none());
    edit.delete_range(&key(2, 0), &key(9, 0), &mut |_, _| unreachable!()).unwrap();
    assert_eq!(edit.dirty_nodes(), 0);
    let commit = volume.finish(edit);
    assert_eq!(commit.tree.root(), root);
    assert!(commit.allocated_nodes.is_empty() && commit.freed_nodes.is_empty());
}

#[test]
fn keys_in_order_fill_leaves() {
    let mut volume = Volume::new(1 << 24);
    for inode in 1..60 {
        let mut edit = volume.edit();
        (0..400).for_each(|index| edit.put(key(inode, index), sized_item(80)).unwrap());
        volume.finish(edit);
    }
    assert!(fill_percent(&volume) > 90, "{} %", fill_percent(&volume));
}

#[test]
fn keys_in_order_between_others_fill_leaves() {
    let mut volume = Volume::new(1 << 24);
    let mut edit = volume.edit();
    (1..40).for_each(|inode| edit.put(key(inode * 2, 0), sized_item(80)).unwrap());
    volume.finish(edit);
    let mut edit = volume.edit();
    for inode in 0..40 {
        (0..2000).for_each(|index| edit.put(key(inode * 2 + 1, index), sized_item(80)).unwrap());
    }
    volume.finish(edit);
    assert!(fill_percent(&volume) > 80, "{} %", fill_percent(&volume));
}

#[test]
fn keys_at_random_leave_leaves_over_half_full() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
    let mut volume = Volume::new(1 << 24);
    let mut edit = volume.edit();
    for _ in 0..20_000 {
        edit.put(key(random.next_u64(), 0), sized_item(100)).unwrap();
    }
    volume.finish(edit);
    assert!(fill_percent(&volume) > 60, "{} %", fill_percent(&volume));
}

#[test]
fn a_tree_grows_by_levels_and_collapses_again() {
    let mut volume = Volume::new(1 << 24);
    let mut edit = volume.edit();
    (0..5000).for_each(|index| edit.put(key(1, index), sized_item(4900)).unwrap());
    let commit = volume.finish(edit);
    assert_eq!(commit.tree.level(), 2);
    let mut edit = volume.edit();
    (0..4999).for_each(|index| assert!(edit.delete(&key(1, index)).unwrap().is_some()));
    let commit = volume.finish(edit);
    assert_eq!((commit.tree.level(), volume.node_count), (0, 1));
    let mut edit = volume.edit();
    assert!(edit.delete(&key(1, 4999)).unwrap().is_some());
    volume.finish(edit);
    assert_same(&volume.reopen(0), &Model::new());
}

#[test]
fn dirty_nodes_are_counted_as_they_come_and_go() {
    let mut volume = Volume::new(1 << 24);
    let mut edit = volume.edit();
    (1..1000).for_each(|index| edit.put(key(index, 0), sized_item(500)).unwrap());
    let dirty = edit.dirty_nodes();
    assert_eq!(volume.finish(edit).allocated_nodes.len() as u64, dirty);
    let mut edit = volume.edit();
    edit.put(key(500, 1), sized_item(8)).unwrap();
    assert_eq!(edit.dirty_nodes(), 2);
    edit.delete_range(&Key::MIN, &key(2000, 0), &mut |_, _| {}).unwrap();
    assert_eq!(edit.dirty_nodes(), 1);
    assert_eq!(volume.finish(edit).node_count_change, 1 - dirty as i64);
}

#[test]
fn an_item_that_is_too_long_is_refused() {
    let volume = Volume::new(1 << 20);
    let mut edit = volume.edit();
    let Item::Xattr(mut bucket) = sized_item(5000) else { unreachable!() };
    let mut more = bucket.entries[0].clone();
    more.name = b"user.more".as_slice().into();
    bucket.entries.push(more);
    let error = edit.put(key(1, 1), Item::Xattr(bucket)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
}
