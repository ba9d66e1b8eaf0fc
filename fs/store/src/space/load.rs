//! Reading the bitmaps at mount.
//!
//! In force is the slot with the highest sequence that is not above the superblock's. A slot above
//! it is left over from a unify that never got its superblock; the next unify must write over it.
//! A slot that cannot be read may be such a leftover, torn by a power loss, or have been the one in
//! force: then the other one is out of date, and nothing in it says so. Such a group, and all groups
//! if the sum is not the superblock's, are made anew from the tree.

use std::collections::BTreeSet;

use braidfs_block::BlockDevice;
use braidfs_format::bitmap::BitmapBlock;
use braidfs_format::{BLOCK_SIZE, Geometry, IncompatFeatures, Superblock};

use super::bitmaps::Bitmaps;
use super::format::fixed_words;
use super::group::Group;
use super::manager::Space;
use super::rebuild::Rebuilt;
use super::words::{Words, from_bytes};
use crate::error::{ErrorContext, StoreError};
use crate::tree::Tree;

const DOING: &str = "reading the bitmaps";
/// Groups whose slots are read in one transfer: 1 MiB.
const GROUPS_AT_ONCE: u64 = 128;

/// What one bitmap slot holds.
enum Slot {
    /// A bitmap that the superblock may mean.
    Valid { sequence: u64, bits: Box<Words> },
    /// A bitmap of a superblock that was never written.
    Future,
    /// No bitmap of this group.
    Damaged,
}

/// What is known of a group before its slots are trusted.
struct Found {
    slots: [Slot; 2],
}

impl Space {
    /// Reads the space of the volume that `superblock` describes; `tree` is the tree it points to.
    ///
    /// # Errors
    /// Whatever reading can give, and Corrupt if the bitmaps are damaged and the tree that they have
    /// to be made from uses a block twice.
    pub fn load(
        device: &dyn BlockDevice,
        superblock: &Superblock,
        tree: &Tree,
    ) -> Result<Self, StoreError> {
        let geometry = superblock.geometry;
        let found = read_slots(device, superblock)?;
        let doubtful: BTreeSet<u64> = (0..geometry.group_count)
            .zip(&found)
            .filter(|(group, found)| found.is_doubtful(&geometry, *group))
            .map(|(group, _)| group)
            .collect();
        if !doubtful.is_empty() {
            tracing::warn!(groups = doubtful.len(), "damaged bitmaps are made anew from the tree");
        }
        let space = Self::from_slots(superblock, &found, &doubtful, tree)?;
        if space.persisted_blocks() == superblock.used_blocks {
            return Ok(space);
        }
        tracing::warn!("the bitmaps do not sum up; all of them are made anew from the tree");
        let all = (0..geometry.group_count).collect();
        Self::from_slots(superblock, &found, &all, tree)
    }

    fn from_slots(
        superblock: &Superblock,
        found: &[Found],
        doubtful: &BTreeSet<u64>,
        tree: &Tree,
    ) -> Result<Self, StoreError> {
        let geometry = superblock.geometry;
        let sharing = superblock.incompat.contains(IncompatFeatures::SHARED_EXTENTS);
        let mut rebuilt = if doubtful.is_empty() {
            Rebuilt::new(geometry, doubtful)
        } else {
            Rebuilt::from_tree(geometry, doubtful, tree, sharing)?
        };
        let groups = (0..geometry.group_count).zip(found).map(|(group, found)| {
            let address = geometry.bitmap_address(group, 0);
            match rebuilt.groups.remove(&group) {
                Some(bits) => found.with_bits(bits),
                None => found.in_force(),
            }
            .ok_or_else(|| too_new().at_block(address))
        });
        let groups = groups.collect::<Result<_, StoreError>>()?;
        Ok(Self::new(superblock.volume_id, Bitmaps::new(geometry, groups)))
    }

    fn persisted_blocks(&self) -> u64 {
        self.state.lock().persisted_blocks
    }
}

