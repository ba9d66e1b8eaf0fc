//! The model: maps of items and of the blocks of files.

use std::collections::BTreeMap;
use std::sync::Arc;

use braidfs_format::{BLOCK_SIZE, Extent, ExtentContent, InodeNumber, Item, Key, MapChange};

use crate::data::Page;
use crate::store::Store;
use crate::{ChangeSet, Reservation};

/// What a volume holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) items: BTreeMap<Key, Item>,
    /// Content by inode and logical block; what is not here is a hole.
    pub(super) blocks: BTreeMap<(InodeNumber, u64), Arc<[u8]>>,
}

/// How the content of a file is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Blocks,
    Unwritten,
    /// So many bytes inline, in each block.
    Inline(usize),
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Edit {
    Put(Key, Item),
    Delete(Key),
    Remove(InodeNumber),
    Write { inode: InodeNumber, start: u64, length: u64, tag: u64, how: How },
    Punch { inode: InodeNumber, start: u64, length: u64 },
}

/// The content of a block.
pub(super) fn content(tag: u64, block: u64, bytes: usize) -> Vec<u8> {
    let seed = tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ block.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (0..bytes as u64).map(|at| (seed.rotate_left((at % 61) as u32) ^ at) as u8 | 1).collect()
}

fn page(tag: u64, block: u64) -> Box<Page> {
    let mut page = Box::new([0; BLOCK_SIZE]);
    page.copy_from_slice(&content(tag, block, BLOCK_SIZE));
    page
}

impl Model {
    /// Applies `edits` as one delta does: removals first, then items, then maps.
    pub(super) fn apply(&mut self, edits: &[Edit]) {
        for edit in edits {
            if let Edit::Remove(inode) = edit {
                self.items.retain(|key, _| key.inode != *inode);
                self.blocks.retain(|(of, _), _| of != inode);
            }
        }
        edits.iter().for_each(|edit| self.apply_one(edit));
    }

    fn apply_one(&mut self, edit: &Edit) {
        match edit {
            Edit::Put(key, item) => {
                self.items.insert(*key, item.clone());
            }
            Edit::Delete(key) => {
                self.items.remove(key);
            }
            Edit::Remove(_) => {}
            Edit::Write { inode, start, length, tag, how } => {
                for block in *start..start + length {
                    let mut bytes = match how {
                        How::Blocks => content(*tag, block, BLOCK_SIZE),
                        How::Unwritten => Vec::new(),
                        How::Inline(bytes) => content(*tag, block, *bytes),
                    };
                    bytes.resize(BLOCK_SIZE, 0);
                    self.blocks.insert((*inode, block), bytes.into());
                }
            }
            Edit::Punch { inode, start, length } => {
                self.blocks.retain(|(of, block), _| {
                    of != inode || !(*start..start + length).contains(block)
                });
            }
        }
    }
}

/// Writes the data of `edits` and builds the change set that publishes them.
pub(super) fn change_set(
    store: &Store,
    edits: &[Edit],
    reservation: &mut Reservation,
) -> ChangeSet {
    let mut changes = ChangeSet { next_inode: store.next_inode(), ..ChangeSet::default() };
    for edit in edits {
        match edit {
            Edit::Put(key, item) => {
                changes.next_inode = changes.next_inode.max(key.inode + 1);
                changes.items.insert(*key, Some(item.clone()));
            }
            Edit::Delete(key) => {
                changes.items.insert(*key, None);
            }
            Edit::Remove(inode) => {
                changes.removed_inodes.insert(*inode);
            }
            Edit::Punch { inode, start, length } => {
                let change = MapChange { start: *start, length: *length, extent: None };
                changes.maps.entry(*inode).or_default().push(change);
            }
            Edit::Write { inode, start, length, tag, how } => {
                let extents = write(store, *start, *length, *tag, *how, reservation);
                let mut at = *start;
                for extent in extents {
                    let length = u64::from(extent.length);
                    let change = MapChange { start: at, length, extent: Some(extent) };
                    changes.maps.entry(*inode).or_default().push(change);
                    at += length;
                }
            }
        }
    }
    changes
}

fn write(
    store: &Store,
    start: u64,
    length: u64,
    tag: u64,
    how: How,
    reservation: &mut Reservation,
) -> Vec<Extent> {
    let birth = store.next_delta();
    match how {
        How::Blocks => {
            let pages: Vec<_> = (start..start + length).map(|block| page(tag, block)).collect();
            let pages: Vec<&Page> = pages.iter().map(|page| &**page).collect();
            store.write_data(reservation, birth, &pages).unwrap()
        }
        How::Unwritten => store.allocate_unwritten(reservation, birth, length).unwrap(),
        How::Inline(bytes) => (start..start + length)
            .map(|block| Extent {
                length: 1,
                content: ExtentContent::Inline { bytes: content(tag, block, bytes).into() },
            })
            .collect(),
    }
}

/// Blocks that publishing `edits` takes.
pub(super) fn blocks_of(edits: &[Edit]) -> u64 {
    let blocks = |edit: &Edit| match edit {
        Edit::Write { length, how: How::Blocks | How::Unwritten, .. } => *length,
        _ => 0,
    };
    edits.iter().map(blocks).sum()
}
