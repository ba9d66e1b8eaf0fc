//! The space that the next unify needs, set aside before it is.
//!
//! What is published must be foldable into the tree, however full the volume is. So the store holds
//! a reservation of quads that covers the *need* of the layers, and beyond that a *floor*: as much as
//! rewriting the tree may take, since a volume that is full must still take deletions, and nobody
//! reserves for those. If the floor cannot be had the volume is *full*, and data gets no space. If
//! the need cannot be had the store is *short*, and each publish unifies first.
//!
//! Lock order: the reservation's mutex comes after the layers' lock and before the allocator's.

use std::sync::atomic::{AtomicBool, Ordering};

use braidfs_format::NODE_BLOCKS;
use parking_lot::Mutex;

use crate::error::StoreError;
use crate::space::{Reservation, Space};

/// The share of all blocks that must be available for space not to be scarce.
const PLENTY_SHARE: u64 = 32;

/// The share of the floor that is not held where space is scarce.
const SPARED_SHARE: u64 = 8;

/// What a unify may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnifyNeed {
    /// Aligned quads of blocks, for tree nodes.
    pub(crate) quads: u64,
    /// Quads to hold even if the layers need fewer.
    pub(crate) floor_quads: u64,
    /// Blocks for inline content that moves out of the tree.
    pub(crate) blocks: u64,
}

/// The reservation for the next unify.
#[derive(Debug, Default)]
pub(crate) struct MetadataReserve {
    held: Mutex<Reservation>,
    full: AtomicBool,
    short: AtomicBool,
}

impl MetadataReserve {
    /// Holds what `need` says, as far as it can be had. Returns whether the need itself could.
    pub(crate) fn hold(&self, space: &Space, need: UnifyNeed) -> bool {
        let mut held = self.held.lock();
        let enough = grow(&mut held, space, need.quads, need.blocks);
        self.short.store(!enough, Ordering::Release);
        let full = held.quads() < need.floor_quads && !self.hold_floor(&mut held, space, need);
        self.full.store(full, Ordering::Release);
        enough
    }

    /// Holds the floor. Returns whether there was room.
    ///
    /// While there is plenty it is held in full. Later a part of it is let go, so that blocks that
    /// are freed on a nearly full volume serve data, and not a tree that has grown a little.
    fn hold_floor(&self, held: &mut Reservation, space: &Space, need: UnifyNeed) -> bool {
        let least = need.floor_quads - need.floor_quads / SPARED_SHARE;
        let floor = if has_plenty(space) { need.floor_quads } else { least };
        grow(held, space, floor, 0) || has_room(space, floor.saturating_sub(held.quads()))
    }

    /// Whether the need of the layers is not covered.
    pub(crate) fn is_short(&self) -> bool {
        self.short.load(Ordering::Acquire)
    }

    /// Whether all that is left is wanted for metadata.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Takes all that is held, for a unify to spend.
    pub(crate) fn take(&self) -> Reservation {
        std::mem::take(&mut *self.held.lock())
    }

    /// Gives back what a unify did not spend, and lets go of what is more than `need`.
    pub(crate) fn give_back(&self, space: &Space, left: Reservation, need: UnifyNeed) {
        {
            let mut held = self.held.lock();
            held.join(left);
            let surplus = held.quads().saturating_sub(need.quads.max(need.floor_quads));
            drop(held.split_quads(surplus));
            held.trim_to(need.blocks);
        }
        self.hold(space, need);
    }

    /// Reserves `blocks` for data, out of the half of what is held if there are no others.
    pub(crate) fn lend(&self, space: &Space, blocks: u64) -> Result<Reservation, StoreError> {
        let mut held = self.held.lock();
        space.reserve(blocks, 0).or_else(|_| {
            let quads = blocks.div_ceil(NODE_BLOCKS).min(held.quads() / 2);
            drop(held.split_quads(quads));
            space.reserve(blocks, 0)
        })
    }
}

/// Whether space is not scarce yet.
fn has_plenty(space: &Space) -> bool {
    let counts = space.counts();
    counts.available >= counts.total / PLENTY_SHARE
}

/// Whether there are blocks enough for `quads`, be they side by side or not: where only quads are
/// wanting, keeping data out of what lies between them helps nobody.
fn has_room(space: &Space, quads: u64) -> bool {
    space.counts().available >= NODE_BLOCKS.saturating_mul(quads)
}

/// Makes `held` as large as is asked. Returns whether that could be had.
fn grow(held: &mut Reservation, space: &Space, quads: u64, blocks: u64) -> bool {
    let quads = quads.saturating_sub(held.quads());
    let blocks = blocks.saturating_sub(held.blocks());
    if quads == 0 && blocks == 0 {
        return true;
    }
    space.reserve(blocks, quads).map(|more| held.join(more)).is_ok()
}

/// A reservation that grows by what is still available when it runs out.
pub(crate) struct Budget<'a> {
    pub(crate) space: &'a Space,
    pub(crate) held: Reservation,
}

impl Budget<'_> {
    /// The reservation, with `blocks` and `quads` in it at least.
    pub(crate) fn with(&mut self, blocks: u64, quads: u64) -> Result<&mut Reservation, StoreError> {
        let blocks = blocks.saturating_sub(self.held.blocks());
        let quads = quads.saturating_sub(self.held.quads());
        if blocks > 0 || quads > 0 {
            self.held.join(self.space.reserve(blocks, quads)?);
        }
        Ok(&mut self.held)
    }
}
