//! What was seen so far of the inode that the sweep is at.

use braidfs_format::{BLOCK_SIZE, Extent, ExtentContent, FileKind, InodeNumber, InodeRecord};

use super::record::kind_name;
use crate::finding::Finding;
use crate::problem::{
    BLOCK_COUNT, EXTENT_BEYOND_SIZE, EXTENT_UNEXPECTED, EXTENTS_OVERLAP, SYMLINK_WITHOUT_TARGET,
};
use crate::volume::scope::Scope;

/// The inode that the sweep is at; number 0 is none.
#[derive(Default)]
pub(super) struct Current {
    pub(super) inode: InodeNumber,
    pub(super) record: Option<InodeRecord>,
    /// Whether it was reported that there is no record.
    pub(super) reported: bool,
    pub(super) mapped_blocks: u64,
    /// Whether the first logical block has content.
    has_start: bool,
    /// Where the last extent of the tree ended.
    tree_end: u64,
}

impl Current {
    pub(super) fn new(inode: InodeNumber) -> Self {
        Self { inode, ..Self::default() }
    }

    /// Reports an extent of the tree that begins before the one before it ends. Within a leaf the
    /// decoder sees that; this is for neighbours in two leaves.
    pub(super) fn check_overlap(&mut self, scope: &Scope<'_>, start: u64, extent: &Extent) {
        if start < self.tree_end {
            let finding = Finding::new(&EXTENTS_OVERLAP).inode(self.inode).offset(start);
            scope.report(finding.expected(self.tree_end));
        }
        self.tree_end = self.tree_end.max(start.saturating_add(u64::from(extent.length)));
    }

    /// Adds an extent of the merged view and checks it against the record.
    pub(super) fn add_extent(&mut self, scope: &Scope<'_>, start: u64, extent: &Extent) {
        let length = u64::from(extent.length);
        let has_content = !matches!(extent.content, ExtentContent::Unwritten { .. });
        self.mapped_blocks = self.mapped_blocks.saturating_add(length);
        self.has_start |= start == 0 && has_content;
        let Some(record) = &self.record else { return };
        let kind = record.kind();
        if !matches!(kind, FileKind::Regular | FileKind::Symlink) {
            let finding = Finding::new(&EXTENT_UNEXPECTED).inode(self.inode).offset(start);
            scope.report(finding.detail(kind_name(kind)));
        } else if has_content && start.saturating_add(length) > blocks_of(record.size) {
            // Blocks reserved beyond the size are what fallocate leaves; content there is not.
            let finding = Finding::new(&EXTENT_BEYOND_SIZE).inode(self.inode);
            let first = start.max(blocks_of(record.size));
            scope.report(finding.offset(first).expected(record.size));
        }
    }

    /// Judges the inode as a whole.
    pub(super) fn finish(&self, scope: &Scope<'_>, record: &InodeRecord) {
        if record.blocks != self.mapped_blocks {
            let finding = Finding::new(&BLOCK_COUNT).inode(self.inode);
            scope.report(finding.expected(record.blocks).found(self.mapped_blocks));
        }
        if record.kind() == FileKind::Symlink && !self.has_start {
            scope.report(Finding::new(&SYMLINK_WITHOUT_TARGET).inode(self.inode));
        }
    }
}

/// The logical blocks that a file of `size` bytes can have content in.
fn blocks_of(size: u64) -> u64 {
    size.div_ceil(BLOCK_SIZE as u64)
}
