//! Maps of blocks.
//!
//! One bit a block in chunks the size of an allocation group, so that a chunk compares with a
//! bitmap block bit by bit. A chunk that holds nothing takes no memory, and one that is all set
//! takes none beyond its entry, so a map costs a bit for each block of the groups that are partly
//! used.
//!
//! Invariant: `count` is the number of set bits; an absent chunk is all clear.

use std::collections::BTreeMap;
use std::ops::Range;

use braidfs_format::GROUP_BLOCKS;

/// 64-bit words of the bits of a group.
pub(crate) const GROUP_WORDS: usize = (GROUP_BLOCKS / 64) as usize;

enum Chunk {
    Full,
    Bits(Box<[u64; GROUP_WORDS]>),
}

/// A set of blocks.
#[derive(Default)]
pub(crate) struct BlockMap {
    chunks: BTreeMap<u64, Chunk>,
    count: u64,
}

impl BlockMap {
    /// How many blocks are in the set.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Adds `range` and returns the runs of it that were in the set before.
    pub(crate) fn insert(&mut self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut taken = Vec::new();
        for (group, inner) in by_group(range) {
            self.insert_in_group(group, inner, &mut taken);
        }
        taken
    }

    fn insert_in_group(&mut self, group: u64, inner: Range<u64>, taken: &mut Vec<Range<u64>>) {
        let base = group * GROUP_BLOCKS;
        let whole = inner == (0..GROUP_BLOCKS);
        let chunk = match self.chunks.get_mut(&group) {
            None if whole => {
                self.chunks.insert(group, Chunk::Full);
                self.count += GROUP_BLOCKS;
                return;
            }
            None => {
                self.chunks.entry(group).or_insert_with(|| Chunk::Bits(Box::new([0; GROUP_WORDS])))
            }
            Some(chunk) => chunk,
        };
        let Chunk::Bits(words) = chunk else {
            push_run(taken, base + inner.start..base + inner.end);
            return;
        };
        for (index, mask) in by_word(inner) {
            let Some(word) = words.get_mut(index) else { continue };
            push_bits(taken, base + index as u64 * 64, *word & mask);
            self.count += u64::from((mask & !*word).count_ones());
            *word |= mask;
        }
    }

    /// The runs of `range` that are in the set.
    pub(crate) fn overlap(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut found = Vec::new();
        for (group, inner) in by_group(range) {
            let base = group * GROUP_BLOCKS;
            match self.chunks.get(&group) {
                None => {}
                Some(Chunk::Full) => push_run(&mut found, base + inner.start..base + inner.end),
                Some(Chunk::Bits(words)) => {
                    for (index, mask) in by_word(inner) {
                        let word = words.get(index).copied().unwrap_or_default();
                        push_bits(&mut found, base + index as u64 * 64, word & mask);
                    }
                }
            }
        }
        found
    }

    /// The bits of a group.
    pub(crate) fn group(&self, group: u64) -> GroupBits<'_> {
        GroupBits(self.chunks.get(&group))
    }
}

/// The bits of one group of a map.
pub(crate) struct GroupBits<'a>(Option<&'a Chunk>);

impl GroupBits<'_> {
    /// Word `index` of the [`GROUP_WORDS`]; its bit 0 is its lowest block.
    pub(crate) fn word(&self, index: usize) -> u64 {
        match self.0 {
            None => 0,
            Some(Chunk::Full) => u64::MAX,
            Some(Chunk::Bits(words)) => words.get(index).copied().unwrap_or_default(),
        }
    }
}

/// Cuts `range` at the borders of groups: the group and the range within it.
fn by_group(range: Range<u64>) -> impl Iterator<Item = (u64, Range<u64>)> {
    let mut next = range.start;
    std::iter::from_fn(move || {
        if next >= range.end {
            return None;
        }
        let group = next / GROUP_BLOCKS;
        let start = next % GROUP_BLOCKS;
        let length = (range.end - next).min(GROUP_BLOCKS - start);
        next += length;
        Some((group, start..start + length))
    })
}

