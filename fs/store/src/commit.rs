//! Publishing deltas and making them durable.
//!
//! Publishing writes a delta's transaction and adds its layer; making it durable is one flush of the
//! device, which the next publish may overtake. Once a flush is done the layers that it covered are
//! merged, and blocks that they superseded are freed: a block freed by delta F goes back to the
//! allocator when a *durable* transaction says that F is durable. Not sooner, since replay verifies
//! the data of all later deltas, and a block used anew would not fit the transaction it is in.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use braidfs_format::{BLOCK_SIZE, DeltaNumber, LogRecord};
use parking_lot::MutexGuard;

use crate::change::{ChangeSet, check_record};
use crate::error::{ErrorContext, StoreError, StoreErrorKind};
use crate::flusher::{Turn, Written};
use crate::footprint::Footprint;
use crate::layers::Layer;
use crate::log::{AppendError, Ring};
use crate::space::BlockRun;
use crate::store::Store;

impl Store {
    /// The number that the next published delta gets. Publishes are serialised by the caller.
    pub fn next_delta(&self) -> DeltaNumber {
        self.ring.lock().next_delta()
    }

    /// The most bytes that the records of one delta should have: half of what the log holds.
    pub fn max_delta_bytes(&self) -> u64 {
        self.geometry.log_blocks * BLOCK_SIZE as u64 / 2
    }

    /// Writes the transaction of a delta and makes its changes visible. Nothing is flushed. If the
    /// log has no room, everything before it is made durable and unified first.
    ///
    /// # Errors
    /// [`StoreErrorKind::TooLarge`] if it can never fit the log, [`StoreErrorKind::Invalid`] if it
    /// holds what no volume can, [`StoreErrorKind::NoSpace`] if the log is full and cannot be
    /// unified: nothing is changed by these. A failure of the device poisons the store.
    pub fn publish(&self, changes: ChangeSet) -> Result<DeltaNumber, StoreError> {
        self.check_writable()?;
        let next_inode = changes.next_inode;
        let records = changes.into_records();
        for record in &records {
            check_record(record, &self.geometry)?;
        }
        let mut ring = self.room_for(&records)?;
        let appended = ring.append(
            &*self.device,
            &records,
            next_inode,
            self.flusher.durable(),
            nanoseconds_now(),
        );
        let placed = appended.map_err(|error| match error {
            AppendError::Refused(error) => error,
            AppendError::Device(error) => self.poison.set(error),
        })?;
        // Not under the lock that every look-up takes: it takes as long as the delta is large.
        let layer = Layer::from_records(records, placed.delta, next_inode);
        self.layers.write().publish(layer);
        self.flusher
            .note_written(Written { delta: placed.delta, durable_through: placed.durable_through });
        self.counters.deltas.add(1);
        self.counters.log_bytes.add(placed.blocks * BLOCK_SIZE as u64);
        Ok(placed.delta)
    }

    /// Returns when `delta` and all before it are durable. One flush serves all who wait.
    ///
    /// # Errors
    /// The failure of the flush, for each who waited for it, and for all who come later.
    pub fn make_durable(&self, delta: DeltaNumber) -> Result<(), StoreError> {
        if let Turn::Lead(lead) = self.flusher.turn(delta, &self.poison)? {
            self.flush("flushing the log").map_err(|error| self.poison.set(error))?;
            lead.flushed();
            self.settle();
        }
        Ok(())
    }

    /// Every delta up to this one is durable.
    pub fn durable_through(&self) -> DeltaNumber {
        self.flusher.durable()
    }

    /// Merges the layers that are durable, and gives back blocks that may be used anew.
    pub(crate) fn settle(&self) {
        let mut layers = self.layers.write();
        layers.merge_through(self.flusher.durable(), |delta, runs| self.free_after(delta, runs));
        let released = self.space.release_through(self.flusher.recorded());
        layers.retire(released);
        layers.update_any_shared(&self.any_shared);
    }

    /// Hands over blocks that `delta` superseded. That they were not in use is a bug or a damaged
    /// volume, and nothing may be allocated any more.
    pub(crate) fn free_after(&self, delta: DeltaNumber, runs: Vec<BlockRun>) {
        for run in runs {
            if let Err(error) = self.space.free_after(run, delta) {
                self.poison.set(error);
            }
        }
    }

    /// Gives back blocks that nothing published refers to.
    pub(crate) fn free_unused(&self, runs: &[BlockRun]) {
        for run in runs {
            if let Err(error) = self.space.free_now(*run) {
                self.poison.set(error);
            }
        }
    }

    pub(crate) fn flush(&self, doing: &'static str) -> Result<(), StoreError> {
        let began = Instant::now();
        self.device.flush().doing(doing)?;
        self.counters.flush_ns.add_ns_since(began);
        self.counters.flushes.add(1);
        Ok(())
    }

    /// The ring, with room for these records, and with space set aside to unify them.
    fn room_for(&self, records: &[LogRecord]) -> Result<MutexGuard<'_, Ring>, StoreError> {
        let mut cost = Footprint::default();
        records.iter().for_each(|record| cost += Footprint::of_record(record));
        let mut ring = self.ring.lock();
        if ring.fits(records)? && self.hold(cost) {
            return Ok(ring);
        }
        drop(ring);
        match self.reclaim() {
            Err(error) if error.kind() != StoreErrorKind::NoSpace => return Err(error),
            _ => ring = self.ring.lock(),
        }
        // Space that cannot be set aside does not hold up a delta, whose changes were acknowledged:
        // data gets none until a unify has succeeded.
        self.hold(cost);
        if ring.fits(records)? {
            return Ok(ring);
        }
        let detail = "the log is full, and there is no space to unify it; delete something";
        Err(StoreError::no_space("publishing a delta", detail))
    }

    /// Sets aside what unifying the layers and `cost` may need. Returns whether it could be had.
    fn hold(&self, cost: Footprint) -> bool {
        self.metadata_reserve.hold(&self.space, self.unify_need(cost))
    }
}

fn nanoseconds_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
