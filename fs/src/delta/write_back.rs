//! Writing the pages of a closed delta: to fresh blocks, or into the log itself.

use std::sync::Arc;

use braidfs_format::item::MAX_TREE_INLINE_BYTES;
use braidfs_format::{BLOCK_SIZE, Extent, ExtentContent, InodeNumber, MapChange};
use braidfs_pagecache::Frozen;
use braidfs_store::{RangeMap, Reservation, UNBORN};

use super::commit::Committer;
use super::portion::Staging;
use crate::error::FsResult;
use crate::inode::{FrozenData, MAP_END};

impl Committer {
    /// Writes the pages of a file of `size` bytes and returns how its map changes.
    pub(super) fn stage_data(
        &self,
        inode: InodeNumber,
        size: u64,
        data: FrozenData,
        staging: &mut Staging,
    ) -> FsResult<Vec<MapChange>> {
        let mut map = RangeMap::new();
        for change in data.map.lookup(0..MAP_END) {
            map.replace(change);
        }
        let mut reservation = data.reservation;
        if let Some(pages) = data.pages {
            let written = self.write_pages(&pages, size, &mut reservation, staging);
            // The pages stay with the delta even if it fails, which then marks them dirty again.
            staging.keep_pages(pages);
            let written = written.map_err(|error| error.during("writeback").on(inode))?;
            for change in written {
                for superseded in map.replace(change) {
                    self.store.release_unpublished(&superseded);
                }
            }
        }
        Ok(map.into_changes())
    }

    fn write_pages(
        &self,
        pages: &Frozen,
        size: u64,
        reservation: &mut Reservation,
        staging: &mut Staging,
    ) -> FsResult<Vec<MapChange>> {
        let in_log = staging.take_inline_budget(pages.page_count());
        let zeros_are_holes = self.cache.dedups_zero();
        let mut written = Vec::new();
        for mut run in pages.runs() {
            run.clear_beyond(size);
            let mut pending: Vec<&[u8; BLOCK_SIZE]> = Vec::new();
            let mut at = run.first;
            for page in &run.pages {
                let hole = MapChange { start: at, length: 1, extent: None };
                let inline = page
                    .bytes()
                    .map_or(Some(hole), |bytes| inline_change(at, bytes, in_log, zeros_are_holes));
                match (inline, page.bytes()) {
                    (None, Some(bytes)) => pending.push(bytes),
                    (inline, _) => {
                        self.write_run(at, &mut pending, reservation, &mut written)?;
                        written.extend(inline);
                    }
                }
                at += 1;
            }
            self.write_run(at, &mut pending, reservation, &mut written)?;
        }
        Ok(written)
    }

    /// Writes the pages that gathered before logical block `end` to fresh blocks.
    fn write_run(
        &self,
        end: u64,
        pending: &mut Vec<&[u8; BLOCK_SIZE]>,
        reservation: &mut Reservation,
        written: &mut Vec<MapChange>,
    ) -> FsResult<()> {
        if pending.is_empty() {
            return Ok(());
        }
        let mut start = end - pending.len() as u64;
        for extent in self.store.write_data(reservation, UNBORN, pending)? {
            let length = u64::from(extent.length);
            written.push(MapChange { start, length, extent: Some(extent) });
            start += length;
        }
        pending.clear();
        Ok(())
    }
}

/// The page as an inline extent, if it is short enough or may go into the log whole; as a hole, if it
/// is full of zeros and those are to be holes.
fn inline_change(
    at: u64,
    page: &[u8; BLOCK_SIZE],
    in_log: bool,
    zeros_are_holes: bool,
) -> Option<MapChange> {
    let used = page.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if used == 0 {
        return zeros_are_holes.then_some(MapChange { start: at, length: 1, extent: None });
    }
    if used > MAX_TREE_INLINE_BYTES && !in_log {
        return None;
    }
    let bytes: Arc<[u8]> = page[..used].into();
    let extent = Extent { length: 1, content: ExtentContent::Inline { bytes } };
    Some(MapChange { start: at, length: 1, extent: Some(extent) })
}
