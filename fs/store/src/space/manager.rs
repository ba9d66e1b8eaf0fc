//! The space of a mounted volume: its state, and what can be asked of it.

use std::fmt;
use std::sync::Arc;

use braidfs_format::{BlockAddress, DeltaNumber, GROUP_BLOCKS};
use parking_lot::Mutex;
use uuid::Uuid;

use super::bitmaps::Bitmaps;
use super::defree::Queue;
use super::ledger::Ledger;
use super::reservation::Reservation;
use super::run::BlockRun;
use super::section::zone_end;
use super::words::count_ones;
use crate::error::StoreError;

/// The space of a volume.
pub struct Space {
    pub(super) volume_id: Uuid,
    pub(super) ledger: Arc<Ledger>,
    pub(super) state: Mutex<State>,
}

/// What the mutex guards.
pub(super) struct State {
    pub(super) bitmaps: Bitmaps,
    pub(super) queue: Queue,
    pub(super) cursors: Cursors,
    /// The bits set in the bitmaps on the device, but for those past the end of the volume.
    pub(super) persisted_blocks: u64,
    pub(super) unify: UnifyState,
    /// The newest delta whose freed blocks have been let go.
    pub(super) released_through: DeltaNumber,
}

/// Where the next allocations begin to look.
pub(super) struct Cursors {
    pub(super) data: BlockAddress,
    pub(super) node: BlockAddress,
    /// For nodes when the node zone has no free quad.
    pub(super) node_outside: BlockAddress,
}

/// How far a unify is, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnifyState {
    None,
    /// It folds the deltas through this one.
    Open(DeltaNumber),
    /// Its bitmaps are made; only its completion ends it.
    Prepared(DeltaNumber),
}

/// Sums over the blocks of the data area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceCounts {
    /// All of them.
    pub total: u64,
    /// Those that are free.
    pub free: u64,
    /// Those of them that can still be reserved as blocks.
    pub available: u64,
    /// Those that are freed, but not to be given out yet; not counted as free.
    pub pending: u64,
    /// Free aligned quads.
    pub free_quads: u64,
    /// Those of them that can still be reserved.
    pub available_quads: u64,
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space").field("volume_id", &self.volume_id).finish_non_exhaustive()
    }
}

impl Space {
    /// The space that `bitmaps` describe, with nothing reserved and nothing leaving.
    pub(super) fn new(volume_id: Uuid, bitmaps: Bitmaps) -> Self {
        let free = bitmaps.sections.iter().map(|section| section.free).sum();
        let quads = bitmaps.sections.iter().map(|section| section.quads).sum();
        let persisted = bitmaps.groups.iter().map(|group| count_ones(&group.persisted)).sum();
        let state = State {
            queue: Queue::default(),
            cursors: Cursors {
                data: zone_end(&bitmaps.geometry),
                node: bitmaps.geometry.data_start,
                node_outside: zone_end(&bitmaps.geometry),
            },
            persisted_blocks: within_volume(&bitmaps, persisted),
            unify: UnifyState::None,
            released_through: 0,
            bitmaps,
        };
        let ledger = Arc::new(Ledger::new(free, quads));
        Self { volume_id, ledger, state: Mutex::new(state) }
    }

    /// Promises `blocks` for data and `quads` for tree nodes, both or nothing.
    ///
    /// # Errors
    /// [`StoreErrorKind::NoSpace`](crate::StoreErrorKind::NoSpace) if that cannot be promised.
    pub fn reserve(&self, blocks: u64, quads: u64) -> Result<Reservation, StoreError> {
        Reservation::new(&self.ledger, blocks, quads)
    }

    /// How much of everything there is.
    pub fn counts(&self) -> SpaceCounts {
        let state = self.state.lock();
        let geometry = &state.bitmaps.geometry;
        SpaceCounts {
            total: geometry.data_end().saturating_sub(geometry.data_start),
            free: self.ledger.free_blocks(),
            available: self.ledger.available_blocks(),
            pending: self.ledger.pending_blocks(),
            free_quads: state.bitmaps.sections.iter().map(|section| section.quads).sum(),
            available_quads: self.ledger.available_quads(),
        }
    }

    /// Marks blocks that the replayed log refers to as in use. Comes before any reservation.
    ///
    /// # Errors
    /// Corrupt if the tree or another extent of the log uses one of them; nothing has changed then.
    pub fn adopt(&self, run: BlockRun) -> Result<(), StoreError> {
        const DOING: &str = "replaying the log";
        let mut state = self.state.lock();
        let bitmaps = &mut state.bitmaps;
        let wrong = "belongs to two extents";
        bitmaps.check(run, DOING, wrong, |group, mask| group.used(mask.word))?;
        let quads = bitmaps.take(run);
        if self.ledger.break_quads(quads) == quads && self.ledger.reserve(run.length, 0) {
            self.ledger.used(run.length);
            return Ok(());
        }
        Err(StoreError::invalid(DOING, "space was reserved before the log was replayed"))
    }

    /// Frees blocks that no published delta refers to.
    ///
    /// # Errors
    /// Corrupt if one of them is not in use, is leaving already or belongs to the tree; nothing has
    /// changed then.
    pub fn free_now(&self, run: BlockRun) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        state.bitmaps.check(
            run,
            "freeing blocks",
            "is not in use by an extent of its own",
            |group, mask| {
                !group.used(mask.word) | group.persisted(mask.word) | group.leaving(mask.word)
            },
        )?;
        let quads = state.bitmaps.give(run);
        self.ledger.freed(run.length, quads);
        Ok(())
    }
}

/// What is left of `ones` without the bits past the end of the volume.
fn within_volume(bitmaps: &Bitmaps, ones: u64) -> u64 {
    let all = bitmaps.geometry.group_count * GROUP_BLOCKS;
    ones.saturating_sub(all.saturating_sub(bitmaps.geometry.block_count))
}
