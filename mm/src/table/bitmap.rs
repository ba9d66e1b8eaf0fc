//! A bitmap with one bit for each slot of a node.

use super::SLOTS;

const WORDS: usize = SLOTS / 64;

/// One bit a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bitmap([u64; WORDS]);

impl Bitmap {
    /// Whether the bit is set.
    pub(super) fn get(&self, slot: usize) -> bool {
        self.0[slot / 64] >> (slot % 64) & 1 != 0
    }

    /// Sets or clears the bit.
    pub(super) fn assign(&mut self, slot: usize, value: bool) {
        let bit = 1 << (slot % 64);
        if value {
            self.0[slot / 64] |= bit;
        } else {
            self.0[slot / 64] &= !bit;
        }
    }

    /// The first slot from `slot` on whose bit is set.
    pub(super) fn next_set(&self, slot: usize) -> Option<usize> {
        let mut mask = u64::MAX << (slot % 64);
        for at in slot / 64..WORDS {
            let word = self.0[at] & mask;
            if word != 0 {
                return Some(at * 64 + word.trailing_zeros() as usize);
            }
            mask = u64::MAX;
        }
        None
    }
}
