//! Who uses the blocks that are in use twice.
//!
//! The maps of blocks say that a block is taken again, not by whom the first time. Only when that
//! has happened, a second sweep looks for the owners.

use std::ops::Range;

use braidfs_format::{Extent, InodeNumber, Item, Key};

use crate::error::Halt;
use crate::finding::Finding;
use crate::passes::tree::TreeFacts;
use crate::problem::BLOCK_TWICE;
use crate::volume::blocks::join_runs;
use crate::volume::leaves::Kinds;
use crate::volume::merged::{Merged, Source, Visitor};

/// Owners of a run that are named.
const OWNER_LIMIT: usize = 4;

/// Reports the runs that are in use twice, in the tree or by the log, with their owners.
pub(super) fn report_conflicts(
    merged: &Merged<'_>,
    tree: &TreeFacts,
    by_log: Vec<Range<u64>>,
) -> Result<(), Halt> {
    let runs = join_runs(tree.claims.conflicts().iter().cloned().chain(by_log).collect());
    if runs.is_empty() {
        return Ok(());
    }
    let conflicts = runs.into_iter().map(|run| {
        let of_node = !tree.claims.nodes().overlap(run.clone()).is_empty();
        Conflict { run, of_node, owners: Vec::new() }
    });
    let mut sweep = OwnerSweep { conflicts: conflicts.collect() };
    merged.walk(Kinds::EXTENTS, &mut sweep)?;
    for conflict in &sweep.conflicts {
        merged.scope.report(conflict.finding());
    }
    Ok(())
}

struct Owner {
    inode: InodeNumber,
    /// Its logical block there.
    offset: u64,
    source: &'static str,
}

struct Conflict {
    run: Range<u64>,
    of_node: bool,
    owners: Vec<Owner>,
}

impl Conflict {
    fn finding(&self) -> Finding {
        let mut words = Vec::new();
        if self.of_node {
            words.push("by the tree itself".to_owned());
        }
        for Owner { inode, offset, source } in &self.owners {
            words.push(format!("by inode {inode} at logical block {offset} ({source})"));
        }
        let mut finding = Finding::new(&BLOCK_TWICE)
            .block(self.run.start)
            .count(self.run.end - self.run.start)
            .detail(words.join(", "));
        finding.inode = self.owners.first().map(|owner| owner.inode);
        finding.other = self.owners.get(1).map(|owner| owner.inode);
        finding
    }
}

/// Looks for extents that lie on conflicts, which are in order.
struct OwnerSweep {
    conflicts: Vec<Conflict>,
}

impl OwnerSweep {
    fn see(&mut self, inode: InodeNumber, start: u64, extent: &Extent, source: &'static str) {
        let Some((address, length)) = extent.blocks() else { return };
        let end = address.saturating_add(length);
        let first = self.conflicts.partition_point(|conflict| conflict.run.end <= address);
        for conflict in self.conflicts.iter_mut().skip(first) {
            if conflict.run.start >= end {
                break;
            }
            if conflict.owners.len() < OWNER_LIMIT {
                let offset = start + conflict.run.start.saturating_sub(address);
                conflict.owners.push(Owner { inode, offset, source });
            }
        }
    }
}

impl Visitor for OwnerSweep {
    fn tree_extent(&mut self, inode: InodeNumber, start: u64, extent: &Extent) -> Result<(), Halt> {
        self.see(inode, start, extent, "in the tree");
        Ok(())
    }

    fn item(&mut self, key: Key, item: Item, source: Source) -> Result<(), Halt> {
        if let (Item::Extent(extent), Source::Log(_)) = (item, source) {
            self.see(key.inode, key.offset, &extent, "in the log");
        }
        Ok(())
    }
}
