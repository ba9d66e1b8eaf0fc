//! Applying a layer to the tree, in memory, and finding out which blocks enter and leave it.

use std::collections::BTreeMap;

use braidfs_format::item::MAX_TREE_INLINE_BYTES;
use braidfs_format::{Extent, ExtentContent, InodeNumber, Item, Key, KeyKind};

use crate::error::StoreError;
use crate::layers::{Layer, keys_of, run_of};
use crate::range_map::slice;
use crate::space::BlockRun;
use crate::tree::TreeEdit;

/// Inline content that is too long for the tree, by inode and logical block.
pub(super) type LongInline<'a> = BTreeMap<(InodeNumber, u64), &'a [u8]>;
/// Where such content was moved to.
pub(super) type Moved = BTreeMap<(InodeNumber, u64), Extent>;

/// What the tree gained and lost, its nodes aside.
#[derive(Debug, Default)]
pub(super) struct Folded {
    /// Blocks of extents that are in the tree now.
    pub(super) entered: Vec<BlockRun>,
    /// Blocks of extents that were.
    pub(super) left: Vec<BlockRun>,
    /// Inodes more (or fewer).
    pub(super) inode_change: i64,
}

/// The inline extents of `layer` that must not stay inline.
pub(super) fn long_inline(layer: &Layer) -> LongInline<'_> {
    let mut long = LongInline::new();
    for (inode, map) in layer.maps() {
        for (start, segment) in map.segments() {
            if let Some(ExtentContent::Inline { bytes }) =
                segment.extent.as_ref().map(|extent| &extent.content)
                && bytes.len() > MAX_TREE_INLINE_BYTES
            {
                long.insert((*inode, start), bytes);
            }
        }
    }
    long
}

/// Applies `layer`; extents in `moved` take the place of inline ones.
pub(super) fn fold(
    layer: &Layer,
    moved: &mut Moved,
    edit: &mut TreeEdit,
) -> Result<Folded, StoreError> {
    let mut fold = Fold { edit, folded: Folded::default() };
    for inode in layer.removed() {
        fold.remove_inode(*inode)?;
    }
    for (key, item) in layer.items() {
        fold.change_item(key, item.as_ref())?;
    }
    for (inode, map) in layer.maps() {
        for (start, segment) in map.segments() {
            let extent = moved.remove(&(*inode, start)).or_else(|| segment.extent.clone());
            fold.replace(*inode, start, start.saturating_add(segment.length), extent)?;
        }
    }
    Ok(fold.folded)
}

struct Fold<'a> {
    edit: &'a mut TreeEdit,
    folded: Folded,
}

impl Fold<'_> {
    fn remove_inode(&mut self, inode: InodeNumber) -> Result<(), StoreError> {
        let folded = &mut self.folded;
        let keys = keys_of(inode);
        self.edit.delete_range(keys.start(), keys.end(), &mut |key, item| {
            if key.kind == KeyKind::Inode {
                folded.inode_change -= 1;
            }
            folded.left.extend(run_of_item(item));
        })
    }

    fn change_item(&mut self, key: &Key, item: Option<&Item>) -> Result<(), StoreError> {
        let Some(item) = item else {
            let deleted = self.edit.delete(key)?;
            if key.kind == KeyKind::Inode && deleted.is_some() {
                self.folded.inode_change -= 1;
            }
            return Ok(());
        };
        if key.kind == KeyKind::Inode && self.edit.get(key)?.is_none() {
            self.folded.inode_change += 1;
        }
        self.edit.put(*key, item.clone())
    }

    /// Replaces the logical blocks `start..end` of a file.
    fn replace(
        &mut self,
        inode: InodeNumber,
        start: u64,
        end: u64,
        extent: Option<Extent>,
    ) -> Result<(), StoreError> {
        self.cut_at(inode, start)?;
        self.cut_at(inode, end)?;
        let left = &mut self.folded.left;
        let (from, to) = (Key::extent(inode, start), Key::extent(inode, end));
        self.edit.delete_range(&from, &to, &mut |_, item| left.extend(run_of_item(item)))?;
        if let Some(extent) = extent {
            self.folded.entered.extend(run_of(&extent));
            self.edit.put(from, Item::Extent(extent))?;
        }
        Ok(())
    }

    /// Cuts the extent that spans `block` in two, so that one begins there.
    fn cut_at(&mut self, inode: InodeNumber, block: u64) -> Result<(), StoreError> {
        let Some(before) = block.checked_sub(1) else { return Ok(()) };
        let Some((key, Item::Extent(extent))) =
            self.edit.last_at_or_before(&Key::extent(inode, before))?
        else {
            return Ok(());
        };
        let end = key.offset.saturating_add(u64::from(extent.length));
        if key.inode != inode || end <= block {
            return Ok(());
        }
        let head = slice(&extent, 0, block - key.offset);
        let tail = slice(&extent, block - key.offset, end - block);
        for (offset, part) in [(key.offset, head), (block, tail)] {
            if let Some(part) = part {
                self.edit.put(Key::extent(inode, offset), Item::Extent(part))?;
            }
        }
        Ok(())
    }
}

fn run_of_item(item: &Item) -> Option<BlockRun> {
    match item {
        Item::Extent(extent) => run_of(extent),
        _ => None,
    }
}
