//! Staging: turning a closed delta into a change set, its data written to fresh blocks.

use std::sync::Arc;

use braidfs_format::item::MAX_TREE_INLINE_BYTES;
use braidfs_format::{
    BLOCK_SIZE, DeltaNumber, Extent, ExtentContent, InodeNumber, InodeRecord, Item, Key, MapChange,
};
use braidfs_pagecache::{Frozen, FrozenPage};
use braidfs_store::{ChangeSet, RangeMap, Reservation};

use super::change_table::ChangeTable;
use super::commit::{Committer, StagedDelta};
use super::request::Batch;
use crate::error::FsResult;
use crate::inode::{FrozenData, Inode, MAP_END};

/// An fsync delta of at most this many data pages carries them in the log itself: one sequential
/// write, no fresh blocks (and no allocation in the host's filesystem).
const INLINE_PAGES_MAX: u64 = 16;

/// A delta that takes no more changes.
struct ClosedDelta {
    number: DeltaNumber,
    everything: bool,
    changes: Arc<ChangeTable>,
    files: Vec<Arc<Inode>>,
    /// Holds the space promised to the namespace changes until they are published.
    _reservation: Reservation,
}

/// A delta that is being staged.
struct Staging {
    number: DeltaNumber,
    inline_budget_pages: u64,
    set: ChangeSet,
    staged: StagedDelta,
    published: Vec<Arc<Inode>>,
}

impl Committer {
    /// Closes the open delta and publishes it; `None` if there was nothing to publish.
    pub(super) fn stage(&self, batch: Batch) -> FsResult<Option<StagedDelta>> {
        let Some(mut closed) = self.close(batch) else { return Ok(None) };
        if closed.everything {
            closed.files.extend(self.files_with_dirty_data());
        }
        let mut staging = Staging::new(&closed);
        staging.take_namespace(&closed.changes);
        while let Some(inode) = closed.changes.take_dirty_record() {
            self.stage_inode(&closed, &inode, &mut staging)?;
        }
        for inode in &closed.files {
            self.stage_inode(&closed, inode, &mut staging)?;
        }
        staging.drop_removed();
        self.publish(staging).map(Some)
    }

    fn publish(&self, mut staging: Staging) -> FsResult<StagedDelta> {
        staging.set.next_inode = self.inodes.next_number();
        let number = self.store.publish(staging.set)?;
        debug_assert_eq!(number, staging.number);
        for inode in staging.published {
            inode.state().note_published();
        }
        Ok(staging.staged)
    }

    /// Closes the open delta, if it has anything that `batch` asks for.
    fn close(&self, batch: Batch) -> Option<ClosedDelta> {
        let mut open = self.gate.close();
        let mut files = batch.files;
        files.append(&mut self.replaced.lock());
        files.retain(|file| file.state().has_dirty_data());
        let wants_data = !files.is_empty() || (batch.everything && self.has_dirty_data());
        if !wants_data && open.changes.is_empty() {
            return None;
        }
        for file in &files {
            let mut state = file.state();
            // A file that two callers fsync is in the list twice.
            if state.has_dirty_data() {
                state.freeze(true, file.existing_mapping());
                self.note_clean_data(file.number());
            }
        }
        let number = open.number;
        open.number += 1;
        if batch.everything {
            open.closed_full = number;
        }
        open.closed = std::mem::take(&mut open.changes);
        let _reservation = std::mem::take(&mut *open.reservation.lock());
        let changes = open.closed.clone();
        Some(ClosedDelta { number, everything: batch.everything, changes, files, _reservation })
    }

    fn stage_inode(
        &self,
        closed: &ClosedDelta,
        inode: &Arc<Inode>,
        staging: &mut Staging,
    ) -> FsResult<()> {
        let frozen = {
            let mut state = inode.state();
            let closed_full = if closed.everything { closed.number } else { 0 };
            state.freeze_if_due(closed.number + 1, closed_full, inode.existing_mapping());
            if !state.has_dirty_data() {
                self.note_clean_data(inode.number());
            }
            state.take_frozen()
        };
        let Some(frozen) = frozen else { return Ok(()) };
        let mut record = frozen.record;
        if let Some(data) = frozen.data {
            let map = self.stage_data(inode.number(), data, staging)?;
            self.count_blocks(inode.number(), &map, &mut record)?;
            if !map.is_empty() {
                staging.set.maps.insert(inode.number(), map);
            }
            inode.state().note_staged(&record);
        }
        staging.set.items.insert(Key::inode(inode.number()), Some(Item::Inode(record)));
        staging.staged.inodes.push(inode.number());
        staging.published.push(inode.clone());
        Ok(())
    }

    /// Writes the pages and returns how the file's map changes.
    fn stage_data(
        &self,
        inode: InodeNumber,
        data: FrozenData,
        staging: &mut Staging,
    ) -> FsResult<Vec<MapChange>> {
        let mut map = RangeMap::new();
        for change in data.map.lookup(0..MAP_END) {
            map.replace(change);
        }
        let mut reservation = data.reservation;
        if let Some(pages) = data.pages {
            let written = self.write_pages(&pages, &mut reservation, staging);
            // The pages stay with the delta even if it fails, which then marks them dirty again.
            staging.staged.pages.push(pages);
            let written = written.map_err(|error| error.during("writeback").on(inode))?;
            for change in written {
                for superseded in map.replace(change) {
                    self.store.release_unpublished(&superseded);
                }
            }
        }
        Ok(map.into_changes().into_iter().map(|change| born_in(change, staging.number)).collect())
    }

