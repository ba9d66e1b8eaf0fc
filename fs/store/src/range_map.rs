//! An overlay over the map of one file: which runs of logical blocks were replaced, and by what.
//!
//! Purpose: layers of logged deltas keep one for each changed file, and so may whoever collects
//! changes before they are published. A run that the overlay does not know is answered by what lies
//! below it; a run that it knows as a hole is a hole, whatever lies below.
//!
//! Invariants: segments never overlap, are never empty, and an extent is as long as its segment.

use std::collections::BTreeMap;
use std::ops::Range;

use braidfs_format::{Extent, MapChange};

use crate::footprint::Footprint;

/// Replaced runs of logical blocks of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeMap {
    segments: BTreeMap<u64, Segment>,
    footprint: Footprint,
}

/// One run: its length and what backs it (`None`: a hole).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) length: u64,
    pub(crate) extent: Option<Extent>,
}

impl Segment {
    /// The part of this segment from `skip` blocks in, `length` blocks long, as it lies at `start`.
    fn clipped(&self, start: u64, skip: u64, length: u64) -> MapChange {
        let extent = self.extent.as_ref().and_then(|extent| slice(extent, skip, length));
        MapChange { start, length, extent }
    }

    fn footprint(&self) -> Footprint {
        Footprint::of_segment(self.extent.as_ref())
    }
}

/// [`Extent::slice`] with 64-bit arguments, without a copy where the slice is the whole.
pub(crate) fn slice(extent: &Extent, skip: u64, length: u64) -> Option<Extent> {
    if skip == 0 && length == u64::from(extent.length) {
        return Some(extent.clone());
    }
    extent.slice(u32::try_from(skip).ok()?, u32::try_from(length).ok()?)
}

impl RangeMap {
    /// An overlay that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// How many segments it has.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Replaces `change.start..change.start + change.length`. Returns what of its own extents with
    /// blocks on disk was superseded. A change of no length changes nothing.
    pub fn replace(&mut self, change: MapChange) -> Vec<Extent> {
        if change.length == 0 {
            return Vec::new();
        }
        let end = change.start.saturating_add(change.length);
        let superseded = self.remove(change.start..end);
        let segment = Segment { length: end - change.start, extent: change.extent };
        self.insert(change.start, segment);
        superseded
    }

    /// What it knows of `range`, clipped to it, in order. What is not mentioned is not known here.
    pub fn lookup(&self, range: Range<u64>) -> Vec<MapChange> {
        self.segments_in(range.clone())
            .map(|(start, segment)| clip(start, segment, &range))
            .collect()
    }

    /// All segments, in order, as changes that build it up again.
    pub fn into_changes(self) -> Vec<MapChange> {
        let change = |(start, segment): (u64, Segment)| MapChange {
            start,
            length: segment.length,
            extent: segment.extent,
        };
        self.segments.into_iter().map(change).collect()
    }

    /// Takes all segments out, in order.
    pub fn drain(&mut self) -> Vec<MapChange> {
        std::mem::take(self).into_changes()
    }

    /// The segments that overlap `range`, in order, not clipped.
    pub(crate) fn segments_in(
        &self,
        range: Range<u64>,
    ) -> impl Iterator<Item = (u64, &Segment)> + '_ {
        let first = match self.segments.range(..=range.start).next_back() {
            Some((&start, segment)) if start + segment.length > range.start => start,
            _ => range.start,
        };
        let end = range.end.max(first);
        self.segments.range(first..end).map(|(&start, segment)| (start, segment))
    }

    /// All segments, in order.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (u64, &Segment)> + '_ {
        self.segments.iter().map(|(&start, segment)| (start, segment))
    }

    /// What folding it into the tree may cost.
    pub(crate) fn footprint(&self) -> Footprint {
        self.footprint
    }

    /// Forgets `range` and returns the extents with blocks on disk that were in it.
    fn remove(&mut self, range: Range<u64>) -> Vec<Extent> {
        self.split_at(range.start);
        self.split_at(range.end);
        let starts: Vec<u64> = self.segments.range(range).map(|(&start, _)| start).collect();
        let removed = starts.into_iter().filter_map(|start| self.take(start));
        removed
            .filter_map(|segment| segment.extent)
            .filter(|extent| extent.blocks().is_some())
            .collect()
    }

    /// Cuts the segment that spans `block` in two, so that one begins there.
    fn split_at(&mut self, block: u64) {
        let Some((&start, segment)) = self.segments.range(..block).next_back() else { return };
        if start + segment.length <= block {
            return;
        }
        let Some(segment) = self.take(start) else { return };
        let head = block - start;
        let parts = [(start, 0, head), (block, head, segment.length - head)];
        for (at, skip, length) in parts {
            let MapChange { start, length, extent } = segment.clipped(at, skip, length);
            self.insert(start, Segment { length, extent });
        }
    }

    fn insert(&mut self, start: u64, segment: Segment) {
        self.footprint += segment.footprint();
        self.segments.insert(start, segment);
    }

    fn take(&mut self, start: u64) -> Option<Segment> {
        let segment = self.segments.remove(&start)?;
        self.footprint -= segment.footprint();
        Some(segment)
    }
}

