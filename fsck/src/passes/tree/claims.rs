//! Which blocks the tree takes, and what it takes twice.
//!
//! A damaged tree could claim the whole volume with each of its extents, so claiming has a budget:
//! once four times the data area was claimed there is no doubt about the damage, and the rest is
//! left out. On a volume that shares extents a block may be data of several, which is counted.

use std::ops::Range;

use braidfs_format::{Extent, ExtentContent, Geometry, NODE_BLOCKS};

use super::references::References;
use crate::volume::blocks::{BlockMap, push_run};

/// Runs of doubly used blocks that are kept.
const CONFLICT_LIMIT: usize = 1000;
/// How often over the data area may be claimed.
const BUDGET_FACTOR: u64 = 4;

/// The blocks of nodes and extents.
#[derive(Default)]
pub(crate) struct Claims {
    /// Whether several extents may lie on one block.
    sharing: bool,
    /// How often they do, and how often that is counted.
    pub(super) references: References,
    nodes: BlockMap,
    extents: BlockMap,
    conflicts: Vec<Range<u64>>,
    claimed: u64,
}

impl Claims {
    /// Nothing is claimed; `sharing` says whether several extents may lie on one block.
    pub(super) fn new(sharing: bool) -> Self {
        Self { sharing, ..Self::default() }
    }

    /// Whether several extents may lie on one block.
    pub(crate) fn sharing(&self) -> bool {
        self.sharing
    }

    /// Blocks of tree nodes.
    pub(crate) fn nodes(&self) -> &BlockMap {
        &self.nodes
    }

    /// Blocks of extents.
    pub(crate) fn extents(&self) -> &BlockMap {
        &self.extents
    }

    /// Runs of blocks that are taken more than once, as far as they are kept.
    pub(crate) fn conflicts(&self) -> &[Range<u64>] {
        &self.conflicts
    }

    /// Claims the blocks of a node; `false` if another node has some of them already.
    pub(super) fn claim_node(&mut self, address: u64) -> bool {
        let blocks = address..address.saturating_add(NODE_BLOCKS);
        if !self.nodes.overlap(blocks.clone()).is_empty() {
            return false;
        }
        self.nodes.insert(blocks.clone());
        let of_extents = self.extents.overlap(blocks);
        self.add_conflicts(of_extents);
        true
    }

    /// Claims the blocks of an extent; what lies outside of the data area is left out.
    pub(super) fn claim_extent(&mut self, geometry: &Geometry, extent: &Extent) {
        let Some((address, length)) = extent.blocks() else { return };
        let budget = geometry.block_count.saturating_mul(BUDGET_FACTOR);
        if !geometry.holds_data(address, length) || self.claimed.saturating_add(length) > budget {
            return;
        }
        // Shared data may be claimed without end; each claim has taken its room in the tree.
        let is_data = matches!(extent.content, ExtentContent::Blocks { .. });
        self.claimed += if self.sharing && is_data { 0 } else { length };
        let blocks = address..address + length;
        let of_extents = self.extents.insert(blocks.clone());
        if self.sharing {
            of_extents.iter().for_each(|run| self.references.add(run));
        } else {
            self.add_conflicts(of_extents);
        }
        let of_nodes = self.nodes.overlap(blocks);
        self.add_conflicts(of_nodes);
    }

    fn add_conflicts(&mut self, runs: Vec<Range<u64>>) {
        for run in runs {
            if self.conflicts.len() < CONFLICT_LIMIT {
                push_run(&mut self.conflicts, run);
            }
        }
    }
}
