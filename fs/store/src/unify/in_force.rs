//! Putting a written tree in force: bitmaps, superblock, and letting go of the old tree.

use std::io::IoSlice;
use std::sync::atomic::Ordering;

use braidfs_format::{BLOCK_SIZE, BlockAddress, IncompatFeatures, NODE_BLOCKS, Superblock};

use super::Work;
use super::write::Written;
use crate::error::{ErrorContext, StoreError};
use crate::layers::Layer;
use crate::space::{BitmapUpdate, BlockRun, UnifyTurn};
use crate::store::Store;
use crate::superblocks;
use crate::tree::{Tree, TreeCommit};

impl Store {
    /// Makes the written tree the volume's. Every failure poisons the store: nobody knows then
    /// which superblock the device has.
    pub(super) fn put_in_force(
        &self,
        work: Work<'_>,
        written: Written,
        clean: bool,
    ) -> Result<(), StoreError> {
        let Work { layer, mut turn, .. } = work;
        let tree = written.commit.tree.clone();
        let left = written.folded.left.clone();
        let (next, update) = self
            .write_superblock(&layer, &mut turn, written, clean)
            .map_err(|error| self.poison.set(error))?;
        self.swap(tree, next, turn, (update, left)).map_err(|error| self.poison.set(error))?;
        // The layer itself goes only now: with many items that takes time, and a lock was held.
        self.ring.lock().retire_through(layer.through());
        self.counters.unifies.add(1);
        Ok(())
    }

    /// Writes and flushes the bitmaps with the tree, then the superblock.
    fn write_superblock(
        &self,
        layer: &Layer,
        turn: &mut UnifyTurn<'_>,
        written: Written,
        clean: bool,
    ) -> Result<(Superblock, BitmapUpdate), StoreError> {
        let mut next = self.superblock.lock().clone();
        next.sequence += 1;
        let (entered, left) = exchanged(&written);
        let update = turn.prepare(&entered, &left, next.sequence)?;
        self.write_bitmaps(&update)?;
        if written.dirty || !update.writes.is_empty() {
            self.flush("flushing the tree")?;
        }
        self.advance(&mut next, layer, &written.commit);
        next.inode_count = next.inode_count.saturating_add_signed(written.folded.inode_change);
        next.used_blocks = update.used_blocks;
        next.clean = clean;
        if self.wants_sharing.load(Ordering::Acquire) {
            next.incompat |= IncompatFeatures::SHARED_EXTENTS;
        }
        superblocks::write(&*self.device, &next)?;
        self.flush("flushing the superblock")?;
        Ok((next, update))
    }

    /// Fills in what the tree and the log say in the superblock when `layer` is in the tree.
    fn advance(&self, next: &mut Superblock, layer: &Layer, commit: &TreeCommit) {
        let log = self.ring.lock().start_after(layer.through());
        next.root = commit.tree.root();
        next.root_level = commit.tree.level();
        next.node_count = next.node_count.saturating_add_signed(commit.node_count_change);
        next.unified_through = layer.through();
        next.log_tail = log.position;
        next.log_previous_checksum = log.checksum;
        next.next_inode = layer.next_inode();
    }

    /// Lets readers see the new tree in place of the old one and its layer.
    fn swap(
        &self,
        tree: Tree,
        next: Superblock,
        turn: UnifyTurn<'_>,
        (update, left): (BitmapUpdate, Vec<BlockRun>),
    ) -> Result<(), StoreError> {
        let mut layers = self.layers.write();
        let held = layers.note_unified(&left);
        let freed = turn.complete(update, &held)?;
        layers.end_unify(tree);
        layers.retire(freed);
        layers.update_any_shared(&self.any_shared);
        *self.superblock.lock() = next;
        Ok(())
    }

    fn write_bitmaps(&self, update: &BitmapUpdate) -> Result<(), StoreError> {
        for (address, bytes) in &update.writes {
            self.device
                .write_at(address * BLOCK_SIZE as u64, &[IoSlice::new(bytes)])
                .doing("writing a bitmap")
                .at_block(*address)?;
        }
        Ok(())
    }
}

/// The blocks that entered the tree and those that left it.
fn exchanged(written: &Written) -> (Vec<BlockRun>, Vec<BlockRun>) {
    let node = |address: &BlockAddress| BlockRun::new(*address, NODE_BLOCKS);
    let Written { commit, folded, .. } = written;
    let entered = folded.entered.iter().copied().chain(commit.allocated_nodes.iter().map(node));
    let left = folded.left.iter().copied().chain(commit.freed_nodes.iter().map(node));
    (entered.collect(), left.collect())
}
