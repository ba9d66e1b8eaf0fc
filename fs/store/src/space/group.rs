//! What is known of the blocks of one allocation group.

use super::words::{GROUP_WORDS, Mask, Words};

/// The bits of one group, and its bitmap slots.
pub(super) struct Group {
    /// In use at run time; all blocks outside the data area are.
    pub(super) used: Box<Words>,
    /// Referred to by the tree on the device, or by the one that a unify is writing.
    pub(super) persisted: Box<Words>,
    /// Freed, but not to be given out yet. Mostly nothing, and then absent.
    leaving: Option<Leaving>,
    /// The slot whose bitmap is in force; the other one is written next.
    pub(super) slot: u64,
    /// Whether the next unify must write this group even if nothing changes in it.
    pub(super) rewrite: bool,
}

/// Blocks that leave, and how many they are.
struct Leaving {
    words: Box<Words>,
    count: u32,
}

impl Group {
    /// A group whose bitmap in slot `slot` says `bits`.
    pub(super) fn new(bits: Box<Words>, slot: u64, rewrite: bool) -> Self {
        Self { used: bits.clone(), persisted: bits, leaving: None, slot, rewrite }
    }

    pub(super) fn used(&self, word: usize) -> u64 {
        self.used.get(word).copied().unwrap_or(u64::MAX)
    }

    pub(super) fn persisted(&self, word: usize) -> u64 {
        self.persisted.get(word).copied().unwrap_or(u64::MAX)
    }

    pub(super) fn leaving(&self, word: usize) -> u64 {
        self.leaving.as_ref().and_then(|leaving| leaving.words.get(word).copied()).unwrap_or(0)
    }

    /// Marks blocks as leaving.
    pub(super) fn set_leaving(&mut self, mask: Mask) {
        if mask.bits == 0 {
            return;
        }
        let none = || Leaving { words: Box::new([0; GROUP_WORDS]), count: 0 };
        let leaving = self.leaving.get_or_insert_with(none);
        if let Some(word) = leaving.words.get_mut(mask.word) {
            leaving.count += (mask.bits & !*word).count_ones();
            *word |= mask.bits;
        }
    }

    /// Marks blocks as not leaving, because they are free now or the tree refers to them.
    pub(super) fn clear_leaving(&mut self, mask: Mask) {
        let Some(leaving) = &mut self.leaving else { return };
        if let Some(word) = leaving.words.get_mut(mask.word) {
            leaving.count -= (mask.bits & *word).count_ones();
            *word &= !mask.bits;
        }
        if leaving.count == 0 {
            self.leaving = None;
        }
    }
}
