//! Pass 9: the bitmaps and the counts of the superblock.
//!
//! Both describe the tree on disk, not the log: in use are the fixed regions, the nodes and the
//! extents of the tree. Of the two slots of a group the one in force has the highest sequence that
//! is not above the superblock's; the other one is older, or was being written when the power went,
//! and may be anything.

use std::ops::Range;

use braidfs_format::{
    BLOCK_SIZE, BitmapBlock, FormatErrorKind, GROUP_BLOCKS, Geometry, Superblock,
};

use super::Known;
use super::tree::TreeFacts;
use crate::error::Halt;
use crate::finding::Finding;
use crate::problem::{
    BITMAP_DAMAGED, BLOCKS_MARKED_FREE, BLOCKS_MARKED_USED, INODE_COUNT, NEXT_INODE, NO_BITMAP,
    Problem, USED_BLOCKS,
};
use crate::volume::blocks::{BlockMap, GROUP_WORDS, push_bits};
use crate::volume::scope::Scope;

/// The work of the pass: groups.
pub(crate) fn units(known: &Known) -> u64 {
    known.superblock.as_ref().map_or(0, |superblock| superblock.geometry.group_count)
}

/// Runs the pass.
pub(crate) fn run(scope: &Scope<'_>, known: &mut Known) -> Result<(), Halt> {
    let (Some(superblock), Some(tree)) = (known.superblock.as_ref(), known.tree.as_ref()) else {
        return Ok(());
    };
    let account = Account { scope, superblock, tree, fixed: fixed_regions(&superblock.geometry) };
    let mut used_blocks = 0;
    for group in 0..superblock.geometry.group_count {
        let in_use = account.in_use(group);
        used_blocks += in_use.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        account.check_group(group, &in_use);
        scope.advance(1)?;
    }
    account.check_counts(used_blocks);
    check_next_inode(scope, known, superblock, tree);
    known.used_blocks = used_blocks + known.log_blocks;
    Ok(())
}

/// Superblocks, bitmaps and log, with what alignment leaves before the data area.
fn fixed_regions(geometry: &Geometry) -> BlockMap {
    let mut fixed = BlockMap::default();
    fixed.insert(0..geometry.data_start);
    fixed.insert(geometry.data_end()..geometry.block_count);
    fixed
}

struct Account<'a> {
    scope: &'a Scope<'a>,
    superblock: &'a Superblock,
    tree: &'a TreeFacts,
    fixed: BlockMap,
}

impl Account<'_> {
    /// The blocks of a group that are in use, a bit each.
    fn in_use(&self, group: u64) -> Vec<u64> {
        let claims = &self.tree.claims;
        let maps = [&self.fixed, claims.nodes(), claims.extents()].map(|map| map.group(group));
        (0..GROUP_WORDS)
            .map(|index| maps.iter().fold(0, |word, map| word | map.word(index)))
            .collect()
    }

    fn check_group(&self, group: u64, in_use: &[u64]) {
        let mut slots = Vec::new();
        let mut reasons = Vec::new();
        for slot in 0..2 {
            let address = self.superblock.geometry.bitmap_address(group, slot);
            match self.read_slot(group, address) {
                Ok(bitmap) => slots.push(bitmap),
                Err(reason) => reasons.push((address, reason)),
            }
        }
        slots.retain(|bitmap| bitmap.sequence <= self.superblock.sequence);
        let Some(in_force) = slots.iter().max_by_key(|bitmap| bitmap.sequence) else {
            self.report_missing(group, &reasons);
            return;
        };
        for (address, reason) in reasons.into_iter().filter_map(|(at, why)| Some((at, why?))) {
            self.scope.report(Finding::new(&BITMAP_DAMAGED).block(address).detail(reason));
        }
        self.compare(group, in_use, in_force);
    }

    /// Reads a slot, or says why there is none; a slot that was never written needs no reason.
    fn read_slot(&self, group: u64, address: u64) -> Result<BitmapBlock, Option<String>> {
        let mut block = vec![0; BLOCK_SIZE];
        self.scope.read(address, &mut block).map_err(|error| Some(error.to_string()))?;
        BitmapBlock::decode(&block, self.superblock.volume_id, group, address).map_err(|error| {
            let unwritten =
                error.kind == FormatErrorKind::BadMagic && block.iter().all(|byte| *byte == 0);
            (!unwritten).then(|| error.to_string())
        })
    }

    fn report_missing(&self, group: u64, reasons: &[(u64, Option<String>)]) {
        let reason = reasons.iter().find_map(|(_, reason)| reason.clone());
        let detail = reason.unwrap_or_else(|| "both are of a later sequence or empty".into());
        let address = self.superblock.geometry.bitmap_address(group, 0);
        self.scope.report(Finding::new(&NO_BITMAP).count(group).block(address).detail(detail));
    }

    /// Compares the bits of a group with what is in use, word by word.
    fn compare(&self, group: u64, in_use: &[u64], bitmap: &BitmapBlock) {
        let (mut marked_free, mut marked_used) = (Vec::new(), Vec::new());
        for (index, in_use) in in_use.iter().enumerate() {
            let first = group * GROUP_BLOCKS + index as u64 * 64;
            let (due, found) = (in_use | self.past_end(first), word_of(bitmap, index));
            push_bits(&mut marked_free, first, due & !found);
            push_bits(&mut marked_used, first, found & !due);
        }
        self.report_runs(&BLOCKS_MARKED_FREE, marked_free);
        self.report_runs(&BLOCKS_MARKED_USED, marked_used);
    }

    /// The bits of a word, beginning with block `first`, that are past the end of the volume; they
    /// count as in use.
    fn past_end(&self, first: u64) -> u64 {
        match self.superblock.geometry.block_count.saturating_sub(first) {
            0 => u64::MAX,
            left @ 1..64 => u64::MAX << left,
            _ => 0,
        }
    }

    fn report_runs(&self, problem: &'static Problem, runs: Vec<Range<u64>>) {
        for run in runs {
            let finding = Finding::new(problem).block(run.start);
            self.scope.report(finding.count(run.end - run.start));
        }
    }

    fn check_counts(&self, used_blocks: u64) {
        if used_blocks != self.superblock.used_blocks {
            let finding = Finding::new(&USED_BLOCKS).expected(self.superblock.used_blocks);
            self.scope.report(finding.found(used_blocks));
        }
        let (expected, found) = (self.superblock.inode_count, self.tree.inode_count);
        if expected != found {
            self.scope.report(Finding::new(&INODE_COUNT).expected(expected).found(found));
        }
    }
}

/// Word `index` of a bitmap; bit 0 is its lowest block.
fn word_of(bitmap: &BitmapBlock, index: usize) -> u64 {
    let bytes = bitmap.bits.as_chunks::<8>().0.get(index);
    bytes.map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes))
}

/// Inode numbers are never used again, so the next one must be above all there are: in the
/// superblock above those of the tree, and after replay above all.
fn check_next_inode(scope: &Scope<'_>, known: &Known, superblock: &Superblock, tree: &TreeFacts) {
    let in_tree = (superblock.next_inode, tree.highest_inode);
    let after_replay = known.log.as_ref().zip(known.inodes.highest());
    let after_replay = after_replay.map(|(log, highest)| (log.next_inode, highest));
    let wrong = [Some(in_tree), after_replay].into_iter().flatten();
    if let Some((next, highest)) = wrong.into_iter().find(|(next, highest)| next <= highest) {
        scope.report(Finding::new(&NEXT_INODE).inode(highest).found(next));
    }
}
