//! Committing: the first to arrive leads, the others join.
//!
//! A caller adds its request to the batch that gathers, then takes the stage lock. If the batch was
//! staged meanwhile by whoever held the lock before, it only waits for the flush; else it stages
//! the batch, with all requests in it, as one delta. The flush happens outside the stage lock, so
//! that the next delta is staged while this one is flushed. No thread is woken on the way: the road of
//! an fsync stays on the thread that asked.
//!
//! Lock order: stage lock (`turn`), gate, inode state. `gathering`, `in_flight` and `replaced` are
//! leaves.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use braidfs_format::{BLOCK_SIZE, DeltaNumber, InodeNumber};
use braidfs_pagecache::{Frozen, PageCache};
use braidfs_store::Store;
use dashmap::DashMap;
use parking_lot::Mutex;

use super::gate::DeltaGate;
use super::join::Joined;
use super::request::{Batch, Scope};
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::inode::{Inode, InodeTable};
use crate::statistics::{Measure, Recorders};

/// A delta that is published and not known to be durable.
pub(super) struct StagedDelta {
    /// The number of its (last) transaction.
    pub number: DeltaNumber,
    /// The pages that it wrote: they become clean when it is durable.
    pub pages: Vec<Frozen>,
    /// The inodes that it staged: they may leave memory after it.
    pub inodes: Vec<InodeNumber>,
}

impl StagedDelta {
    /// The file data that it wrote, in bytes.
    fn data_bytes(&self) -> u64 {
        let pages: u64 = self.pages.iter().map(Frozen::page_count).sum();
        pages * BLOCK_SIZE as u64
    }
}

/// How far staging got; whoever holds it stages.
struct Turn {
    staged_ticket: u64,
    staged_delta: DeltaNumber,
}

/// Stages and commits deltas.
pub(crate) struct Committer {
    pub(super) store: Arc<Store>,
    pub(super) cache: Arc<PageCache>,
    pub(super) inodes: Arc<InodeTable>,
    /// The open delta.
    pub gate: DeltaGate,
    dirty_data: DashMap<InodeNumber, Arc<Inode>>,
    mapped: DashMap<InodeNumber, Arc<Inode>>,
    pub(super) replaced: Mutex<Vec<Arc<Inode>>>,
    gathering: Mutex<Batch>,
    turn: Mutex<Turn>,
    failure: OnceLock<FsError>,
    in_flight: Mutex<VecDeque<StagedDelta>>,
    pub(super) joined: Joined,
    pub(super) recorders: Arc<Recorders>,
}

impl Committer {
    /// A committer for the volume in `store`.
    pub fn new(store: Arc<Store>, cache: Arc<PageCache>, inodes: Arc<InodeTable>) -> Self {
        let published = store.next_delta().saturating_sub(1);
        Self {
            store,
            cache,
            inodes,
            gate: DeltaGate::new(),
            dirty_data: DashMap::new(),
            mapped: DashMap::new(),
            replaced: Mutex::default(),
            gathering: Mutex::default(),
            turn: Mutex::new(Turn { staged_ticket: 0, staged_delta: published }),
            failure: OnceLock::new(),
            in_flight: Mutex::default(),
            joined: Joined::default(),
            recorders: Arc::default(),
        }
    }

    /// The same, recording how long it takes.
    pub fn with_recorders(self, recorders: Arc<Recorders>) -> Self {
        Self { recorders, ..self }
    }

    /// Makes everything in `scope` durable that was changed before this call.
    ///
    /// # Errors
    /// `Io` after the first failed write or flush, then and ever after.
    pub fn commit(&self, scope: Scope) -> FsResult<()> {
        self.commit_all([scope])
    }

    /// As [`Self::commit`], for several requests at once.
    pub(super) fn commit_all(&self, scopes: impl IntoIterator<Item = Scope>) -> FsResult<()> {
        let started = Instant::now();
        let staged = self.stage_up_to(scopes)?;
        let outcome = self.store.make_durable(staged);
        self.settle(outcome.is_ok());
        self.recorders.record_since(Measure::Commit, started);
        outcome.map_err(|error| self.fail(&error.into()))
    }

