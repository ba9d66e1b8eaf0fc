//! Giving out blocks and quads within a reservation.

use braidfs_format::{BlockAddress, NODE_BLOCKS};

use super::manager::{Space, State};
use super::reservation::Reservation;
use super::run::BlockRun;
use crate::error::StoreError;

/// Below this share of all quads being free and not reserved, small runs look for broken quads.
const SCARCE_SHARE: u64 = 32;

impl Space {
    /// A run of at most `wanted` blocks for data, as long as one can be had, taken from `reservation`.
    ///
    /// Runs follow each other through the volume, so that what is written together lies together.
    ///
    /// # Errors
    /// NoSpace if the reservation holds no block; otherwise there always is one.
    pub fn allocate_run(
        &self,
        reservation: &mut Reservation,
        wanted: u64,
    ) -> Result<BlockRun, StoreError> {
        let wanted = wanted.min(reservation.blocks());
        if wanted == 0 {
            return Err(used_up("blocks"));
        }
        let mut state = self.state.lock();
        let run = self.choose_run(&mut state, wanted).ok_or_else(unkept)?;
        state.bitmaps.take(run);
        state.cursors.data = run.range().end;
        self.ledger.used(run.length);
        reservation.use_blocks(run.length);
        Ok(run)
    }

    /// The run to take. Quads that it breaks are withdrawn from the ledger already.
    fn choose_run(&self, state: &mut State, wanted: u64) -> Option<BlockRun> {
        let cursor = state.cursors.data;
        let bitmaps = &mut state.bitmaps;
        let is_small = wanted < NODE_BLOCKS;
        if is_small
            && self.quads_are_scarce(bitmaps.geometry.block_count)
            && let Some(run) = bitmaps.find_in_broken_quads(wanted, cursor)
        {
            return Some(run);
        }
        let run = bitmaps.find_run(wanted, cursor)?;
        let needed = bitmaps.quads_under(run);
        let broken = self.ledger.break_quads(needed);
        let run = bitmaps.cut_to_quads(run, broken);
        if run.length > 0 {
            return Some(run);
        }
        bitmaps.find_in_broken_quads(wanted, cursor)
    }

    fn quads_are_scarce(&self, block_count: u64) -> bool {
        self.ledger.available_quads() < block_count / NODE_BLOCKS / SCARCE_SHARE
    }

    /// A quad for a tree node, taken from `reservation`.
    ///
    /// # Errors
    /// NoSpace if the reservation holds no quad; otherwise there always is one.
    pub fn allocate_node(&self, reservation: &mut Reservation) -> Result<BlockAddress, StoreError> {
        if reservation.quads() == 0 {
            return Err(used_up("nodes"));
        }
        let mut state = self.state.lock();
        let address = state.choose_quad().ok_or_else(unkept)?;
        state.bitmaps.take(BlockRun::new(address, NODE_BLOCKS));
        self.ledger.used(NODE_BLOCKS);
        reservation.use_quad();
        Ok(address)
    }
}

impl State {
    /// The next free quad of the node zone, or else of the rest.
    fn choose_quad(&mut self) -> Option<BlockAddress> {
        if let Some(address) = self.bitmaps.find_quad(true, self.cursors.node) {
            self.cursors.node = address + NODE_BLOCKS;
            return Some(address);
        }
        let address = self.bitmaps.find_quad(false, self.cursors.node_outside)?;
        self.cursors.node_outside = address + NODE_BLOCKS;
        Some(address)
    }
}

fn used_up(what: &str) -> StoreError {
    let detail = format!("the reservation holds no more {what}; delete something and try again");
    StoreError::no_space("allocating space", detail)
}

/// The error for a promise that cannot be kept although the ledger says so.
fn unkept() -> StoreError {
    StoreError::corrupt(
        "allocating space",
        "the free blocks are not where the summaries say; unmount the volume and check it with fsck",
    )
}
