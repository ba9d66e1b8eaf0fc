//! Random edits for the model and the store.

use braidfs_format::{
    DirentBucket, DirentEntry, FileKind, InodeRecord, Item, Key, Timestamp, XattrBucket, XattrEntry,
};
use proptest::prelude::*;

use super::model::{Edit, How};

/// Inodes that edits are about, the root excluded.
pub(super) const INODES: std::ops::RangeInclusive<u64> = 2..=6;
/// Logical blocks that edits are about.
pub(super) const BLOCKS: u64 = 700;

pub(super) fn inode_record(tag: u64) -> Item {
    let time = Timestamp { seconds: tag as i64, nanoseconds: 7 };
    Item::Inode(InodeRecord {
        mode: 0o100_644,
        uid: 1,
        gid: 2,
        links: 1,
        generation: 1,
        device: 0,
        flags: 0,
        size: tag,
        blocks: 0,
        parent: 0,
        accessed: time,
        modified: time,
        changed: time,
        created: time,
    })
}

pub(super) fn dirent(tag: u64) -> Item {
    let name = format!("name-{tag}").into_bytes().into_boxed_slice();
    let entry = DirentEntry { slot: 0, kind: FileKind::Regular, inode: tag + 2, name };
    Item::Dirent(DirentBucket { entries: vec![entry] })
}

pub(super) fn xattr(tag: u64, bytes: usize) -> Item {
    let name = b"user.test".to_vec().into_boxed_slice();
    let value = super::model::content(tag, 0, bytes).into_boxed_slice();
    Item::Xattr(XattrBucket { entries: vec![XattrEntry { name, value }] })
}

fn put() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (INODES, 0..1000u64)
            .prop_map(|(inode, tag)| Edit::Put(Key::inode(inode), inode_record(tag))),
        (INODES, 2..60u64, 0..1000u64)
            .prop_map(|(inode, hash, tag)| Edit::Put(Key::dirent(inode, hash), dirent(tag))),
        (INODES, 2..12u64, 0..1000u64, 1..4000usize).prop_map(|(inode, hash, tag, bytes)| {
            Edit::Put(Key::xattr(inode, hash), xattr(tag, bytes))
        }),
        INODES.prop_map(|inode| Edit::Put(Key::orphan(inode), Item::Orphan)),
    ]
}

fn delete() -> impl Strategy<Value = Edit> {
    prop_oneof![
        INODES.prop_map(|inode| Edit::Delete(Key::inode(inode))),
        (INODES, 2..60u64).prop_map(|(inode, hash)| Edit::Delete(Key::dirent(inode, hash))),
        (INODES, 2..12u64).prop_map(|(inode, hash)| Edit::Delete(Key::xattr(inode, hash))),
        INODES.prop_map(|inode| Edit::Delete(Key::orphan(inode))),
    ]
}

fn write() -> impl Strategy<Value = Edit> {
    let how = prop_oneof![
        4 => Just(How::Blocks),
        1 => Just(How::Unwritten),
        2 => (1..4097usize).prop_map(How::Inline),
    ];
    (INODES, 0..BLOCKS, 1..40u64, 0..1000u64, how).prop_map(|(inode, start, length, tag, how)| {
        let length = if matches!(how, How::Inline(_)) { length.min(3) } else { length };
        Edit::Write { inode, start, length, tag, how }
    })
}

fn punch() -> impl Strategy<Value = Edit> {
    let length = prop_oneof![4 => 1..60u64, 1 => Just(1 << 40)];
    (INODES, 0..BLOCKS, length).prop_map(|(inode, start, length)| Edit::Punch {
        inode,
        start,
        length,
    })
}

/// The edits of one delta.
pub(super) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        6 => put(),
        2 => delete(),
        5 => write(),
        2 => punch(),
        1 => INODES.prop_map(Edit::Remove),
    ];
    prop::collection::vec(edit, 1..10)
}
