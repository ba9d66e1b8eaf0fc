//! Regions: ranges that do not overlap, each with a value, found fast by the addresses in them.
//!
//! Where a mapped range of an address space lies, and what backs it; which run of a file's blocks
//! is where. After the growable memory slots once proposed for KVM: a weight-balanced tree, so that
//! thousands of regions can come and go; and, what mattered more there, *a search that found nothing
//! is remembered* like one that found something, since most are of that kind and repeat themselves.
//!
//! * [`node`], [`edit`], [`mod@find`]: the tree. Its leaves hold up to 63 regions each, so the way
//!   down is short and ends in memory that lies together; its weights count leaves.
//! * [`last`]: what a reader found last. See [`LastLookup`] for when that is out of date.
//! * [`value`]: what becomes of values when regions are cut and joined.
//!
//! Balanced is the *number* of leaves, not the size of the ranges as in the proposal: so the way to
//! the smallest region is as short as that to the largest, and the largest, which are asked for most,
//! are remembered by readers anyway.
//!
//! # Sharing
//!
//! A clone shares all nodes, in constant time; the first change of either copies the way to the
//! leaf it changes, and no more.
//!
//! # Threads
//!
//! Regions are plain data that their owner locks; each reader has a [`LastLookup`] of its own.
//! Addresses are whatever the owner counts in: pages, blocks, bytes.

mod edit;
mod find;
mod last;
mod node;
#[cfg(test)]
mod tests;
mod value;

use std::ops::Range;

use thiserror::Error;

use edit::Shrunk;
use find::{find, first_after, last_at_or_before};
use last::Generations;
use node::{Leaf, Node, Region};

pub use find::{Found, RegionIter};
pub use last::LastLookup;
pub use value::{RegionValue, Uniform};

/// Why a region was refused. The regions are as they were.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegionError {
    /// There is something already.
    #[error(
        "{asked:?} overlaps the region {existing:?}; remove that first, or choose another range"
    )]
    Overlap {
        /// The range that was to be added.
        asked: Range<u64>,
        /// A region that is in its way.
        existing: Range<u64>,
    },
    /// The range has nothing in it.
    #[error("the range {asked:?} is empty; give it a length")]
    Empty {
        /// The range that was to be added.
        asked: Range<u64>,
    },
}

/// Ranges that do not overlap, with a value each. See the module for how.
#[derive(Debug)]
pub struct Regions<V> {
    root: Option<Node<V>>,
    count: usize,
    generations: Generations,
}

impl<V> Clone for Regions<V> {
    /// Shares all nodes. What a reader remembers of the one is no answer for the other, since what
    /// is added to the one from now on is not in the other: so the copy has generations of its own.
    fn clone(&self) -> Self {
        Self { root: self.root.clone(), count: self.count, generations: Generations::new() }
    }
}

impl<V> Default for Regions<V> {
    fn default() -> Self {
        Self { root: None, count: 0, generations: Generations::new() }
    }
}

impl<V> Regions<V> {
    /// No regions.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many regions there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What is at an address: searched for in the tree, whoever asked for it before.
    pub fn find(&self, at: u64) -> Found<'_, V> {
        find(self.root.as_ref(), at)
    }

    /// The regions that overlap a range, in order, whole.
    pub fn iter(&self, range: Range<u64>) -> RegionIter<'_, V> {
        RegionIter::new(self.root.as_ref(), range)
    }

    /// The first part of a range where there is no region.
    pub fn first_gap(&self, range: Range<u64>) -> Option<Range<u64>> {
        let mut at = range.start;
        for (region, _) in self.iter(range.clone()) {
            if region.start > at {
                return Some(at..region.start);
            }
            at = region.end;
        }
        (at < range.end).then_some(at..range.end)
    }

    fn after(&self, at: u64) -> Option<&Region<V>> {
        first_after(self.root.as_ref()?, at)
    }

    fn at_or_before(&self, at: u64) -> Option<&Region<V>> {
        last_at_or_before(self.root.as_ref()?, at)
    }
}

impl<V: Clone> Regions<V> {
    /// What is at an address, from memory if the reader asked for its neighbourhood last. A region
    /// may be found shorter than it is, if it grew since; the value fits the range that is given.
    #[inline]
    pub fn lookup<'a>(&self, at: u64, last: &'a mut LastLookup<V>) -> Found<'a, V> {
        let gap = if last.knows_gap(at, &self.generations) {
            true
        } else if last.knows_region(at, &self.generations) {
            false
        } else {
            self.search(at, last)
        };
        last.recall(gap)
    }

    #[inline(never)]
    fn search(&self, at: u64, last: &mut LastLookup<V>) -> bool {
        last.note(&self.find(at), &self.generations)
    }
}

