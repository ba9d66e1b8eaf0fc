//! Fills pages that the cache misses from what backs them: the maps that are not published yet, then
//! the store.
//!
//! The caller holds the inode's `io` lock, so the map of a page that is not cached can't change
//! meanwhile: blocks that this reads are not freed under it.

use std::ops::Range;

use braidfs_format::{BLOCK_SIZE, Extent, MapChange};
use braidfs_pagecache::{Backing, PageFill};
use braidfs_store::Store;

use super::Inode;
use crate::error::{FsError, FsResult};

/// A run of a file that one extent backs.
pub(crate) struct Backed {
    /// First logical block.
    pub start: u64,
    /// What backs it from there.
    pub extent: Extent,
}

/// Reads the content of a file from its backing.
pub(crate) struct Filler<'a> {
    /// The file.
    pub inode: &'a Inode,
    /// Where its blocks are.
    pub store: &'a Store,
}

impl Filler<'_> {
    /// What backs `blocks` as of now, in order; holes are left out. Cached dirty pages come on top.
    ///
    /// # Errors
    /// Those of reading the store.
    pub fn backed(&self, blocks: Range<u64>) -> FsResult<Vec<Backed>> {
        let [live, staging] = self.inode.state().unpublished_maps(blocks.clone());
        let mut backed = Vec::new();
        let mut unknown = Vec::new();
        take_known(live, vec![blocks], &mut backed, &mut unknown);
        let mut still_unknown = Vec::new();
        take_known(staging, unknown, &mut backed, &mut still_unknown);
        for range in still_unknown {
            for mapped in self.store.map(self.inode.number(), range)? {
                backed.push(Backed { start: mapped.start, extent: mapped.extent });
            }
        }
        backed.sort_by_key(|backed| backed.start);
        Ok(backed)
    }

    fn fill_from(&self, backed: &Backed, first: u64, pages: &mut [PageFill<'_>]) -> FsResult<()> {
        if matches!(backed.extent.content, braidfs_format::ExtentContent::Unwritten { .. }) {
            return Ok(());
        }
        let skip = (backed.start - first) as usize;
        let count = backed.extent.length as usize;
        let Some(pages) = pages.get_mut(skip..skip + count) else {
            return Ok(());
        };
        let mut buffers: Vec<&mut [u8; BLOCK_SIZE]> =
            pages.iter_mut().map(PageFill::buffer).collect();
        self.store.read_extent(&backed.extent, 0, &mut buffers).map_err(|error| {
            FsError::from(error)
                .during("read")
                .on(self.inode.number())
                .at(backed.start.saturating_mul(BLOCK_SIZE as u64))
        })
    }
}

impl Backing for Filler<'_> {
    type Error = FsError;

    fn fill(&self, first: u64, pages: &mut [PageFill<'_>]) -> FsResult<()> {
        for backed in self.backed(first..first + pages.len() as u64)? {
            self.fill_from(&backed, first, pages)?;
        }
        Ok(())
    }
}

/// Splits `wanted` into what `known` says (extents go to `backed`) and what it does not.
fn take_known(
    known: Vec<MapChange>,
    wanted: Vec<Range<u64>>,
    backed: &mut Vec<Backed>,
    unknown: &mut Vec<Range<u64>>,
) {
    let mut known = known.into_iter().peekable();
    for range in wanted {
        let mut at = range.start;
        while let Some(change) = known.next_if(|change| change.start < range.end) {
            if change.start > at {
                unknown.push(at..change.start);
            }
            let end = change.start.saturating_add(change.length).min(range.end);
            take_part(&change, at.max(change.start)..end, backed);
            at = at.max(end);
        }
        if at < range.end {
            unknown.push(at..range.end);
        }
    }
}

fn take_part(change: &MapChange, part: Range<u64>, backed: &mut Vec<Backed>) {
    let Some(extent) = &change.extent else { return };
    let skip = u32::try_from(part.start - change.start).unwrap_or(u32::MAX);
    let length = u32::try_from(part.end.saturating_sub(part.start)).unwrap_or(0);
    if let Some(extent) = extent.slice(skip, length) {
        backed.push(Backed { start: part.start, extent });
    }
}
