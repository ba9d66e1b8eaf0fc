//! A tree over a device that fails, and how often it uses the device at all.

use std::sync::Arc;

use braidfs_block::{BlockOperation, CountingDevice, Fault, FaultyDevice, MemoryDevice};
use braidfs_format::Key;
use uuid::Uuid;

use super::support::{Volume, assert_same, contents, key, sized_item};
use crate::error::{StoreError, StoreErrorKind};
use crate::tree::{NodeStore, Tree, TreeEdit};

/// An edit of 2000 items of 500 bytes: about 70 leaves.
fn large_edit(store: &Arc<NodeStore>) -> TreeEdit {
    let mut edit = TreeEdit::create(store.clone());
    (1..2000).for_each(|inode| edit.put(key(inode, 0), sized_item(500)).unwrap());
    edit
}

/// Gives out nodes side by side.
fn allocator() -> impl FnMut() -> Result<u64, StoreError> {
    let mut next = 16;
    move || {
        next += 4;
        Ok(next)
    }
}

#[test]
fn nodes_side_by_side_are_written_in_few_transfers() {
    let device = Arc::new(CountingDevice::new(MemoryDevice::new(1 << 28)));
    let store = NodeStore::new(device.clone(), Uuid::nil(), 1 << 24);
    let commit = large_edit(&store).finish(&mut allocator(), 1).unwrap();
    let nodes = commit.allocated_nodes.len() as u64;
    let counts = device.take_counts();
    assert!(nodes > 60);
    assert_eq!(counts.writes, nodes.div_ceil(64));
    assert_eq!((counts.written_bytes, counts.reads, counts.flushes), (nodes * 16384, 0, 0));
}

#[test]
fn a_failed_write_is_the_error_of_the_finish() {
    let device = Arc::new(FaultyDevice::new(MemoryDevice::new(1 << 28)));
    let store = NodeStore::new(device.clone(), Uuid::nil(), 1 << 24);
    device.inject(Fault::nth(BlockOperation::Write, 2));
    let error = large_edit(&store).finish(&mut allocator(), 1).err().unwrap();
    assert_eq!(error.kind(), StoreErrorKind::Io);
    assert!(error.block().is_some());
}

#[test]
fn whatever_read_fails_the_edit_says_so_and_the_old_tree_is_whole() {
    let mut volume = Volume::new(1 << 24);
    let edit = large_edit(&volume.store);
    let whole = volume.finish(edit).tree;
    let device = Arc::new(FaultyDevice::new(volume.device.clone()));
    let mut failures = 0;
    for number in 1..100 {
        device.inject(Fault::nth(BlockOperation::Read, number));
        let store = NodeStore::new(device.clone(), Uuid::from_u128(7), 0);
        let tree = Tree::open(store, whole.root(), whole.level());
        if let Err(error) = change(&tree) {
            assert_eq!((error.kind(), error.block().is_some()), (StoreErrorKind::Io, true));
            failures += 1;
        }
        device.heal();
    }
    assert!(failures > 25, "{failures} failures");
    let model = contents(&whole).into_iter().collect();
    assert_same(&volume.reopen(0), &model);
}

/// Touches the tree in every way that reads nodes.
fn change(tree: &Tree) -> Result<(), StoreError> {
    let mut edit = tree.edit();
    edit.put(key(500, 1), sized_item(500))?;
    edit.delete(&key(700, 0))?;
    edit.delete_range(&Key::inode(900), &Key::inode(1700), &mut |_, _| {})?;
    edit.last_at_or_before(&key(850, 5))?;
    let mut next = 1 << 15;
    let mut allocate = || {
        next += 4;
        Ok(next)
    };
    edit.finish(&mut allocate, 9).map(drop)
}