impl<V: RegionValue> Regions<V> {
    /// Adds a region. It becomes one with a neighbour whose value [joins](RegionValue::join) it.
    pub fn insert(&mut self, range: Range<u64>, value: V) -> Result<(), RegionError> {
        if range.is_empty() {
            return Err(RegionError::Empty { asked: range });
        }
        let gap = match self.find(range.start) {
            Found::Gap(gap) if gap.end >= range.end => gap,
            Found::Gap(gap) => {
                let existing = self.find(gap.end).range();
                return Err(RegionError::Overlap { asked: range, existing });
            }
            Found::Region { range: existing, .. } => {
                return Err(RegionError::Overlap { asked: range, existing });
            }
        };
        let region = Region { start: range.start, end: range.end, value };
        if gap.start < range.start && range.end < gap.end {
            self.add(region);
        } else {
            self.put(region);
        }
        self.generations.note_added();
        Ok(())
    }

    /// Takes out what lies in a range; regions that reach beyond are cut. Returns what was taken
    /// out, in order.
    pub fn remove(&mut self, range: Range<u64>) -> Vec<(Range<u64>, V)> {
        if self.iter(range.clone()).next().is_none() {
            return Vec::new();
        }
        self.generations.note_removed();
        self.cut(range.start);
        self.cut(range.end);
        let starts: Vec<u64> = self.iter(range).map(|(region, _)| region.start).collect();
        let removed = starts.into_iter().filter_map(|start| self.take(start));
        removed.map(|region| (region.start..region.end, region.value)).collect()
    }

    /// Removes what lies in a range and puts a region in its place. Returns what was there.
    pub fn replace(
        &mut self,
        range: Range<u64>,
        value: V,
    ) -> Result<Vec<(Range<u64>, V)>, RegionError> {
        if range.is_empty() {
            return Err(RegionError::Empty { asked: range });
        }
        let removed = self.remove(range.clone());
        self.insert(range, value)?;
        Ok(removed)
    }

    /// Gives the regions in a range other values: those that reach beyond are cut, those that then
    /// equal a neighbour are joined. Gaps stay gaps.
    pub fn update(&mut self, range: Range<u64>, mut change: impl FnMut(&V) -> V) {
        for (range, value) in self.remove(range) {
            let value = change(&value);
            self.put(Region { start: range.start, end: range.end, value });
        }
        // What was there is there again, so a gap that a reader remembers is one still: only the
        // gap that `remove` left for a moment must not be, and nobody could look meanwhile.
    }

    /// Takes out everything.
    pub fn clear(&mut self) {
        (self.root, self.count) = (None, 0);
        self.generations.note_removed();
    }

    /// Puts a region where there is none, and joins it with its neighbours.
    fn put(&mut self, mut region: Region<V>) {
        if let Some(after) = self.after(region.start).filter(|after| after.start == region.end)
            && let Some(value) = region.value.join(region.end - region.start, &after.value)
        {
            let start = after.start;
            if let Some(after) = self.take(start) {
                region = Region { end: after.end, value, ..region };
            }
        }
        let joined = self.at_or_before(region.start).and_then(|before| {
            let touches = before.end == region.start;
            let value =
                touches.then(|| before.value.join(before.end - before.start, &region.value));
            Some((before.start, value??))
        });
        if let Some((start, value)) = joined
            && let Some(before) = self.region_mut(start)
        {
            before.end = region.end;
            before.value = value;
            return;
        }
        self.add(region);
    }

    /// Adds a region where there is none, as one of its own.
    fn add(&mut self, region: Region<V>) {
        self.count += 1;
        match &mut self.root {
            Some(root) => {
                edit::insert(root, region);
            }
            None => {
                let mut leaf = Leaf::default();
                leaf.insert(region);
                self.root = Some(Node::leaf(leaf));
            }
        }
    }

    /// Takes out the region that starts there.
    fn take(&mut self, start: u64) -> Option<Region<V>> {
        let (removed, shrunk) = edit::remove(self.root.as_mut()?, start);
        if shrunk == Shrunk::ToNothing {
            self.root = None;
        }
        self.count -= usize::from(removed.is_some());
        removed
    }

    /// Cuts the region that spans an address in two, so that one begins there.
    fn cut(&mut self, at: u64) {
        let spanning = self.at_or_before(at).filter(|region| region.start < at && at < region.end);
        let Some(&Region { start, end, ref value }) = spanning else { return };
        let (left, right) = (value.part(0, at - start), value.part(at - start, end - at));
        if let Some(region) = self.region_mut(start) {
            region.end = at;
            region.value = left;
            self.add(Region { start: at, end, value: right });
        }
    }

    fn region_mut(&mut self, start: u64) -> Option<&mut Region<V>> {
        edit::region_mut(self.root.as_mut()?, start)
    }
}