/// The part of a segment at `start` that lies within `range`, which it overlaps.
pub(crate) fn clip(start: u64, segment: &Segment, range: &Range<u64>) -> MapChange {
    let from = start.max(range.start);
    let to = (start + segment.length).min(range.end);
    segment.clipped(from, from - start, to - from)
}

#[cfg(test)]
mod tests {
    use braidfs_format::ExtentContent;
    use proptest::prelude::*;

    use super::*;

    fn extent(address: u64, length: u32) -> Extent {
        let content = ExtentContent::Blocks {
            address,
            birth: 1,
            checksums: (0..length).map(|at| address as u32 + at).collect(),
        };
        Extent { length, content }
    }

    fn write(start: u64, address: u64, length: u32) -> MapChange {
        MapChange { start, length: length.into(), extent: Some(extent(address, length)) }
    }

    fn hole(start: u64, length: u64) -> MapChange {
        MapChange { start, length, extent: None }
    }

    #[test]
    fn a_write_in_the_middle_cuts_an_extent_in_two() {
        let mut map = RangeMap::new();
        assert!(map.replace(write(10, 100, 10)).is_empty());
        assert_eq!(map.replace(write(13, 200, 2)), [extent(103, 2)]);
        let expected = [write(10, 100, 3), write(13, 200, 2), write(15, 105, 5)];
        assert_eq!(map.lookup(0..100), expected);
        assert_eq!(map.lookup(12..16), [write(12, 102, 1), write(13, 200, 2), write(15, 105, 1)]);
        assert_eq!(map.clone().into_changes(), expected);
        assert_eq!(map.drain(), expected);
        assert!(map.is_empty() && map.footprint() == Footprint::default());
    }

    #[test]
    fn a_hole_to_the_end_of_all_files_swallows_everything() {
        let mut map = RangeMap::new();
        map.replace(write(10, 100, 10));
        map.replace(write(1000, 300, 2));
        assert_eq!(map.replace(hole(15, (1 << 52) - 15)), [extent(105, 5), extent(300, 2)]);
        assert_eq!(map.lookup(14..1 << 52), [write(14, 104, 1), hole(15, (1 << 52) - 15)]);
        assert_eq!(map.len(), 2);
        assert!(map.replace(hole(0, 0)).is_empty());
        assert_eq!(map.lookup(5..5), []);
    }

    #[test]
    fn what_has_no_blocks_is_not_superseded() {
        let mut map = RangeMap::new();
        let content = ExtentContent::Inline { bytes: vec![1; 2000].into() };
        let inline = Extent { length: 1, content };
        map.replace(MapChange { start: 0, length: 1, extent: Some(inline) });
        assert_eq!(map.footprint().moved_blocks, 1);
        assert!(map.replace(hole(0, 1)).is_empty());
        assert_eq!(map.footprint().moved_blocks, 0);
    }

    proptest! {
        #[test]
        fn it_equals_an_array(changes in prop::collection::vec((0..60u64, 1..20u32, any::<bool>()), 1..40)) {
            let mut map = RangeMap::new();
            // Per block: not known, a hole, or an address.
            let mut array = [None; 80];
            for (number, (start, length, is_hole)) in changes.into_iter().enumerate() {
                let base = 1000 * (number as u64 + 1);
                let change = if is_hole { hole(start, length.into()) } else { write(start, base, length) };
                let mut superseded: Vec<u64> = map
                    .replace(change)
                    .iter()
                    .filter_map(Extent::blocks)
                    .flat_map(|(start, length)| start..start + length)
                    .collect();
                superseded.sort_unstable();
                let mut expected = Vec::new();
                for (at, slot) in (0..u64::from(length)).zip(&mut array[start as usize..]) {
                    expected.extend(slot.replace((!is_hole).then_some(base + at)).flatten());
                }
                expected.sort_unstable();
                prop_assert_eq!(superseded, expected);
            }
            for (from, to) in [(0, 80), (13, 29), (40, 41)] {
                let mut seen = [None; 80];
                for change in map.lookup(from..to) {
                    let address = change.extent.as_ref().and_then(Extent::blocks).map(|(start, _)| start);
                    for at in 0..change.length {
                        seen[(change.start + at) as usize] = Some(address.map(|start| start + at));
                    }
                }
                prop_assert_eq!(&seen[from as usize..to as usize], &array[from as usize..to as usize]);
            }
            let sum = map.segments().fold(Footprint::default(), |sum, (_, segment)| sum + segment.footprint());
            prop_assert_eq!(map.footprint(), sum);
        }
    }
}
