//! Merging the layers' changes of the map of a file.

use std::ops::Range;

use braidfs_format::{Extent, InodeNumber};

use super::{Layers, Origin, View};
use crate::pins::ReadPin;
use crate::range_map::{RangeMap, clip};

/// A run of a file that is backed by something.
#[derive(Debug, Clone)]
pub struct Mapped {
    /// Its first logical block.
    pub start: u64,
    /// What backs it.
    pub extent: Extent,
    /// Keeps the blocks from being used anew: keep it until they have been read.
    pub pin: ReadPin,
    /// Where it was found.
    pub(crate) origin: Origin,
}

/// What the layers know of a range of a file's map, and what only the tree does.
#[derive(Debug)]
pub(crate) struct Overlay {
    /// Runs that are backed, in no order.
    pub(crate) known: Vec<(u64, Extent)>,
    /// Runs that no layer says anything about, in order.
    pub(crate) gaps: Vec<Range<u64>>,
    /// Counts the trees that `view` is one of.
    pub(crate) generation: u64,
    pub(crate) view: View,
}

impl Layers {
    /// What the layers know about `range` of the map of `inode`.
    pub(crate) fn map(&self, inode: InodeNumber, range: Range<u64>) -> Overlay {
        let mut known = Vec::new();
        let mut gaps = vec![range];
        for layer in self.newest_first() {
            if let Some(map) = layer.map(inode) {
                gaps = cover(map, &gaps, &mut known);
            }
            if layer.removes(inode) {
                gaps.clear();
            }
            if gaps.is_empty() {
                break;
            }
        }
        Overlay { known, gaps, generation: self.generation, view: self.view() }
    }
}

/// Adds what `map` backs within `gaps` to `known`, and returns what it does not know of them.
fn cover(map: &RangeMap, gaps: &[Range<u64>], known: &mut Vec<(u64, Extent)>) -> Vec<Range<u64>> {
    let mut left = Vec::new();
    for gap in gaps {
        let mut at = gap.start;
        for (start, segment) in map.segments_in(gap.clone()) {
            let change = clip(start, segment, gap);
            if change.start > at {
                left.push(at..change.start);
            }
            at = change.start + change.length;
            known.extend(change.extent.map(|extent| (change.start, extent)));
        }
        if at < gap.end {
            left.push(at..gap.end);
        }
    }
    left
}
