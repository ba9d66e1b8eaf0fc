//! Blocks that more than one extent refers to, as far as layers and unpublished changes do.
//!
//! Purpose: a block of the log leaves with the last extent of the layers that refers to it, and one
//! that leaves the tree stays while a layer, or a change that is on its way to one, refers to it.
//! How many extents *of the tree* refer to a block, the tree itself says (see `unify`).
//!
//! A range is *tracked* from the moment it is shared until no layer refers to it; a range that is
//! not tracked has the one owner that it was written for. So a volume on which nothing was shared
//! since the last unify looks nothing up.
//!
//! Invariant: the count of a tracked range is the number of extents in layers, the unifying one
//! included, and in unpublished changes, that refer to it.

use std::sync::atomic::{AtomicBool, Ordering};

use braidfs_format::Extent;

use super::{Layer, Layers, run_of};
use crate::range_counts::RangeCounts;
use crate::space::BlockRun;

/// References of layers and unpublished changes to shared blocks.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    references: RangeCounts,
}

/// Whether any range is tracked: asked without the lock of the layers.
#[derive(Debug, Default)]
pub(crate) struct AnyShared(AtomicBool);

impl AnyShared {
    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Sharing {
    /// What the layers refer to after a replay: `references` tells how often, `in_tree` whether the
    /// tree does too.
    pub(crate) fn after_replay(references: RangeCounts) -> Self {
        Self { references }
    }

    /// One more extent refers to `run`. `logged` says whether the one that it was found by is in a
    /// layer.
    pub(super) fn add(&mut self, run: BlockRun, logged: bool) {
        self.references.change(run, |count| match count {
            0 => 1 + u32::from(logged),
            count => count.saturating_add(1),
        });
    }

    /// An extent of a layer, or of an unpublished change, that referred to `run` is gone. Returns
    /// what no other one refers to.
    fn drop_one(&mut self, run: BlockRun, last: &mut Vec<BlockRun>) {
        if self.references.is_empty() {
            last.push(run);
            return;
        }
        for (part, count) in self.references.look(run) {
            if count <= 1 {
                last.push(part);
            }
            self.references.change(part, |count| count.saturating_sub(1));
        }
    }

    /// As [`Self::drop_one`], for several. Runs that a tree refers to are in what it returns, too.
    pub(super) fn drop_all(&mut self, runs: Vec<BlockRun>) -> Vec<BlockRun> {
        if self.references.is_empty() {
            return runs;
        }
        let mut last = Vec::with_capacity(runs.len());
        runs.into_iter().for_each(|run| self.drop_one(run, &mut last));
        last
    }

    /// The extents of `layer` are in the tree now.
    fn note_unified(&mut self, layer: &Layer) {
        if !self.references.is_empty() {
            layer.runs().for_each(|run| {
                self.references.change(run, |count| count.saturating_sub(1));
            });
        }
    }

    /// The parts of `runs` that are referred to.
    fn held_of(&self, runs: &[BlockRun]) -> Vec<BlockRun> {
        if self.references.is_empty() {
            return Vec::new();
        }
        let parts = runs.iter().flat_map(|run| self.references.look(*run));
        parts.filter(|(_, count)| *count > 0).map(|(part, _)| part).collect()
    }

    /// Whether an extent besides the one that it was found by refers to a part of `run`.
    fn has_others(&self, run: BlockRun, logged: bool) -> bool {
        self.references.look(run).iter().any(|(_, count)| *count > u32::from(logged))
    }
}

/// Where an extent was found, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// In a layer, not in the tree.
    pub(crate) logged: bool,
    /// Of the tree below the layers.
    pub(crate) generation: u64,
}

impl Layers {
    /// Takes one more reference to the blocks of each extent; false, and nothing happened, if a
    /// unify has moved things since they were looked up.
    pub(crate) fn share(&mut self, extents: &[(&Extent, Origin)], any: &AnyShared) -> bool {
        if extents.iter().any(|(_, origin)| origin.generation != self.generation) {
            return false;
        }
        any.0.store(true, Ordering::Release);
        for (extent, origin) in extents {
            if let Some(run) = run_of(extent) {
                self.sharing.add(run, origin.logged);
            }
        }
        true
    }

    /// Lets go of blocks that an unpublished change referred to, which may be shared. Returns what
    /// no other one in the layers refers to.
    pub(crate) fn drop_unpublished(&mut self, run: BlockRun) -> Unpublished {
        let mut out = Unpublished::default();
        for (part, count) in self.sharing.references.look(run) {
            match count {
                0 => out.own.push(part),
                1 => out.last.push(part),
                _ => {}
            }
            self.sharing.references.change(part, |count| count.saturating_sub(1));
        }
        out
    }

    /// Notes that the extents of the unifying layer are in the tree now. Returns what of `left`,
    /// which no extent of the tree refers to any more, others still do.
    pub(crate) fn note_unified(&mut self, left: &[BlockRun]) -> Vec<BlockRun> {
        if let Some(layer) = &self.unifying {
            self.sharing.note_unified(layer);
        }
        self.sharing.held_of(left)
    }

    /// Takes over what a replay found to be shared.
    pub(crate) fn set_sharing(&mut self, references: RangeCounts, any: &AnyShared) {
        any.0.store(!references.is_empty(), Ordering::Release);
        self.sharing = Sharing::after_replay(references);
    }

    /// Notes whether anything is tracked still.
    pub(crate) fn update_any_shared(&self, any: &AnyShared) {
        any.0.store(!self.sharing.references.is_empty(), Ordering::Release);
    }

    /// Whether a layer, or a change on its way to one, refers to the blocks of an extent besides
    /// the one that it was found by.
    pub(crate) fn has_other_references(&self, run: BlockRun, origin: Origin) -> bool {
        self.sharing.has_others(run, origin.logged)
    }
}

/// What an unpublished change has let go of.
#[derive(Debug, Default)]
pub(crate) struct Unpublished {
    /// Blocks that were its own: nothing published ever referred to them.
    pub(crate) own: Vec<BlockRun>,
    /// Blocks that were shared with it, and that only the tree may still refer to.
    pub(crate) last: Vec<BlockRun>,
}
