//! The blocks that logged extents take.
//!
//! The tree on disk stays in force until the next unify, so nothing that the log has written may
//! lie on blocks of its nodes or extents, with one exception: a file may write into blocks that the
//! tree has reserved for it, and then its own logged extent replaces its own extent of the tree. An
//! extent that is older than the delta that logs it shares blocks that others have.

use std::ops::Range;

use braidfs_format::{DeltaNumber, Extent, ExtentContent, Geometry, InodeNumber, Key};

use crate::finding::Finding;
use crate::passes::tree::Claims;
use crate::problem::{EXTENT_OUTSIDE, EXTENT_TOO_NEW, LOGGED_BLOCK_IN_TREE};
use crate::volume::blocks::{BlockMap, join_runs};
use crate::volume::scope::Scope;

/// Runs of doubly used blocks that are kept.
const CONFLICT_LIMIT: usize = 1000;

/// Reports an extent of the tree that is not within the data area. Those of the log, replay has
/// seen to.
pub(super) fn check_place(scope: &Scope<'_>, geometry: &Geometry, key: Key, extent: &Extent) {
    if let Some((address, length)) = extent.blocks()
        && !geometry.holds_data(address, length)
    {
        let finding = Finding::new(&EXTENT_OUTSIDE).inode(key.inode).offset(key.offset);
        scope.report(finding.block(address).count(length));
    }
}

/// Reports an extent that is younger than `delta`, which refers to it.
pub(super) fn check_birth(scope: &Scope<'_>, key: Key, extent: &Extent, delta: DeltaNumber) {
    if let ExtentContent::Blocks { birth, .. } | ExtentContent::Unwritten { birth, .. } =
        extent.content
        && birth > delta
    {
        let finding = Finding::new(&EXTENT_TOO_NEW).inode(key.inode).offset(key.offset);
        scope.report(finding.expected(delta).found(birth));
    }
}

/// A run of blocks of the tree that a logged extent of the current inode lies on.
struct Hit {
    /// The logical block at its start.
    offset: u64,
    blocks: Range<u64>,
}

/// The blocks that logged extents take, and what they collide with.
pub(super) struct LogClaims<'a> {
    tree: &'a Claims,
    log: BlockMap,
    /// Those of them that the delta which refers to them has written.
    written: BlockMap,
    conflicts: Vec<Range<u64>>,
    hits: Vec<Hit>,
    /// Blocks of the log that are blocks of the tree, too.
    shared_blocks: u64,
    /// Whether the log has blocks of the current inode at all.
    watches: bool,
    /// What the tree has of the current inode.
    in_tree: Vec<Range<u64>>,
    /// What of that the log has left in force.
    visible: Vec<Range<u64>>,
}

impl<'a> LogClaims<'a> {
    pub(super) fn new(tree: &'a Claims) -> Self {
        Self {
            tree,
            log: BlockMap::default(),
            written: BlockMap::default(),
            conflicts: Vec::new(),
            hits: Vec::new(),
            shared_blocks: 0,
            watches: false,
            in_tree: Vec::new(),
            visible: Vec::new(),
        }
    }

    /// Begins a new inode, of which the log has blocks or not.
    pub(super) fn enter(&mut self, watches: bool) {
        self.watches = watches;
    }

    pub(super) fn see_in_tree(&mut self, extent: &Extent) {
        if self.watches {
            self.in_tree.extend(range_of(extent));
        }
    }

    pub(super) fn see_visible(&mut self, extent: &Extent) {
        if self.watches {
            self.visible.extend(range_of(extent));
        }
    }

    /// Claims the blocks of an extent that `delta` has logged for logical block `offset`.
    pub(super) fn claim(&mut self, offset: u64, extent: &Extent, delta: DeltaNumber) {
        let Some(blocks) = range_of(extent) else { return };
        let of_nodes = self.tree.nodes().overlap(blocks.clone());
        self.add_conflicts(of_nodes.into_iter());
        let known = self.log.insert(blocks.clone());
        let in_tree = self.tree.extents().overlap(blocks.clone());
        let new = outside(&blocks, &join_runs(known));
        let of_tree = new.iter().flat_map(|run| inside(run, &in_tree));
        self.shared_blocks += of_tree.map(|run| run.end - run.start).sum::<u64>();
        if self.tree.sharing() && is_older(extent, delta) {
            return;
        }
        let written_twice = self.written.insert(blocks.clone());
        self.add_conflicts(written_twice.into_iter());
        for run in in_tree {
            let offset = offset + (run.start - blocks.start);
            self.hits.push(Hit { offset, blocks: run });
        }
    }

    /// Judges where logged extents of the current inode lie on extents of the tree.
    pub(super) fn finish_inode(&mut self, scope: &Scope<'_>, inode: InodeNumber) {
        let hits = std::mem::take(&mut self.hits);
        let in_tree = join_runs(std::mem::take(&mut self.in_tree));
        let visible = join_runs(std::mem::take(&mut self.visible));
        for hit in hits {
            for run in outside(&hit.blocks, &in_tree) {
                let finding = Finding::new(&LOGGED_BLOCK_IN_TREE)
                    .inode(inode)
                    .offset(hit.offset + (run.start - hit.blocks.start))
                    .block(run.start)
                    .count(run.end - run.start);
                scope.report(finding);
            }
            let twice = inside(&hit.blocks, &visible);
            self.add_conflicts(twice.into_iter());
        }
    }

    /// Blocks that the log refers to and the tree does not.
    pub(super) fn own_blocks(&self) -> u64 {
        self.log.count().saturating_sub(self.shared_blocks)
    }

    pub(super) fn into_conflicts(self) -> Vec<Range<u64>> {
        self.conflicts
    }

    fn add_conflicts(&mut self, runs: impl Iterator<Item = Range<u64>>) {
        let room = CONFLICT_LIMIT.saturating_sub(self.conflicts.len());
        self.conflicts.extend(runs.take(room));
    }
}

/// Whether an extent is older than the delta that refers to it: it shares the blocks of another.
fn is_older(extent: &Extent, delta: DeltaNumber) -> bool {
    match extent.content {
        ExtentContent::Blocks { birth, .. } | ExtentContent::Unwritten { birth, .. } => {
            birth < delta
        }
        ExtentContent::Inline { .. } => false,
    }
}

fn range_of(extent: &Extent) -> Option<Range<u64>> {
    extent.blocks().map(|(address, length)| address..address.saturating_add(length))
}

/// The parts of `run` that lie in one of `ranges`, which are in order and disjoint.
fn inside(run: &Range<u64>, ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let first = ranges.partition_point(|range| range.end <= run.start);
    let near = ranges.iter().skip(first).take_while(|range| range.start < run.end);
    near.map(|range| range.start.max(run.start)..range.end.min(run.end)).collect()
}

/// The parts of `run` that lie in none of `ranges`, which are in order and disjoint.
fn outside(run: &Range<u64>, ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut parts = Vec::new();
    let mut next = run.start;
    for part in inside(run, ranges) {
        if next < part.start {
            parts.push(next..part.start);
        }
        next = part.end;
    }
    if next < run.end {
        parts.push(next..run.end);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_split_by_ranges() {
        let ranges = [5..10, 12..20, 30..40];
        assert_eq!(inside(&(8..35), &ranges), [8..10, 12..20, 30..35]);
        assert_eq!(outside(&(8..35), &ranges), [10..12, 20..30]);
        assert_eq!(outside(&(12..20), &ranges), []);
        assert_eq!(outside(&(50..51), &ranges), [Range { start: 50, end: 51 }]);
        assert_eq!(inside(&(50..51), &ranges), []);
    }
}
