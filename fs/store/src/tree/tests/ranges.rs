//! Deleting whole inodes, and reading around extents.

use braidfs_format::{Item, Key};

use super::support::{Volume, contents, extent, key, sized_item};
use crate::tree::Tree;

/// Three inodes; the middle one has `extents` extents of 100 blocks each.
fn three_inodes(volume: &mut Volume, extents: u64) -> Tree {
    let mut edit = volume.edit();
    for inode in [4, 6] {
        (0..300).for_each(|index| edit.put(key(inode, index), sized_item(60)).unwrap());
    }
    for index in 0..extents {
        edit.put(Key::extent(5, index * 200), extent(1000 + index * 100, 100)).unwrap();
    }
    volume.finish(edit).tree
}

#[test]
fn deleting_an_inode_tells_its_extents_and_touches_only_the_edges() {
    let mut volume = Volume::new(1 << 24);
    let tree = three_inodes(&mut volume, 5000);
    let before = volume.node_count;
    let mut edit = tree.edit();
    let mut blocks = Vec::new();
    let mut visit = |key: &Key, item: &Item| {
        if let Item::Extent(extent) = item {
            blocks.push((key.offset, extent.blocks().unwrap()));
        }
    };
    edit.delete_range(&Key::inode(5), &Key::inode(6), &mut visit).unwrap();
    assert!(edit.dirty_nodes() < 6, "{} dirty nodes", edit.dirty_nodes());
    let expected: Vec<_> =
        (0..5000).map(|index| (index * 200, (1000 + index * 100, 100))).collect();
    assert_eq!(blocks, expected);
    let commit = volume.finish(edit);
    assert!(commit.freed_nodes.len() as i64 > before * 9 / 10);
    assert_eq!(contents(&commit.tree).len(), 600);
    assert_eq!(contents(&tree).len(), 5600, "the old snapshot");
}

#[test]
fn the_extent_that_begins_before_a_block_is_found() {
    let mut volume = Volume::new(1 << 24);
    let tree = three_inodes(&mut volume, 2000);
    let at = |block| tree.last_at_or_before(&Key::extent(5, block)).unwrap().map(|(key, _)| key);
    for index in [0, 1, 77, 1999] {
        assert_eq!(at(index * 200), Some(Key::extent(5, index * 200)));
        assert_eq!(at(index * 200 + 199), Some(Key::extent(5, index * 200)));
    }
    assert_eq!(at(u64::MAX), Some(Key::extent(5, 1999 * 200)));
    assert_eq!(tree.last_at_or_before(&Key::inode(5)).unwrap().unwrap().0, key(4, 299));
    assert_eq!(tree.last_at_or_before(&Key::inode(3)).unwrap(), None);
}

#[test]
fn a_range_stops_at_its_end_and_at_its_limit() {
    let mut volume = Volume::new(1 << 24);
    let tree = three_inodes(&mut volume, 2000);
    let all = tree.range(&Key::inode(5), &Key::inode(6), usize::MAX).unwrap();
    assert_eq!(all.len(), 2000);
    let some = tree.range(&Key::extent(5, 1), &Key::inode(6), 10).unwrap();
    assert_eq!(some, all[1..11]);
    assert!(tree.range(&Key::inode(6), &Key::inode(5), 10).unwrap().is_empty());
    assert!(tree.range(&Key::inode(5), &Key::inode(6), 0).unwrap().is_empty());
    assert!(tree.range(&key(9, 0), &key(10, 0), 10).unwrap().is_empty());
}

#[test]
fn all_blocks_of_a_tree_are_told() {
    let mut volume = Volume::new(1 << 24);
    let tree = three_inodes(&mut volume, 700);
    let (mut nodes, mut data) = (0, 0);
    let mut visit = |run: crate::space::BlockRun| match run.length {
        4 => nodes += 1,
        length => data += length,
    };
    tree.visit_blocks(&mut visit).unwrap();
    assert_eq!((nodes, data), (volume.node_count, 70_000));
}
