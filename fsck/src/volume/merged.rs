//! Tree and log as one: the items of the volume as they will be after replay, in order of keys.
//!
//! Purpose: every pass above the tree asks for the merged view, so that a volume that was not
//! unmounted in order is checked as its next mount will have it. The tree is streamed, so the
//! memory needed does not grow with it.
//!
//! An item of the log stands before, or instead of, the one of the tree with the same key. An
//! extent of the tree is shown in as many parts as the log leaves of it; all of it is shown to
//! [`Visitor::tree_extent`] before, because the blocks are in use until the next unify.

use std::iter::Peekable;
use std::ops::Range;

use braidfs_format::{DeltaNumber, Extent, InodeNumber, Item, Key, Superblock};

use super::leaves::{Kinds, Leaf, TreeItems};
use super::overlay::{Entry, InodeOverlay, Overlay, Place};
use super::scope::Scope;
use crate::error::Halt;

/// Where an item comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// From the tree.
    Tree,
    /// From the log transaction of this delta.
    Log(DeltaNumber),
}

/// Is shown the items of a volume.
pub(crate) trait Visitor {
    /// An extent that the tree has, whether or not the log replaces it.
    fn tree_extent(&mut self, inode: InodeNumber, start: u64, extent: &Extent) -> Result<(), Halt> {
        let _ = (inode, start, extent);
        Ok(())
    }

    /// An item of the merged view.
    fn item(&mut self, key: Key, item: Item, source: Source) -> Result<(), Halt>;
}

/// The merged view.
#[derive(Clone, Copy)]
pub(crate) struct Merged<'a> {
    pub(crate) scope: &'a Scope<'a>,
    pub(crate) superblock: &'a Superblock,
    pub(crate) leaves: &'a [Leaf],
    pub(crate) overlay: &'a Overlay,
}

impl Merged<'_> {
    /// Shows all items of some kinds to `visitor`.
    pub(crate) fn walk(&self, kinds: Kinds, visitor: &mut dyn Visitor) -> Result<(), Halt> {
        let mut tree = TreeItems::new(self.scope, self.superblock, self.leaves, kinds);
        for (inode, overlay) in self.overlay.inodes() {
            while let Some(before) = tree.next_inode()?.filter(|next| *next < inode) {
                show_unchanged(&mut tree, before, visitor)?;
            }
            let log = overlay.entries(kinds).peekable();
            Merge { inode, overlay, log, visitor }.run(&mut tree)?;
        }
        while let Some(inode) = tree.next_inode()? {
            show_unchanged(&mut tree, inode, visitor)?;
        }
        Ok(())
    }
}

/// Shows the items of an inode that the log does not touch.
fn show_unchanged(
    tree: &mut TreeItems<'_>,
    inode: InodeNumber,
    visitor: &mut dyn Visitor,
) -> Result<(), Halt> {
    while let Some((key, item)) = tree.next_of(inode)? {
        if let Item::Extent(extent) = &item {
            visitor.tree_extent(inode, key.offset, extent)?;
        }
        visitor.item(key, item, Source::Tree)?;
    }
    Ok(())
}

/// Merges the items of one inode.
struct Merge<'a, 'v, I: Iterator<Item = (Place, Entry<'a>)>> {
    inode: InodeNumber,
    overlay: &'a InodeOverlay,
    log: Peekable<I>,
    visitor: &'v mut dyn Visitor,
}

impl<'a, I: Iterator<Item = (Place, Entry<'a>)>> Merge<'a, '_, I> {
    fn run(&mut self, tree: &mut TreeItems<'_>) -> Result<(), Halt> {
        while let Some((key, item)) = tree.next_of(self.inode)? {
            match item {
                Item::Extent(extent) => self.tree_extent(key, &extent)?,
                _ if self.overlay.hides_tree() => {}
                item => self.tree_item(key, item)?,
            }
        }
        while let Some((place, entry)) = self.log.next() {
            self.show(place, entry)?;
        }
        Ok(())
    }

    fn tree_item(&mut self, key: Key, item: Item) -> Result<(), Halt> {
        let place = (key.kind, key.offset);
        self.show_before(place)?;
        match self.log.next_if(|(next, _)| *next == place) {
            Some((_, entry)) => self.show(place, entry),
            None => self.visitor.item(key, item, Source::Tree),
        }
    }

    fn tree_extent(&mut self, key: Key, extent: &Extent) -> Result<(), Halt> {
        self.visitor.tree_extent(self.inode, key.offset, extent)?;
        if self.overlay.hides_tree() {
            return Ok(());
        }
        let end = key.offset.saturating_add(u64::from(extent.length));
        let mut next = key.offset;
        let overlay = self.overlay;
        for (start, piece) in overlay.overlapping(key.offset..end) {
            self.tree_part(key, extent, next..start)?;
            next = next.max(start.saturating_add(piece.length));
        }
        self.tree_part(key, extent, next..end)
    }

    /// Shows the part of a tree's extent that covers `blocks`, if that is not empty.
    fn tree_part(&mut self, key: Key, extent: &Extent, blocks: Range<u64>) -> Result<(), Halt> {
        let skip = u32::try_from(blocks.start.saturating_sub(key.offset)).ok();
        let length = u32::try_from(blocks.end.saturating_sub(blocks.start)).ok();
        let part = skip.zip(length).and_then(|(skip, length)| extent.slice(skip, length));
        let Some(part) = part else { return Ok(()) };
        self.show_before((key.kind, blocks.start))?;
        let key = Key { offset: blocks.start, ..key };
        self.visitor.item(key, Item::Extent(part), Source::Tree)
    }

    /// Shows what the log has before `place`.
    fn show_before(&mut self, place: Place) -> Result<(), Halt> {
        while let Some((place, entry)) = self.log.next_if(|(next, _)| *next < place) {
            self.show(place, entry)?;
        }
        Ok(())
    }

    fn show(&mut self, (kind, offset): Place, entry: Entry<'a>) -> Result<(), Halt> {
        let key = Key { inode: self.inode, kind, offset };
        let (item, delta) = match entry {
            Entry::Item(item, delta) => (item.cloned(), delta),
            Entry::Piece(piece) => (piece.extent.clone().map(Item::Extent), piece.delta),
        };
        match item {
            Some(item) => self.visitor.item(key, item, Source::Log(delta)),
            None => Ok(()),
        }
    }
}
