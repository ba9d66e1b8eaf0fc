//! The changes of the log, applied in memory: what replay would make of them.
//!
//! An inode that the log touches has an [`InodeOverlay`]: items that are put or deleted, pieces of
//! its map that are replaced, and whether everything that the tree has of it is gone.
//!
//! Invariants: the pieces of an inode do not overlap; `items` holds no extents; memory is bounded
//! by the size of the log.

use std::collections::BTreeMap;
use std::ops::Range;

use braidfs_format::{DeltaNumber, Extent, InodeNumber, Item, KeyKind, LogRecord, MapChange};

use super::leaves::Kinds;

/// Where an item stands within its inode: the kind and the offset of its key.
pub(crate) type Place = (KeyKind, u64);

/// A replaced part of a file's map.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// Logical blocks.
    pub(crate) length: u64,
    /// What backs them now; `None` for a hole.
    pub(crate) extent: Option<Extent>,
    /// The delta that made the change.
    pub(crate) delta: DeltaNumber,
}

impl Piece {
    /// The part that begins `skip` blocks in and is `length` blocks long.
    fn slice(&self, skip: u64, length: u64) -> Self {
        let cut =
            |extent: &Extent| extent.slice(u32::try_from(skip).ok()?, u32::try_from(length).ok()?);
        Self { length, extent: self.extent.as_ref().and_then(cut), delta: self.delta }
    }
}

/// What the log says about one inode.
#[derive(Debug, Default)]
pub(crate) struct InodeOverlay {
    hides_tree: bool,
    items: BTreeMap<Place, (Option<Item>, DeltaNumber)>,
    pieces: BTreeMap<u64, Piece>,
}

/// A change that stands at one place of an inode's items.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry<'a> {
    /// The item there now, or that there is none any more.
    Item(Option<&'a Item>, DeltaNumber),
    /// The extent that begins there now, or that a hole does.
    Piece(&'a Piece),
}

/// What the log says, by inode.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    inodes: BTreeMap<InodeNumber, InodeOverlay>,
}

impl Overlay {
    /// Applies a record of `delta`; records must come in the order of the log.
    pub(crate) fn apply(&mut self, delta: DeltaNumber, record: LogRecord) {
        match record {
            LogRecord::Put { key, item } => {
                let change = (Some(item), delta);
                self.inode(key.inode).items.insert((key.kind, key.offset), change);
            }
            LogRecord::Delete { key } => {
                self.inode(key.inode).items.insert((key.kind, key.offset), (None, delta));
            }
            LogRecord::RemoveInode { inode } => {
                let gone = InodeOverlay { hides_tree: true, ..InodeOverlay::default() };
                self.inodes.insert(inode, gone);
            }
            LogRecord::Map { inode, change } => self.inode(inode).replace(delta, change),
        }
    }

    fn inode(&mut self, inode: InodeNumber) -> &mut InodeOverlay {
        self.inodes.entry(inode).or_default()
    }

    /// The inodes that the log touches, in ascending order.
    pub(crate) fn inodes(&self) -> impl Iterator<Item = (InodeNumber, &InodeOverlay)> {
        self.inodes.iter().map(|(inode, overlay)| (*inode, overlay))
    }

    /// Whether the log has an extent of `inode` that takes blocks.
    pub(crate) fn holds_blocks_of(&self, inode: InodeNumber) -> bool {
        let takes_blocks = |piece: &Piece| piece.extent.as_ref().and_then(Extent::blocks).is_some();
        self.inodes.get(&inode).is_some_and(|inode| inode.pieces.values().any(takes_blocks))
    }
}

impl InodeOverlay {
    /// Whether nothing that the tree has of this inode counts any more.
    pub(crate) fn hides_tree(&self) -> bool {
        self.hides_tree
    }

    fn replace(&mut self, delta: DeltaNumber, change: MapChange) {
        let end = change.start.saturating_add(change.length);
        self.cut(change.start..end);
        let piece = Piece { length: change.length, extent: change.extent, delta };
        self.pieces.insert(change.start, piece);
    }

