//! What folding changes into the tree may cost, so that the space for it can be held in reserve.

use std::ops::{Add, AddAssign, SubAssign};

use braidfs_format::item::MAX_TREE_INLINE_BYTES;
use braidfs_format::{Extent, ExtentContent, Item, LogRecord};

/// An upper bound of what a set of changes does to the tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// Items that are put into leaves.
    pub(crate) puts: u64,
    /// Items, or ends of ranges, that are taken out of leaves.
    pub(crate) deletes: u64,
    /// Bytes of the items that are put.
    pub(crate) put_bytes: u64,
    /// Inline extents that get a block of their own.
    pub(crate) moved_blocks: u64,
}

impl Footprint {
    /// Removing an inode touches the leaves at both ends of its keys.
    pub(crate) const REMOVED_INODE: Self =
        Self { puts: 0, deletes: 2, put_bytes: 0, moved_blocks: 0 };
    /// An extent in the tree that is cut in two leaves a second part with a header of its own.
    const CUT_EXTENT_BYTES: u64 = 64;

    /// Of an item that is put, or of a key that is deleted.
    pub(crate) fn of_item(item: Option<&Item>) -> Self {
        match item {
            Some(item) => {
                Self { puts: 1, put_bytes: item.encoded_bytes() as u64, ..Self::default() }
            }
            None => Self { deletes: 1, ..Self::default() },
        }
    }

    /// Of a run of a file that is replaced by `extent`, or by a hole.
    pub(crate) fn of_segment(extent: Option<&Extent>) -> Self {
        let cut =
            Self { puts: 1, deletes: 2, put_bytes: Self::CUT_EXTENT_BYTES, ..Self::default() };
        let Some(extent) = extent else { return cut };
        let moved = match &extent.content {
            ExtentContent::Inline { bytes } => bytes.len() > MAX_TREE_INLINE_BYTES,
            _ => false,
        };
        let item = Self::of_item(Some(&Item::Extent(extent.clone())));
        Self { moved_blocks: u64::from(moved), ..item + cut }
    }

    /// Of a record of a transaction.
    pub(crate) fn of_record(record: &LogRecord) -> Self {
        match record {
            LogRecord::Put { item, .. } => Self::of_item(Some(item)),
            LogRecord::Delete { .. } => Self::of_item(None),
            LogRecord::RemoveInode { .. } => Self::REMOVED_INODE,
            LogRecord::Map { change, .. } => Self::of_segment(change.extent.as_ref()),
        }
    }

    /// Keys that are touched.
    pub(crate) fn keys(&self) -> u64 {
        self.puts + self.deletes
    }
}

impl AddAssign for Footprint {
    fn add_assign(&mut self, other: Self) {
        self.puts += other.puts;
        self.deletes += other.deletes;
        self.put_bytes += other.put_bytes;
        self.moved_blocks += other.moved_blocks;
    }
}

impl Add for Footprint {
    type Output = Self;
    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl SubAssign for Footprint {
    fn sub_assign(&mut self, other: Self) {
        self.puts -= other.puts;
        self.deletes -= other.deletes;
        self.put_bytes -= other.put_bytes;
        self.moved_blocks -= other.moved_blocks;
    }
}
