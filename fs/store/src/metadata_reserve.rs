//! The space that the next unify needs, set aside before it is.
//!
//! What is published must be foldable into the tree, however full the volume is. So the store holds
//! a reservation that covers the worst the layers can do to the tree, and never less than a floor,
//! out of which changes are made on a volume that is full. Where it cannot be had, the store is
//! *short*: data is refused space until a unify has made the need small again.
//!
//! Lock order: the reservation's mutex comes after the layers' lock and before the allocator's.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::error::StoreError;
use crate::space::{Reservation, Space};

/// What a unify may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnifyNeed {
    /// Aligned quads of blocks, for tree nodes.
    pub(crate) quads: u64,
    /// Blocks for inline content that moves out of the tree.
    pub(crate) blocks: u64,
}

/// The reservation for the next unify.
#[derive(Debug)]
pub(crate) struct MetadataReserve {
    held: Mutex<Reservation>,
    floor_quads: u64,
    short: AtomicBool,
}

impl MetadataReserve {
    /// Nothing held yet, on a volume of `block_count` blocks.
    pub(crate) fn new(block_count: u64) -> Self {
        let floor_quads = (block_count / 1024).clamp(32, 1024);
        Self { held: Mutex::default(), floor_quads, short: AtomicBool::new(false) }
    }

    /// Holds at least `need`. Returns whether it could be had.
    pub(crate) fn hold(&self, space: &Space, need: UnifyNeed) -> bool {
        let mut held = self.held.lock();
        let quads = need.quads.max(self.floor_quads).saturating_sub(held.quads());
        let blocks = need.blocks.saturating_sub(held.blocks());
        if quads > 0 || blocks > 0 {
            match space.reserve(blocks, quads) {
                Ok(more) => held.join(more),
                Err(_) => {
                    self.short.store(true, Ordering::Release);
                    return false;
                }
            }
        }
        self.short.store(false, Ordering::Release);
        true
    }

    /// Whether the last need could not be covered.
    pub(crate) fn is_short(&self) -> bool {
        self.short.load(Ordering::Acquire)
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
            let surplus = held.quads().saturating_sub(need.quads.max(self.floor_quads));
            drop(held.split_quads(surplus));
            held.trim_to(need.blocks);
        }
        self.hold(space, need);
    }
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
