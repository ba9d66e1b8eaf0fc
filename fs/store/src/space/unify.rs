//! Bitmaps for the next superblock.
//!
//! From its preparation to its completion both trees count: a block that either refers to is
//! persisted. The bitmaps that are written describe the new tree alone.

use std::collections::BTreeMap;

use braidfs_format::bitmap::BitmapBlock;
use braidfs_format::{BlockAddress, DeltaNumber};

use super::bitmaps::Bitmaps;
use super::defree::RunList;
use super::group::Group;
use super::manager::{Space, UnifyState};
use super::run::BlockRun;
use super::words::{GROUP_WORDS, Mask, Words, count_ones, to_bytes};
use crate::error::StoreError;

const DOING: &str = "unifying the bitmaps";

/// The turn of a unify; there is one at a time. Dropped before its bitmaps are prepared it leaves
/// no trace; dropped between that and its completion, nothing is released any more.
pub struct UnifyTurn<'a> {
    space: &'a Space,
    through: DeltaNumber,
}

/// The bitmaps that a superblock needs, and what to do when it is durable.
pub struct BitmapUpdate {
    /// The blocks to write before the superblock, in order of their addresses.
    pub writes: Vec<(BlockAddress, Vec<u8>)>,
    /// Blocks in use, fixed regions included, as the superblock has it.
    pub used_blocks: u64,
    groups: BTreeMap<usize, Box<Words>>,
}

impl Space {
    /// Begins a unify that folds the deltas through `through`. It must fold every delta whose freed
    /// blocks were let go: its tree would refer to them else.
    ///
    /// # Errors
    /// Invalid if it does not, or if another unify has not ended.
    pub fn begin_unify(&self, through: DeltaNumber) -> Result<UnifyTurn<'_>, StoreError> {
        let mut state = self.state.lock();
        if state.unify != UnifyState::None {
            let detail = "another unify has not ended; unmount the volume and mount it again";
            return Err(StoreError::invalid(DOING, detail));
        }
        if through < state.released_through {
            let detail = "blocks freed by later deltas may be in use again; this is a defect, please \
                          report it";
            return Err(StoreError::invalid(DOING, detail));
        }
        state.unify = UnifyState::Open(through);
        Ok(UnifyTurn { space: self, through })
    }
}

impl UnifyTurn<'_> {
    /// Makes the bitmaps of the tree that came from the last one by freeing and then allocating
    /// these runs: nodes and extents. What is in both stays.
    ///
    /// # Errors
    /// Corrupt if a run was freed that the last tree did not have, or allocated that the new tree
    /// has already or that is not in use; nothing has changed then.
    pub fn prepare(
        &mut self,
        allocated: &[BlockRun],
        freed: &[BlockRun],
        sequence: u64,
    ) -> Result<BitmapUpdate, StoreError> {
        let mut state = self.space.state.lock();
        if state.unify != UnifyState::Open(self.through) {
            return Err(StoreError::invalid(DOING, "the bitmaps are prepared already"));
        }
        let mut draft = Draft { bitmaps: &state.bitmaps, groups: BTreeMap::new() };
        draft.include_rewrites();
        freed.iter().try_for_each(|run| draft.free(*run))?;
        allocated.iter().try_for_each(|run| draft.allocate(*run))?;
        let groups = draft.groups;
        let writes = self.space.encode(&state.bitmaps, &groups, sequence);
        let mut used_blocks = state.persisted_blocks;
        for (index, bits) in &groups {
            if let Some(group) = state.bitmaps.groups.get_mut(*index) {
                used_blocks =
                    (used_blocks + count_ones(bits)).saturating_sub(count_ones(&group.persisted));
                unite(&mut group.persisted, bits);
            }
        }
        state.unify = UnifyState::Prepared(self.through);
        Ok(BitmapUpdate { writes, used_blocks, groups })
    }

    /// Notes that the superblock is durable. Returns the blocks that may be used again once nobody
    /// reads them any more: those of the last tree that the new one does not have, and those that
    /// the folded deltas had freed. They stay pending until [`Space::release`]. Of the first,
    /// those in `held` stay in use: something that is not in the tree yet shares them.
    ///
    /// # Errors
    /// Corrupt if a block that the new tree does not have was freed in another way before.
    pub fn complete(
        self,
        update: BitmapUpdate,
        held: &[BlockRun],
    ) -> Result<Vec<BlockRun>, StoreError> {
        let mut guard = self.space.state.lock();
        let state = &mut *guard;
        let mut list = state.take_through(self.through, self.space);
        let queued = list.blocks;
        let held = state.bitmaps.words_of(held);
        for (index, bits) in update.groups {
            if let Some(group) = state.bitmaps.groups.get_mut(index) {
                group.complete(index, bits, held.get(&index).map(|held| &**held), &mut list)?;
            }
        }
        self.space.ledger.leaving(list.blocks - queued);
        state.persisted_blocks = update.used_blocks;
        state.unify = UnifyState::None;
        Ok(list.runs)
    }
}