    fn write_pages(
        &self,
        pages: &Frozen,
        reservation: &mut Reservation,
        staging: &mut Staging,
    ) -> FsResult<Vec<MapChange>> {
        let in_log = staging.take_inline_budget(pages.page_count());
        let mut written = Vec::new();
        for run in pages.runs() {
            let mut pending: Vec<&[u8; BLOCK_SIZE]> = Vec::new();
            let mut at = run.first;
            for page in &run.pages {
                let inline = match page {
                    FrozenPage::Zero => Some(MapChange { start: at, length: 1, extent: None }),
                    FrozenPage::Data(bytes) => inline_change(at, bytes, in_log),
                };
                match (inline, page) {
                    (None, FrozenPage::Data(bytes)) => pending.push(bytes),
                    (inline, _) => {
                        self.write_run(at, &mut pending, reservation, staging, &mut written)?;
                        written.extend(inline);
                    }
                }
                at += 1;
            }
            self.write_run(at, &mut pending, reservation, staging, &mut written)?;
        }
        Ok(written)
    }

    /// Writes the pages that gathered before logical block `end` to fresh blocks.
    fn write_run(
        &self,
        end: u64,
        pending: &mut Vec<&[u8; BLOCK_SIZE]>,
        reservation: &mut Reservation,
        staging: &Staging,
        written: &mut Vec<MapChange>,
    ) -> FsResult<()> {
        if pending.is_empty() {
            return Ok(());
        }
        let mut start = end - pending.len() as u64;
        for extent in self.store.write_data(reservation, staging.number, pending)? {
            let length = u64::from(extent.length);
            written.push(MapChange { start, length, extent: Some(extent) });
            start += length;
        }
        pending.clear();
        Ok(())
    }

    /// Brings the record's block count up to date with the changes of its map.
    fn count_blocks(
        &self,
        inode: InodeNumber,
        map: &[MapChange],
        record: &mut InodeRecord,
    ) -> FsResult<()> {
        for change in map {
            let range = change.start..change.start.saturating_add(change.length);
            let before: u64 = self
                .store
                .map(inode, range)?
                .iter()
                .map(|mapped| u64::from(mapped.extent.length))
                .sum();
            let after = change.extent.as_ref().map_or(0, |extent| u64::from(extent.length));
            record.blocks = record.blocks.saturating_sub(before) + after;
        }
        Ok(())
    }
}

impl Staging {
    fn new(closed: &ClosedDelta) -> Self {
        Self {
            number: closed.number,
            inline_budget_pages: if closed.everything { 0 } else { INLINE_PAGES_MAX },
            set: ChangeSet::default(),
            staged: StagedDelta { number: closed.number, pages: Vec::new(), inodes: Vec::new() },
            published: Vec::new(),
        }
    }

    fn take_namespace(&mut self, changes: &ChangeTable) {
        self.set.items.extend(changes.all());
        while let Some(inode) = changes.take_removed_inode() {
            self.set.removed_inodes.insert(inode);
        }
    }

    /// Items that an inode got in the delta that also removed it never were.
    fn drop_removed(&mut self) {
        let removed = &self.set.removed_inodes;
        if !removed.is_empty() {
            self.set.items.retain(|key, _| !removed.contains(&key.inode));
            self.set.maps.retain(|inode, _| !removed.contains(inode));
        }
    }

    /// Whether `pages` more pages may go into the log whole.
    fn take_inline_budget(&mut self, pages: u64) -> bool {
        let fits = pages <= self.inline_budget_pages;
        if fits {
            self.inline_budget_pages -= pages;
        }
        fits
    }
}

/// The page as an inline extent, if it is short enough or may go into the log whole.
fn inline_change(at: u64, page: &[u8; BLOCK_SIZE], in_log: bool) -> Option<MapChange> {
    let used = page.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if used == 0 {
        return Some(MapChange { start: at, length: 1, extent: None });
    }
    if used > MAX_TREE_INLINE_BYTES && !in_log {
        return None;
    }
    let bytes: Arc<[u8]> = page[..used].into();
    let extent = Extent { length: 1, content: ExtentContent::Inline { bytes } };
    Some(MapChange { start: at, length: 1, extent: Some(extent) })
}

/// The change with the birth of its blocks set to the delta that publishes them: blocks may have been
/// preallocated while an earlier delta was open.
fn born_in(mut change: MapChange, delta: DeltaNumber) -> MapChange {
    if let Some(extent) = &mut change.extent {
        match &mut extent.content {
            ExtentContent::Blocks { birth, .. } | ExtentContent::Unwritten { birth, .. } => {
                *birth = delta;
            }
            ExtentContent::Inline { .. } => {}
        }
    }
    change
}