    /// Takes `range` out of the pieces that overlap it.
    fn cut(&mut self, range: Range<u64>) {
        let starts: Vec<u64> = self.overlapping(range.clone()).map(|(start, _)| start).collect();
        for start in starts {
            let Some(piece) = self.pieces.remove(&start) else { continue };
            let end = start + piece.length;
            if start < range.start {
                self.pieces.insert(start, piece.slice(0, range.start - start));
            }
            if end > range.end {
                self.pieces.insert(range.end, piece.slice(range.end - start, end - range.end));
            }
        }
    }

    /// The pieces that overlap `range` of logical blocks, in order.
    pub(crate) fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = (u64, &Piece)> {
        let before = self.pieces.range(..range.start).next_back();
        let before = before.filter(|(start, piece)| *start + piece.length > range.start);
        before.into_iter().chain(self.pieces.range(range)).map(|(start, piece)| (*start, piece))
    }

    /// All changes of some kinds, in the order of their keys.
    pub(crate) fn entries(&self, kinds: Kinds) -> impl Iterator<Item = (Place, Entry<'_>)> {
        let extents = (KeyKind::Extent, 0);
        let before = self.items.range(..extents).map(item_entry);
        let pieces = self
            .pieces
            .iter()
            .map(|(start, piece)| ((KeyKind::Extent, *start), Entry::Piece(piece)));
        let after = self.items.range(extents..).map(item_entry);
        before.chain(pieces).chain(after).filter(move |((kind, _), _)| kinds.contains(*kind))
    }
}

fn item_entry<'a>(
    (place, (item, delta)): (&'a Place, &'a (Option<Item>, DeltaNumber)),
) -> (Place, Entry<'a>) {
    (*place, Entry::Item(item.as_ref(), *delta))
}

#[cfg(test)]
mod tests {
    use braidfs_format::ExtentContent;

    use super::*;

    fn map(start: u64, length: u32, address: Option<u64>) -> LogRecord {
        let extent = address.map(|address| Extent {
            length,
            content: ExtentContent::Unwritten { address, birth: 1 },
        });
        LogRecord::Map { inode: 5, change: MapChange { start, length: u64::from(length), extent } }
    }

    /// The pieces as (start, length, first block on disk).
    fn pieces(overlay: &Overlay) -> Vec<(u64, u64, Option<u64>)> {
        let (_, inode) = overlay.inodes().next().unwrap();
        let address = |piece: &Piece| piece.extent.as_ref()?.blocks().map(|(address, _)| address);
        inode.pieces.iter().map(|(start, piece)| (*start, piece.length, address(piece))).collect()
    }

    #[test]
    fn a_later_piece_cuts_the_ones_below_it() {
        let mut overlay = Overlay::default();
        overlay.apply(1, map(10, 10, Some(1000)));
        overlay.apply(2, map(13, 2, Some(2000)));
        let expected = [(10, 3, Some(1000)), (13, 2, Some(2000)), (15, 5, Some(1005))];
        assert_eq!(pieces(&overlay), expected);
        overlay.apply(3, map(0, 14, None));
        let expected = [(0, 14, None), (14, 1, Some(2001)), (15, 5, Some(1005))];
        assert_eq!(pieces(&overlay), expected);
        overlay.apply(4, map(14, 100, Some(3000)));
        assert_eq!(pieces(&overlay), [(0, 14, None), (14, 100, Some(3000))]);
    }

    #[test]
    fn removal_forgets_what_came_before_and_hides_the_tree() {
        let mut overlay = Overlay::default();
        overlay.apply(1, map(10, 10, Some(1000)));
        overlay.apply(2, LogRecord::RemoveInode { inode: 5 });
        let (_, inode) = overlay.inodes().next().unwrap();
        assert!(inode.hides_tree() && inode.entries(Kinds::INODES).next().is_none());
    }
}
