//! Freed blocks on their way to being free.
//!
//! A block that delta F freed may be used again only when a durable transaction says that F was
//! durable: replay then never looks at a transaction whose data lay in it. Blocks that the tree on
//! the device refers to are left to the unify that drops them.

use std::collections::BTreeMap;

use braidfs_format::{DeltaNumber, GROUP_BLOCKS};

use super::manager::{Space, State, UnifyState};
use super::run::BlockRun;
use super::words::{Mask, runs_of_bits};
use crate::error::StoreError;

/// Runs by the delta that freed them.
pub(super) type Queue = BTreeMap<DeltaNumber, Vec<BlockRun>>;

/// Gathers runs and joins those that touch.
#[derive(Default)]
pub(super) struct RunList {
    pub(super) runs: Vec<BlockRun>,
    pub(super) blocks: u64,
}

impl RunList {
    /// Adds the blocks of a group that `mask` names.
    pub(super) fn push(&mut self, group: usize, mask: Mask) {
        let base = group as u64 * GROUP_BLOCKS;
        runs_of_bits(mask.word, mask.bits, |local| {
            let run = BlockRun::new(base + u64::from(local.start), local.len() as u64);
            self.blocks += run.length;
            match self.runs.last_mut() {
                Some(last) if last.end() == Some(run.start) => last.length += run.length,
                _ => self.runs.push(run),
            }
        });
    }
}

impl Space {
    /// Frees blocks that delta `freed_by` replaced. Those that the tree refers to stay as they are:
    /// the unify whose tree does not have them any more frees them.
    ///
    /// Must come before the completion of the unify that folds `freed_by`.
    ///
    /// # Errors
    /// Corrupt if one of them is not in use or was freed before; nothing has changed then.
    pub fn free_after(&self, run: BlockRun, freed_by: DeltaNumber) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        let state = &mut *state;
        state.bitmaps.check(run, "freeing replaced blocks", "is freed twice", |group, mask| {
            let leaving = group.leaving(mask.word) & !group.persisted(mask.word);
            !group.used(mask.word) | leaving
        })?;
        let mut list = RunList::default();
        state.bitmaps.change(run, |group, section, mask| {
            let mask = Mask { bits: mask.bits & !group.persisted(mask.word), ..mask };
            group.set_leaving(mask);
            list.push(section.group(), mask);
        });
        self.ledger.leaving(list.blocks);
        if !list.runs.is_empty() {
            state.queue.entry(freed_by).or_default().extend(list.runs);
        }
        Ok(())
    }

    /// Notes that a durable transaction says that `recorded` is durable. Returns the blocks that may
    /// be used again once nobody reads them any more; they stay pending until
    /// [`release`](Self::release).
    ///
    /// While a unify is open, what was freed by a delta behind it stays: the tree that it writes may
    /// still refer to that.
    pub fn release_through(&self, recorded: DeltaNumber) -> Vec<BlockRun> {
        let mut state = self.state.lock();
        let through = match state.unify {
            UnifyState::None => recorded,
            UnifyState::Open(folds) | UnifyState::Prepared(folds) => recorded.min(folds),
        };
        let list = state.take_through(through, self);
        list.runs
    }

    /// Makes blocks free that [`release_through`](Self::release_through) or the completion of a
    /// unify has returned. A run that is not leaving is not touched: rather lose it until the next
    /// check than give it out twice.
    pub fn release(&self, runs: &[BlockRun]) {
        let mut state = self.state.lock();
        for run in runs {
            let check =
                state.bitmaps.check(*run, "releasing blocks", "was not freed", |group, mask| {
                    !group.leaving(mask.word) | !group.used(mask.word) | group.persisted(mask.word)
                });
            if let Err(error) = check {
                tracing::error!(%error, "blocks stay in use until the volume is mounted again");
                continue;
            }
            state.bitmaps.change(*run, |group, _, mask| group.clear_leaving(mask));
            let quads = state.bitmaps.give(*run);
            self.ledger.left(run.length);
            self.ledger.freed(run.length, quads);
        }
    }
}

impl State {
    /// Takes what was freed by the deltas through `through` from the queue. What a tree has come to
    /// refer to meanwhile does not leave any more.
    pub(super) fn take_through(&mut self, through: DeltaNumber, space: &Space) -> RunList {
        let later = match through.checked_add(1) {
            Some(next) => self.queue.split_off(&next),
            None => Queue::new(),
        };
        let due = std::mem::replace(&mut self.queue, later);
        let newest = due.last_key_value().map_or(0, |(delta, _)| *delta);
        self.released_through = self.released_through.max(newest);
        let mut list = RunList::default();
        let mut stay = 0;
        for run in due.into_values().flatten() {
            self.bitmaps.change(run, |group, section, mask| {
                let persisted = mask.bits & group.persisted(mask.word);
                group.clear_leaving(Mask { bits: persisted, ..mask });
                stay += u64::from(persisted.count_ones());
                list.push(section.group(), Mask { bits: mask.bits & !persisted, ..mask });
            });
        }
        space.ledger.left(stay);
        list
    }
}