/// Cuts a range within a group into words: the index and the mask of its bits.
fn by_word(inner: Range<u64>) -> impl Iterator<Item = (usize, u64)> {
    let words = inner.start / 64..inner.end.div_ceil(64);
    words.map(move |index| {
        let low = inner.start.saturating_sub(index * 64);
        let high = (inner.end - index * 64).min(64);
        let above = if high == 64 { 0 } else { u64::MAX << high };
        (index as usize, (u64::MAX << low) & !above)
    })
}

/// Appends `run`, joined with the last one where they touch.
pub(crate) fn push_run(runs: &mut Vec<Range<u64>>, run: Range<u64>) {
    match runs.last_mut() {
        Some(last) if last.end == run.start => last.end = run.end,
        _ => runs.push(run),
    }
}

/// The runs in order, with those joined that overlap or touch.
pub(crate) fn join_runs(mut runs: Vec<Range<u64>>) -> Vec<Range<u64>> {
    runs.sort_by_key(|run| run.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for run in runs {
        match joined.last_mut() {
            Some(last) if run.start < last.end => last.end = last.end.max(run.end),
            _ => push_run(&mut joined, run),
        }
    }
    joined
}

/// Appends the runs of set bits of a word whose lowest bit is block `base`.
pub(crate) fn push_bits(runs: &mut Vec<Range<u64>>, base: u64, mut bits: u64) {
    while bits != 0 {
        let start = bits.trailing_zeros();
        let length = (bits >> start).trailing_ones();
        push_run(runs, base + u64::from(start)..base + u64::from(start + length));
        let end = start + length;
        bits = if end == 64 { 0 } else { bits & (u64::MAX << end) };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand_xoshiro::SplitMix64;
    use rand_xoshiro::rand_core::{RngCore, SeedableRng};

    use super::*;

    fn blocks_of(runs: &[Range<u64>]) -> Vec<u64> {
        runs.iter().cloned().flatten().collect()
    }

    #[test]
    fn a_map_behaves_like_a_set() {
        let mut random = SplitMix64::seed_from_u64(1);
        let (mut map, mut set) = (BlockMap::default(), BTreeSet::new());
        for _ in 0..500 {
            let start = random.next_u64() % (3 * GROUP_BLOCKS);
            let end = start + random.next_u64() % 300;
            let expected: Vec<_> = (start..end).filter(|block| set.contains(block)).collect();
            assert_eq!(blocks_of(&map.overlap(start..end)), expected);
            assert_eq!(blocks_of(&map.insert(start..end)), expected);
            set.extend(start..end);
            assert_eq!(map.count(), set.len() as u64);
        }
        for block in 0..4 * GROUP_BLOCKS {
            let (group, inner) = (block / GROUP_BLOCKS, block % GROUP_BLOCKS);
            let bit = map.group(group).word((inner / 64) as usize) >> (inner % 64) & 1;
            assert_eq!(bit == 1, set.contains(&block));
        }
    }

    #[test]
    fn whole_groups_take_no_bits() {
        let mut map = BlockMap::default();
        assert!(map.insert(5..5).is_empty());
        assert!(map.insert(GROUP_BLOCKS - 1..1 << 32).is_empty());
        assert_eq!(map.count(), (1 << 32) - GROUP_BLOCKS + 1);
        assert_eq!(map.insert(1 << 30..(1 << 30) + 5), vec![1 << 30..(1 << 30) + 5]);
        assert_eq!(map.group(7).word(503), u64::MAX);
    }

    #[test]
    fn runs_are_put_in_order_and_joined() {
        assert_eq!(join_runs(vec![10..12, 1..4, 4..5, 2..3, 11..15]), [1..5, 10..15]);
    }

    #[test]
    fn runs_join_across_words_and_groups() {
        let mut map = BlockMap::default();
        map.insert(60..GROUP_BLOCKS + 70);
        assert_eq!(map.overlap(0..2 * GROUP_BLOCKS), vec![60..GROUP_BLOCKS + 70]);
    }
}
