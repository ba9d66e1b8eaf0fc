//! Unify: folding the durable deltas into the tree and giving their part of the log back.
//!
//! The steps: the logged layer moves down and is folded into an edit of the tree in memory; new
//! nodes, content that is too long for the tree and the stale slots of changed bitmaps are written
//! and flushed; the superblock is written to its other slot and flushed; then the new tree is put in
//! force, the layer dropped, what the old tree alone referred to is retired and the log's tail moves
//! on. Until the superblock is durable nothing that the old one refers to is touched, so a crash at
//! any point leaves one of the two in force, with the log that belongs to it.
//!
//! Reads and publishes go on all the while. A unify that finds no space before it has written
//! anything that matters puts the layer back; every other failure poisons the store.
//!
//! Lock order: the unify lock comes first of all.

mod fold;
mod in_force;
mod need;
mod references;
mod write;

use std::sync::Arc;
use std::time::Instant;

use crate::error::{StoreError, StoreErrorKind};
use crate::footprint::Footprint;
use crate::layers::Layer;
use crate::metadata_reserve::Budget;
use crate::space::UnifyTurn;
use crate::store::Store;
use crate::tree::Tree;

/// Why there is a unify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is something to fold.
    Due,
    /// The superblock must say that the volume was closed.
    Closing,
    /// The superblock must name a further feature.
    Features,
}

/// What a unify works on.
struct Work<'a> {
    layer: Arc<Layer>,
    tree: Tree,
    turn: UnifyTurn<'a>,
}

impl Store {
    /// Folds every durable delta into the tree. Does nothing if there is none to fold.
    ///
    /// # Errors
    /// [`StoreErrorKind::NoSpace`] if the volume has no room for the new nodes: nothing is lost
    /// then, the deltas stay in the log. Any other failure poisons the store.
    pub fn unify(&self) -> Result<(), StoreError> {
        self.check_writable()?;
        let _turn = self.unify_lock.lock();
        self.unify_durable(Reason::Due)
    }

    /// Makes everything published durable and folds it into the tree, so that what was freed by
    /// it can be used again.
    ///
    /// # Errors
    /// Those of [`Store::make_durable`] and [`Store::unify`].
    pub fn reclaim(&self) -> Result<(), StoreError> {
        self.make_durable(self.flusher.written())?;
        self.unify()
    }

    /// Unifies, under the unify lock. Unless it is merely due a superblock is written in any case.
    pub(crate) fn unify_durable(&self, reason: Reason) -> Result<(), StoreError> {
        self.settle();
        let Some(work) = self.begin_unify(reason)? else { return Ok(()) };
        let began = Instant::now();
        let mut budget = Budget { space: &self.space, held: self.metadata_reserve.take() };
        let outcome = match self.write_tree(&work.layer, &work.tree, &mut budget) {
            Ok(written) => self.put_in_force(work, written, reason == Reason::Closing),
            Err(error) if error.kind() == StoreErrorKind::NoSpace => {
                self.abandon(work);
                Err(error)
            }
            Err(error) => Err(self.poison.set(error)),
        };
        let need = self.unify_need(Footprint::default());
        self.metadata_reserve.give_back(&self.space, budget.held, need);
        self.counters.unify_ns.add_ns_since(began);
        outcome
    }

    /// Takes the durable layers, unless there is nothing in them.
    fn begin_unify(&self, reason: Reason) -> Result<Option<Work<'_>>, StoreError> {
        let mut layers = self.layers.write();
        let durable = layers.logged().through();
        if durable == self.superblock.lock().unified_through && reason == Reason::Due {
            return Ok(None);
        }
        let turn = self.space.begin_unify(durable).map_err(|error| self.poison.set(error))?;
        let (layer, tree) = layers.begin_unify();
        Ok(Some(Work { layer, tree, turn }))
    }

    /// Puts back a layer that found no space.
    fn abandon(&self, work: Work<'_>) {
        let mut layers = self.layers.write();
        let Work { layer, turn, .. } = work;
        let (delta, freed) = layers.abandon_unify(layer);
        drop(turn);
        self.free_after(delta, freed);
    }
}