    /// Publishes everything in `scope` that was changed before this call: as one delta, which the next
    /// commit makes durable.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn publish_only(&self, scope: Scope) -> FsResult<()> {
        self.stage_up_to([scope]).map(drop)
    }

    /// Stages and publishes everything in `scopes` without waiting for it to be durable.
    fn stage_up_to(&self, scopes: impl IntoIterator<Item = Scope>) -> FsResult<DeltaNumber> {
        let ticket = self.gathering.lock().add_all(scopes);
        let mut turn = self.turn.lock();
        if let Some(failure) = self.failure.get() {
            return Err(failure.clone());
        }
        // A unify may have failed, outside of any commit.
        if let Some(error) = self.store.poisoned() {
            return Err(self.fail(&error.into()));
        }
        if turn.staged_ticket < ticket {
            let batch = self.gathering.lock().take();
            turn.staged_ticket = batch.last_ticket;
            match self.stage(batch) {
                Ok(Some(staged)) => {
                    self.recorders.record(Measure::DeltaBytes, staged.data_bytes());
                    turn.staged_delta = staged.number;
                    self.in_flight.lock().push_back(staged);
                }
                Ok(None) => {}
                Err(error) => return Err(self.fail(&error)),
            }
        }
        Ok(turn.staged_delta)
    }

    /// The error that made the volume read-only, if there was one.
    pub fn failure(&self) -> Option<&FsError> {
        self.failure.get()
    }

    /// Notes that the file's data has changes that no delta took. The caller holds its state lock.
    pub fn note_dirty_data(&self, inode: &Arc<Inode>) {
        self.dirty_data.insert(inode.number(), inode.clone());
    }

    /// Notes that the file's data is staged, or gone. The caller holds its state lock.
    pub fn note_clean_data(&self, inode: InodeNumber) {
        self.dirty_data.remove(&inode);
    }

    /// The files whose data has changes that no delta took, by number: files made one after the other
    /// lie one behind the other, and a run of the tests is the same every time.
    pub(super) fn files_with_dirty_data(&self) -> Vec<Arc<Inode>> {
        let mut files: Vec<_> = self.dirty_data.iter().map(|entry| entry.value().clone()).collect();
        files.sort_unstable_by_key(|file| file.number());
        files
    }

    /// Notes that programs map the file.
    pub fn note_mapped(&self, inode: &Arc<Inode>) {
        self.mapped.insert(inode.number(), inode.clone());
    }

    /// Notes that a mapping of the file is gone.
    pub fn note_unmapped(&self, inode: &Inode) {
        let is_mapped =
            |inode: &Inode| inode.existing_mapping().is_some_and(|mapping| mapping.is_mapped());
        self.mapped.remove_if(&inode.number(), |_, inode| !is_mapped(inode));
    }

    /// The files that programs map.
    pub(super) fn mapped_files(&self) -> Vec<Arc<Inode>> {
        self.mapped.iter().map(|entry| entry.value().clone()).collect()
    }

    /// Whether any file's data has changes that no delta took.
    pub fn has_dirty_data(&self) -> bool {
        !self.dirty_data.is_empty()
    }

    /// Whether anything has changes that no delta took.
    pub fn has_changes(&self) -> bool {
        self.has_dirty_data() || !self.gate.enter().changes().is_empty()
    }

    /// Notes that a rename put this file over another one, or that it is a link with its target: the open
    /// delta, which takes the name, takes the file's data too, so that replace-by-rename is safe
    /// without fsync. The file was prepared for a change in this delta, and its state is not locked.
    pub fn note_replaced(&self, inode: Arc<Inode>, open_delta: DeltaNumber) {
        inode.state().want_data_in(open_delta);
        self.replaced.lock().push(inode);
    }

    /// Makes the volume read-only: what is staged can't be told from what is not any more.
    fn fail(&self, error: &FsError) -> FsError {
        self.cache.shut_down();
        self.failure.get_or_init(|| FsError::new(FsErrorKind::Io, error.to_string())).clone()
    }

    /// Fails all commits from now on. One that is being staged is waited for.
    pub fn shut_down(&self) {
        let _turn = self.turn.lock();
        self.fail(&FsError::new(FsErrorKind::Io, "the volume was shut down"));
    }

    /// Completes, or fails, the deltas that are settled now.
    fn settle(&self, durable: bool) {
        let through = if durable { self.store.durable_through() } else { DeltaNumber::MAX };
        let settled: Vec<StagedDelta> = {
            let mut in_flight = self.in_flight.lock();
            let count = in_flight.iter().take_while(|delta| delta.number <= through).count();
            in_flight.drain(..count).collect()
        };
        for delta in settled {
            for pages in delta.pages {
                if durable { pages.complete() } else { pages.fail() }
            }
            for inode in delta.inodes {
                self.inodes.evict_if_idle(inode);
            }
        }
    }
}