impl Found {
    /// The index of the valid slot with the highest sequence.
    fn newest(&self) -> Option<usize> {
        match &self.slots {
            [Slot::Valid { sequence: first, .. }, Slot::Valid { sequence: second, .. }] => {
                Some(usize::from(second > first))
            }
            [Slot::Valid { .. }, _] => Some(0),
            [_, Slot::Valid { .. }] => Some(1),
            _ => None,
        }
    }

    fn bits(&self, slot: usize) -> Option<&Words> {
        match self.slots.get(slot) {
            Some(Slot::Valid { bits, .. }) => Some(bits),
            _ => None,
        }
    }

    fn has_damage(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot, Slot::Damaged))
    }

    /// Whether the slots alone do not tell which blocks are in use.
    fn is_doubtful(&self, geometry: &Geometry, group: u64) -> bool {
        let Some(bits) = self.newest().and_then(|slot| self.bits(slot)) else { return true };
        let fixed = fixed_words(geometry, group);
        self.has_damage() || fixed.iter().zip(bits).any(|(fixed, bits)| fixed & !bits != 0)
    }

    /// The group as its newest slot has it.
    fn in_force(&self) -> Option<Group> {
        let slot = self.newest()?;
        let has_future = self.slots.iter().any(|slot| matches!(slot, Slot::Future));
        let bits = Box::new(*self.bits(slot)?);
        Some(Group::new(bits, slot as u64, has_future))
    }

    /// The group with bits that were made anew; `None` if both slots are too new.
    ///
    /// The slot that the next unify writes must not be one whose damage is the only sign that the
    /// other one is out of date: a crash before the superblock would leave no sign at all.
    fn with_bits(&self, bits: Box<Words>) -> Option<Group> {
        let agrees = |slot: usize| self.bits(slot).is_some_and(|valid| *valid == *bits);
        let slot = match &self.slots {
            [Slot::Future, Slot::Future] => return None,
            [Slot::Valid { .. }, Slot::Valid { .. }] => self.newest()?,
            _ if agrees(0) => 0,
            _ if agrees(1) => 1,
            [_, Slot::Future] => 0,
            [Slot::Future, _] => 1,
            [Slot::Damaged, _] => 0,
            [_, Slot::Damaged] => 1,
        };
        Some(Group::new(bits, slot as u64, true))
    }
}

fn too_new() -> StoreError {
    StoreError::corrupt(
        DOING,
        "both bitmaps of a group are newer than the superblock; check the volume with fsck",
    )
}

/// Reads both slots of every group.
fn read_slots(device: &dyn BlockDevice, superblock: &Superblock) -> Result<Vec<Found>, StoreError> {
    let geometry = &superblock.geometry;
    let mut found = Vec::new();
    let mut group = 0;
    while group < geometry.group_count {
        let count = GROUPS_AT_ONCE.min(geometry.group_count - group);
        let address = geometry.bitmap_address(group, 0);
        let mut bytes = vec![0; 2 * count as usize * BLOCK_SIZE];
        device
            .read_at(address.saturating_mul(BLOCK_SIZE as u64), &mut bytes)
            .doing(DOING)
            .map_err(|error| error.at_block(address))?;
        let (blocks, _) = bytes.as_chunks::<BLOCK_SIZE>();
        for ([first, second], group) in blocks.as_chunks::<2>().0.iter().zip(group..) {
            let slots = [(0, first), (1, second)]
                .map(|(slot, block)| judge(block, superblock, group, slot));
            found.push(Found { slots });
        }
        group += count;
    }
    Ok(found)
}

fn judge(block: &[u8], superblock: &Superblock, group: u64, slot: u64) -> Slot {
    let address = superblock.geometry.bitmap_address(group, slot);
    match BitmapBlock::decode(block, superblock.volume_id, group, address) {
        Err(_) => Slot::Damaged,
        Ok(bitmap) if bitmap.sequence > superblock.sequence => Slot::Future,
        Ok(bitmap) => Slot::Valid { sequence: bitmap.sequence, bits: from_bytes(&bitmap.bits) },
    }
}