impl Drop for UnifyTurn<'_> {
    fn drop(&mut self) {
        let mut state = self.space.state.lock();
        if state.unify == UnifyState::Open(self.through) {
            state.unify = UnifyState::None;
        }
    }
}

impl Space {
    fn encode(
        &self,
        bitmaps: &Bitmaps,
        groups: &BTreeMap<usize, Box<Words>>,
        sequence: u64,
    ) -> Vec<(BlockAddress, Vec<u8>)> {
        let slot_of = |index: usize| bitmaps.groups.get(index).map_or(0, |group| group.slot ^ 1);
        let encode = |index: usize, bits: &Words| {
            let group = index as u64;
            let address = bitmaps.geometry.bitmap_address(group, slot_of(index));
            let volume_id = self.volume_id;
            let block = BitmapBlock { volume_id, group, address, sequence, bits: to_bytes(bits) };
            (address, block.encode())
        };
        groups.iter().map(|(index, bits)| encode(*index, bits)).collect()
    }
}

impl Group {
    /// Makes `bits` the group's persisted ones and tells which blocks leave.
    fn complete(
        &mut self,
        index: usize,
        bits: Box<Words>,
        held: Option<&Words>,
        list: &mut RunList,
    ) -> Result<(), StoreError> {
        for word in 0..GROUP_WORDS {
            let held = held.and_then(|held| held.get(word)).copied().unwrap_or(0);
            let gone = self.persisted(word) & !held & !bits.get(word).copied().unwrap_or(u64::MAX);
            if gone & (!self.used(word) | self.leaving(word)) != 0 {
                let detail = format!("blocks of group {index} are freed twice; check with fsck");
                return Err(StoreError::corrupt(DOING, detail));
            }
            let mask = Mask { word, bits: gone };
            self.set_leaving(mask);
            list.push(index, mask);
        }
        self.persisted = bits;
        self.slot ^= 1;
        self.rewrite = false;
        Ok(())
    }
}

/// Sets in `bits` what is set in `more`.
fn unite(bits: &mut Words, more: &Words) {
    bits.iter_mut().zip(more).for_each(|(word, more)| *word |= more);
}

/// The bits of the groups that change, in the making.
struct Draft<'a> {
    bitmaps: &'a Bitmaps,
    groups: BTreeMap<usize, Box<Words>>,
}

impl Draft<'_> {
    /// Takes in the groups that have to be written anyway.
    fn include_rewrites(&mut self) {
        let bitmaps = self.bitmaps;
        for (index, group) in bitmaps.groups.iter().enumerate() {
            if group.rewrite {
                self.groups.insert(index, group.persisted.clone());
            }
        }
    }

    fn free(&mut self, run: BlockRun) -> Result<(), StoreError> {
        let wrong = "that left the tree was not in it";
        self.apply(run, wrong, |_, word, bits| bits & !word, |word, bits| word & !bits)
    }

    fn allocate(&mut self, run: BlockRun) -> Result<(), StoreError> {
        let wrong = "that came into the tree is in it twice, or is not in use";
        self.apply(run, wrong, |used, word, bits| bits & (word | !used), |word, bits| word | bits)
    }

    /// Changes the words of a run unless `wrong_bits` of (used, word, bits) finds a bit.
    fn apply(
        &mut self,
        run: BlockRun,
        wrong: &str,
        wrong_bits: impl Fn(u64, u64, u64) -> u64,
        change: impl Fn(u64, u64) -> u64,
    ) -> Result<(), StoreError> {
        let mut found = None;
        let (bitmaps, groups) = (self.bitmaps, &mut self.groups);
        bitmaps.look(run, DOING, |index, group, mask| {
            let words = groups.entry(index).or_insert_with(|| group.persisted.clone());
            let Some(word) = words.get_mut(mask.word) else { return };
            let wrong = wrong_bits(group.used(mask.word), *word, mask.bits);
            if wrong != 0 && found.is_none() {
                found = Some(Mask { bits: wrong, ..mask }.first_block(index));
            }
            *word = change(*word, mask.bits);
        })?;
        match found {
            None => Ok(()),
            Some(block) => {
                let detail = format!("a block {wrong}; check the volume with fsck");
                Err(StoreError::corrupt(DOING, detail).at_block(block))
            }
        }
    }
}
