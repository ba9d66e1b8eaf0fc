//! Staging: turning a closed delta into change sets, its data written to fresh blocks.

use std::sync::Arc;
use std::time::Instant;

use braidfs_format::{DeltaNumber, InodeNumber, InodeRecord, MapChange};
use braidfs_store::Reservation;

use super::change_table::ChangeTable;
use super::commit::{Committer, StagedDelta};
use super::portion::{Later, Staging, log_bytes, split_map};
use super::request::Batch;
use crate::error::FsResult;
use crate::inode::{FrozenInode, Inode};
use crate::statistics::Measure;

/// Data that may follow in a later transaction leaves this share of a delta's bytes to others.
const LATER_SHARE: u64 = 2;

/// A delta that takes no more changes.
struct ClosedDelta {
    number: DeltaNumber,
    everything: bool,
    changes: Arc<ChangeTable>,
    /// Files whose data goes with the names.
    replaced: Vec<Arc<Inode>>,
    /// Further files whose data the delta takes.
    files: Vec<Arc<Inode>>,
    /// Holds the space promised to the namespace changes until they are published.
    _reservation: Reservation,
}

impl Committer {
    /// Closes the open delta and publishes it; `None` if there was nothing to publish.
    pub(super) fn stage(&self, batch: Batch) -> FsResult<Option<StagedDelta>> {
        let Some(mut closed) = self.close(batch) else { return Ok(None) };
        if closed.everything {
            closed.files.extend(self.files_with_dirty_data());
        }
        let mut staging = Staging::new(self.store.next_delta(), closed.everything);
        staging.take_names(&closed.changes);
        for inode in &closed.replaced {
            self.stage_with_names(&closed, inode, self.store.max_delta_bytes(), &mut staging)?;
        }
        while let Some(inode) = closed.changes.take_dirty_record() {
            self.stage_with_names(&closed, &inode, self.bytes_at_ease(), &mut staging)?;
        }
        for Later { inode, record, map } in std::mem::take(&mut staging.later) {
            self.put_data(&inode, record, map, &mut staging)?;
        }
        for inode in &closed.files {
            self.stage_data_of(&closed, inode, &mut staging)?;
        }
        let last = self.publish(&mut staging)?;
        Ok(Some(staging.finish(last)))
    }

    /// Closes the open delta, if it has anything that `batch` asks for. Only files that somebody waits
    /// for or maps are visited; all others are frozen by whoever touches them next.
    fn close(&self, batch: Batch) -> Option<ClosedDelta> {
        let started = Instant::now();
        let mut open = self.gate.close();
        let mut files = batch.files;
        let everything = batch.everything;
        // What programs map changes without passing the gate: here is the last moment to freeze it
        // as it is now.
        files.extend(self.mapped_files().into_iter().filter(|file| {
            let state = file.state();
            everything || state.is_wanted_in(open.number)
        }));
        let replaced = std::mem::take(&mut *self.replaced.lock());
        files.retain(|file| file.state().has_dirty_data());
        let wants_data = !files.is_empty()
            || !replaced.is_empty()
            || (batch.everything && self.has_dirty_data());
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
        let super::gate::Closed { number, changes, reservation, opened_at, outdated } =
            open.advance(everything);
        drop(open);
        self.recorders.record_since(Measure::Transition, started);
        self.recorders.record_since(Measure::DeltaOpen, opened_at);
        drop(outdated);
        Some(ClosedDelta {
            number,
            everything,
            changes,
            replaced,
            files,
            _reservation: reservation,
        })
    }

    /// Bytes that a transaction may have without need.
    fn bytes_at_ease(&self) -> u64 {
        self.store.max_delta_bytes() / LATER_SHARE
    }

    /// Publishes what gathered, and goes on with the next transaction. Returns the number.
    fn publish(&self, staging: &mut Staging) -> FsResult<DeltaNumber> {
        let mut set = staging.take_set();
        set.next_inode = self.inodes.next_number();
        let number = self.store.publish(set)?;
        debug_assert_eq!(number, staging.number());
        // Before the pages can leave the cache, or the holes the inode: they must not be found as they
        // were.
        staging.forget_remapped();
        staging.go_on(number + 1);
        Ok(number)
    }

    /// Takes the frozen state of an inode, if the delta takes anything of it.
    fn take_frozen(&self, closed: &ClosedDelta, inode: &Inode) -> Option<FrozenInode> {
        let mut state = inode.state();
        let closed_full = if closed.everything { closed.number } else { 0 };
        state.freeze_if_due(closed.number + 1, closed_full, inode.existing_mapping());
        if !state.has_dirty_data() {
            self.note_clean_data(inode.number());
        }
        state.take_frozen()
    }

    /// Stages an inode together with the names. Data that makes the transaction larger than `most`
    /// bytes comes later.
    fn stage_with_names(
        &self,
        closed: &ClosedDelta,
        inode: &Arc<Inode>,
        most: u64,
        staging: &mut Staging,
    ) -> FsResult<()> {
        let Some(frozen) = self.take_frozen(closed, inode) else { return Ok(()) };
        staging.note_inode(inode.clone());
        let Some(data) = frozen.data else {
            staging.put(inode.number(), frozen.record, Vec::new());
            return Ok(());
        };
        let map = self.stage_data(inode.number(), frozen.record.size, data, staging)?;
        if staging.has_room(log_bytes(&map), most) {
            return self.put_part(inode, frozen.record, map, staging);
        }
        let as_of_now = inode.state().without_new_data(frozen.record.clone());
        staging.put(inode.number(), as_of_now, Vec::new());
        staging.later.push(Later { inode: inode.clone(), record: frozen.record, map });
        Ok(())
    }

    /// Stages a file whose data may follow the names in a transaction of its own.
    fn stage_data_of(
        &self,
        closed: &ClosedDelta,
        inode: &Arc<Inode>,
        staging: &mut Staging,
    ) -> FsResult<()> {
        let Some(frozen) = self.take_frozen(closed, inode) else { return Ok(()) };
        staging.note_inode(inode.clone());
        let map = match frozen.data {
            Some(data) => self.stage_data(inode.number(), frozen.record.size, data, staging)?,
            None => Vec::new(),
        };
        self.put_data(inode, frozen.record, map, staging)
    }

    /// Puts the data of a file, in as many transactions as it needs.
    fn put_data(
        &self,
        inode: &Arc<Inode>,
        record: InodeRecord,
        map: Vec<MapChange>,
        staging: &mut Staging,
    ) -> FsResult<()> {
        let most = self.bytes_at_ease();
        if staging.has_room(log_bytes(&map), most) {
            return self.put_part(inode, record, map, staging);
        }
        for part in split_map(map, most) {
            if !staging.is_empty() && !staging.has_room(log_bytes(&part), most) {
                self.publish(staging)?;
            }
            let record = InodeRecord { blocks: inode.state().staged_blocks(), ..record.clone() };
            self.put_part(inode, record, part, staging)?;
        }
        Ok(())
    }

    fn put_part(
        &self,
        inode: &Arc<Inode>,
        mut record: InodeRecord,
        part: Vec<MapChange>,
        staging: &mut Staging,
    ) -> FsResult<()> {
        self.count_blocks(inode.number(), &part, &mut record)?;
        inode.state().note_staged(&record);
        staging.note_remapped(inode, &part);
        staging.put(inode.number(), record, part);
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

#[cfg(test)]
impl Committer {
    /// Closes the open delta with everything that is dirty, and stages nothing. For the test that it visits no
    /// file.
    pub(crate) fn close_only(&self) -> bool {
        self.close(Batch { everything: true, ..Batch::default() }).is_some()
    }
}
