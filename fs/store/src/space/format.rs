//! The bitmaps of a new volume.

use std::collections::BTreeSet;

use braidfs_format::bitmap::BitmapBlock;
use braidfs_format::{BlockAddress, GROUP_BLOCKS, Geometry};
use uuid::Uuid;

use super::rebuild::Rebuilt;
use super::run::BlockRun;
use super::words::{GROUP_WORDS, Words, count_ones, masks, to_bytes};
use crate::error::StoreError;

/// The bits of a group in which only the fixed regions are in use: all but the data area, the
/// blocks past the end of the volume included.
pub(super) fn fixed_words(geometry: &Geometry, group: u64) -> Box<Words> {
    let mut words = Box::new([u64::MAX; GROUP_WORDS]);
    let start = group.saturating_mul(GROUP_BLOCKS);
    let local = |address: BlockAddress| address.saturating_sub(start).min(GROUP_BLOCKS) as u32;
    for mask in masks(local(geometry.data_start)..local(geometry.data_end())) {
        if let Some(word) = words.get_mut(mask.word) {
            *word &= !mask.bits;
        }
    }
    words
}

/// The bitmaps of a new volume.
pub struct FormattedBitmaps {
    /// Blocks in use, fixed regions included, as the superblock has it.
    pub used_blocks: u64,
    geometry: Geometry,
    volume_id: Uuid,
    sequence: u64,
    groups: Rebuilt,
}

/// The bitmaps of a new volume in whose data area only the runs of `in_use` are in use.
///
/// # Errors
/// Corrupt if the runs overlap or do not lie in the data area.
pub fn format_bitmaps(
    geometry: &Geometry,
    volume_id: Uuid,
    sequence: u64,
    in_use: &[BlockRun],
) -> Result<FormattedBitmaps, StoreError> {
    let all: BTreeSet<u64> = (0..geometry.group_count).collect();
    let mut groups = Rebuilt::new(*geometry, &all);
    in_use.iter().for_each(|run| groups.add(*run));
    groups.check()?;
    let ones: u64 = groups.groups.values().map(|words| count_ones(words)).sum();
    let past_the_end = geometry.group_count * GROUP_BLOCKS - geometry.block_count;
    let used_blocks = ones.saturating_sub(past_the_end);
    Ok(FormattedBitmaps { used_blocks, geometry: *geometry, volume_id, sequence, groups })
}

impl FormattedBitmaps {
    /// The blocks to write, in order of their addresses. Both slots of each group: a slot that was
    /// never written could not be told from a damaged one.
    pub fn blocks(&self) -> impl Iterator<Item = (BlockAddress, Vec<u8>)> {
        self.groups.groups.iter().flat_map(move |(group, words)| {
            [0, 1].map(|slot| {
                let address = self.geometry.bitmap_address(*group, slot);
                let block = BitmapBlock {
                    volume_id: self.volume_id,
                    group: *group,
                    address,
                    sequence: self.sequence.saturating_sub(slot),
                    bits: to_bytes(words),
                };
                (address, block.encode())
            })
        })
    }
}
