//! The bits of a group as words, and what can be asked of them.
//!
//! Bit `i % 64` of word `i / 64` is block `i` of the group; 1 is in use. As a group begins at a
//! multiple of four, a nibble is an aligned quad.

use std::ops::Range;

use braidfs_format::bitmap::BITMAP_BYTES;
use braidfs_format::{BlockAddress, GROUP_BLOCKS};

/// Words of a group.
pub(super) const GROUP_WORDS: usize = (GROUP_BLOCKS / 64) as usize;

/// The bits of a group.
pub(super) type Words = [u64; GROUP_WORDS];

const QUAD_STARTS: u64 = 0x1111_1111_1111_1111;

/// A word of a group with the bits of it that are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mask {
    pub(super) word: usize,
    pub(super) bits: u64,
}

impl Mask {
    /// The address of the first block that is meant, in group `group`.
    pub(super) fn first_block(self, group: usize) -> BlockAddress {
        let bit = self.word as u64 * 64 + u64::from(self.bits.trailing_zeros());
        group as u64 * GROUP_BLOCKS + bit
    }
}

/// The words that `blocks` of a group lie in, with their bits.
pub(super) fn masks(blocks: Range<u32>) -> impl Iterator<Item = Mask> {
    let end = blocks.end.min(GROUP_BLOCKS as u32);
    let mut next = blocks.start;
    std::iter::from_fn(move || {
        let low = next % 64;
        let length = end.checked_sub(next)?.min(64 - low);
        if length == 0 {
            return None;
        }
        let word = (next / 64) as usize;
        next += length;
        Some(Mask { word, bits: (u64::MAX >> (64 - length)) << low })
    })
}

/// The first bits of the quads of a word that are wholly free.
pub(super) fn free_quads(used: u64) -> u64 {
    let free = !used;
    free & (free >> 1) & (free >> 2) & (free >> 3) & QUAD_STARTS
}

/// The first bits of those of `quads` that any of `bits` lies in.
pub(super) fn quads_touched(quads: u64, bits: u64) -> u64 {
    quads & (bits | (bits >> 1) | (bits >> 2) | (bits >> 3))
}

/// The free bits of a word.
pub(super) fn any_free(used: u64) -> u64 {
    !used
}

/// The free bits of a word that lie in quads with a block in use.
pub(super) fn free_in_broken_quads(used: u64) -> u64 {
    !used & !(free_quads(used) * 0xf)
}

/// Calls `found` with each run of set bits of `bits`, as blocks of the group that `word` is in.
pub(super) fn runs_of_bits(word: usize, mut bits: u64, mut found: impl FnMut(Range<u32>)) {
    let base = word as u32 * 64;
    while bits != 0 {
        let start = bits.trailing_zeros();
        let length = (bits >> start).trailing_ones();
        found(base + start..base + start + length);
        bits &= !((u64::MAX >> (64 - length)) << start);
    }
}

/// Runs of usable blocks in a range of a group, in order.
pub(super) struct Runs<'a> {
    words: &'a Words,
    usable: fn(u64) -> u64,
    next: u32,
    end: u32,
}

impl<'a> Runs<'a> {
    /// Those among `blocks` that `usable` makes out in each word.
    pub(super) fn new(words: &'a Words, blocks: Range<u32>, usable: fn(u64) -> u64) -> Self {
        let end = blocks.end.min(GROUP_BLOCKS as u32);
        Self { words, usable, next: blocks.start, end }
    }

    /// The first block at or behind `from` that is usable, or that is not.
    fn seek(&self, from: u32, usable: bool) -> u32 {
        let mut at = from;
        while at < self.end {
            let used = self.words.get((at / 64) as usize).copied().unwrap_or(u64::MAX);
            let bits = (self.usable)(used);
            let wanted = (if usable { bits } else { !bits }) >> (at % 64);
            if wanted != 0 {
                return (at + wanted.trailing_zeros()).min(self.end);
            }
            at = (at / 64 + 1) * 64;
        }
        self.end
    }
}

impl Iterator for Runs<'_> {
    type Item = Range<u32>;

    fn next(&mut self) -> Option<Range<u32>> {
        let start = self.seek(self.next, true);
        if start >= self.end {
            return None;
        }
        self.next = self.seek(start, false);
        Some(start..self.next)
    }
}

/// The bits as a bitmap block holds them.
pub(super) fn to_bytes(words: &Words) -> Box<[u8; BITMAP_BYTES]> {
    let mut bytes = Box::new([0; BITMAP_BYTES]);
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// The words of the bits of a bitmap block.
pub(super) fn from_bytes(bytes: &[u8; BITMAP_BYTES]) -> Box<Words> {
    let mut words = Box::new([0; GROUP_WORDS]);
    let (chunks, _) = bytes.as_chunks::<8>();
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = u64::from_le_bytes(*chunk);
    }
    words
}

/// How many bits are set.
pub(super) fn count_ones(words: &Words) -> u64 {
    words.iter().map(|word| u64::from(word.count_ones())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_cover_a_range_word_by_word() {
        let all: Vec<_> = masks(60..130).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0], Mask { word: 0, bits: 0xf << 60 });
        assert_eq!(all[1], Mask { word: 1, bits: u64::MAX });
        assert_eq!(all[2], Mask { word: 2, bits: 3 });
        assert_eq!(masks(5..5).count(), 0);
        assert_eq!(masks(32250..40000).map(|mask| mask.bits.count_ones()).sum::<u32>(), 6);
    }

    #[test]
    fn quads_are_whole_or_broken() {
        let used = 0x0000_0000_0000_0120;
        assert_eq!(free_quads(used).count_ones(), 14);
        assert_eq!(free_in_broken_quads(used), 0xed0);
        assert_eq!(quads_touched(free_quads(used), 0x8001), 0x1001);
        assert_eq!(free_quads(u64::MAX), 0);
        assert_eq!(free_in_broken_quads(0), 0);
    }

    #[test]
    fn runs_go_over_words_and_stop_at_the_end() {
        let mut words = [u64::MAX; GROUP_WORDS];
        for mask in masks(10..20).chain(masks(60..200)) {
            words[mask.word] &= !mask.bits;
        }
        let runs = |range| Runs::new(&words, range, any_free).collect::<Vec<_>>();
        assert_eq!(runs(0..GROUP_BLOCKS as u32), [10..20, 60..200]);
        assert_eq!(runs(15..128), [15..20, 60..128]);
        let broken: Vec<_> = Runs::new(&words, 0..300, free_in_broken_quads).collect();
        assert!(matches!(broken[..], [Range { start: 10, end: 12 }]));
    }

    #[test]
    fn runs_of_bits_are_told_in_order() {
        let mut runs = Vec::new();
        runs_of_bits(2, 0b1110_0110, |run| runs.push(run));
        runs_of_bits(3, u64::MAX, |run| runs.push(run));
        assert_eq!(runs, [129..131, 133..136, 192..256]);
    }

    #[test]
    fn bytes_and_words_are_the_same_bits() {
        let mut words = Box::new([0; GROUP_WORDS]);
        words[1] = 1 << 9;
        let bytes = to_bytes(&words);
        assert_eq!(bytes[9], 2);
        assert_eq!(from_bytes(&bytes), words);
        assert_eq!(count_ones(&words), 1);
    }
}
