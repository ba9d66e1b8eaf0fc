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
use super::extent_map::{Moment, Run};
use crate::error::{FsError, FsResult};

/// Blocks the store is asked about when one is read: not many more, lest reads here and there cost
/// more than they save.
const AROUND_BLOCKS: u64 = 16;
/// Blocks the store is asked about when several are read (1 MiB, as large as extents are).
const AHEAD_BLOCKS: u64 = 256;

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

    /// The runs that back pages which are not cached, in no order; from memory, as far as the store was
    /// asked before.
    fn runs(&self, blocks: Range<u64>) -> FsResult<Vec<Run>> {
        let [live, staging] = self.inode.state().unpublished_maps(blocks.clone());
        let (mut backed, mut unpublished) = (Vec::new(), Vec::new());
        take_known(live, vec![blocks.clone()], &mut backed, &mut unpublished);
        let mut published = Vec::new();
        take_known(staging, unpublished, &mut backed, &mut published);
        let mut runs: Vec<Run> = backed.into_iter().map(Run::from).collect();
        let window = window_of(&blocks);
        for range in published {
            let (unknown, asked) = self.inode.extents().look_up(range, &mut runs);
            for range in unknown {
                self.ask_store(range, &window, asked, &mut runs)?;
            }
        }
        Ok(runs)
    }

    /// Asks the store for what backs a range, and for as much around it as it is worth.
    fn ask_store(
        &self,
        range: Range<u64>,
        window: &Range<u64>,
        asked: Moment,
        runs: &mut Vec<Run>,
    ) -> FsResult<()> {
        let is_single = window.end - window.start == AROUND_BLOCKS;
        if asked.is_full && is_single {
            let mapped = self.store.map(self.inode.number(), range)?;
            runs.extend(mapped.into_iter().map(Run::from));
            return Ok(());
        }
        let window = window.start.min(range.start)..window.end.max(range.end);
        let mapped = self.store.map(self.inode.number(), window.clone())?;
        let found: Vec<Run> = mapped.into_iter().map(Run::from).collect();
        self.inode.extents().learn(window, &found, asked);
        runs.extend(found.into_iter().filter_map(|run| run.within(&range)));
        Ok(())
    }

    fn fill_from(&self, backed: &Run, first: u64, pages: &mut [PageFill<'_>]) -> FsResult<()> {
        if matches!(backed.extent.content, braidfs_format::ExtentContent::Unwritten { .. }) {
            return Ok(());
        }
        let skip = (backed.start - first) as usize;
        let count = backed.length as usize;
        let Some(pages) = pages.get_mut(skip..skip + count) else {
            return Ok(());
        };
        let mut buffers: Vec<&mut [u8; BLOCK_SIZE]> =
            pages.iter_mut().map(PageFill::buffer).collect();
        self.store.read_extent(&backed.extent, backed.skip, &mut buffers).map_err(|error| {
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
        for run in self.runs(first..first + pages.len() as u64)? {
            self.fill_from(&run, first, pages)?;
        }
        Ok(())
    }
}

/// The blocks to ask the store about when these are read: those around a page that is read alone, and those
/// behind several, which are likely to be read next.
fn window_of(blocks: &Range<u64>) -> Range<u64> {
    let start = blocks.start;
    match blocks.end - start {
        0 | 1 => start - start % AROUND_BLOCKS..start - start % AROUND_BLOCKS + AROUND_BLOCKS,
        _ => start..start.saturating_add(AHEAD_BLOCKS),
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
