//! Making bitmaps anew from what they describe.

use std::collections::{BTreeMap, BTreeSet};

use braidfs_format::{BlockAddress, GROUP_BLOCKS, Geometry};

use super::format::fixed_words;
use super::run::BlockRun;
use super::words::{Mask, Words, masks};
use crate::error::StoreError;
use crate::tree::Tree;

/// The bits of some groups, made from runs that are in use.
pub(super) struct Rebuilt {
    /// The bits by group.
    pub(super) groups: BTreeMap<u64, Box<Words>>,
    geometry: Geometry,
    /// Whether several extents may lie on one block.
    sharing: bool,
    /// The first thing that was wrong with a run.
    wrong: Option<(BlockAddress, &'static str)>,
}

impl Rebuilt {
    /// Bits for these groups in which only the fixed regions are in use.
    pub(super) fn new(geometry: Geometry, groups: &BTreeSet<u64>) -> Self {
        let groups = groups.iter().map(|group| (*group, fixed_words(&geometry, *group))).collect();
        Self { groups, geometry, sharing: false, wrong: None }
    }

    /// Bits for these groups as `tree` has them; with `sharing` extents may lie on one block.
    ///
    /// # Errors
    /// Corrupt if two parts of the tree use one block of these groups, or one lies where no data
    /// may lie; and whatever reading the tree can give.
    pub(super) fn from_tree(
        geometry: Geometry,
        groups: &BTreeSet<u64>,
        tree: &Tree,
        sharing: bool,
    ) -> Result<Self, StoreError> {
        let mut rebuilt = Self { sharing, ..Self::new(geometry, groups) };
        tree.visit_blocks(&mut |run| rebuilt.add(run))?;
        rebuilt.check()?;
        Ok(rebuilt)
    }

    /// Marks a run as in use.
    pub(super) fn add(&mut self, run: BlockRun) {
        if !self.geometry.holds_data(run.start, run.length) {
            self.wrong.get_or_insert((run.start, "it lies where no data may lie"));
            return;
        }
        let end = run.range().end;
        let mut start = run.start;
        while start < end {
            let group = start / GROUP_BLOCKS;
            let base = group * GROUP_BLOCKS;
            let next = end.min(base + GROUP_BLOCKS);
            let local = (start - base) as u32..(next - base) as u32;
            if let Some(words) = self.groups.get_mut(&group) {
                let twice = masks(local).fold(None, |first, mask| first.or(set(words, mask)));
                if let Some(mask) = twice.filter(|_| !self.sharing) {
                    let block = mask.first_block(group as usize);
                    self.wrong.get_or_insert((block, "it is used twice"));
                }
            }
            start = next;
        }
    }

    /// Whether all runs could be what they said.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.wrong {
            None => Ok(()),
            Some((block, why)) => {
                let detail = format!("a block of the tree cannot be right: {why}; run fsck");
                Err(StoreError::corrupt("rebuilding the bitmaps", detail).at_block(block))
            }
        }
    }
}

/// Sets the bits of `mask`; returns those that were set before.
fn set(words: &mut Words, mask: Mask) -> Option<Mask> {
    let word = words.get_mut(mask.word)?;
    let before = *word & mask.bits;
    *word |= mask.bits;
    (before != 0).then_some(Mask { bits: before, ..mask })
}
