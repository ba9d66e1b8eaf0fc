//! Counting the extents of the tree that refer to shared blocks, while a layer is folded into it.
//!
//! The fold tells which extents entered the tree and which left it. On a volume that shares, a
//! block may do both, or do one of them several times. What counts is the balance: with the number
//! of extents that referred to a block before it gives the number that does so afterwards. Blocks
//! that come from or go to none are those that enter and leave the bitmaps; of the others those
//! whose number is above one have a [`SharedRange`] in the tree.

use braidfs_format::item::SharedRange;
use braidfs_format::{Item, Key};

use super::fold::Folded;
use crate::error::StoreError;
use crate::range_counts::RangeCounts;
use crate::space::{BlockRun, Space};
use crate::tree::TreeEdit;

const DOING: &str = "counting shared blocks";

/// Brings the shared ranges of the tree up to date with what `folded` says, and makes that say
/// which blocks are in the tree now that were not before, and the reverse.
pub(super) fn count_shared(
    edit: &mut TreeEdit,
    space: &Space,
    folded: &mut Folded,
) -> Result<(), StoreError> {
    let entered = std::mem::take(&mut folded.entered);
    let left = std::mem::take(&mut folded.left);
    for (run, balance) in balances(&entered, &left) {
        for (part, in_tree) in space.parts_in_tree(run)? {
            let mut change = Change { edit: &mut *edit, folded: &mut *folded, balance };
            if in_tree {
                change.of_tree(part)?;
            } else {
                change.of_new(part)?;
            }
        }
    }
    Ok(())
}

/// What the balance of one run does.
struct Change<'a> {
    edit: &'a mut TreeEdit,
    folded: &'a mut Folded,
    balance: i64,
}

impl Change<'_> {
    /// To blocks that were not in the tree.
    fn of_new(&mut self, run: BlockRun) -> Result<(), StoreError> {
        let count = counted(self.balance, run)?;
        if count > 0 {
            self.folded.entered.push(run);
        }
        if count > 1 {
            self.recount(run, |_| Ok(count - 1))?;
        }
        Ok(())
    }

    /// To blocks that were.
    fn of_tree(&mut self, run: BlockRun) -> Result<(), StoreError> {
        let balance = self.balance;
        let mut gone = Vec::new();
        self.recount(run, |(part, extra)| {
            let count = counted(i64::from(extra) + 1 + balance, part)?;
            if count == 0 {
                gone.push(part);
            }
            Ok(count.saturating_sub(1))
        })?;
        self.folded.left.extend(gone);
        Ok(())
    }

    /// Gives each part of `run` as many references beyond the first as `count` makes of those that
    /// it has.
    fn recount(
        &mut self,
        run: BlockRun,
        mut count: impl FnMut((BlockRun, u32)) -> Result<u32, StoreError>,
    ) -> Result<(), StoreError> {
        let (keys, before) = self.ranges_near(run)?;
        let mut after = before.clone();
        for (part, extra) in before.look(run) {
            let changed = count((part, extra))?;
            after.change(part, |_| changed);
        }
        if after == before {
            return Ok(());
        }
        for key in keys {
            self.edit.delete(&key)?;
        }
        for (range, extra_references) in after.iter() {
            put_range(self.edit, range, extra_references)?;
        }
        Ok(())
    }

    /// The shared ranges that overlap or touch `run`.
    fn ranges_near(&self, run: BlockRun) -> Result<(Vec<Key>, RangeCounts), StoreError> {
        let end = run.range().end;
        let before = self.edit.last_at_or_before(&Key::shared(run.start))?;
        let from = Key::shared(run.start.saturating_add(1));
        let within = self.edit.range(&from, &Key::shared(end.saturating_add(1)))?;
        let mut keys = Vec::new();
        let mut counts = RangeCounts::default();
        for (key, item) in before.into_iter().chain(within) {
            let Item::Shared(range) = item else { continue };
            let found = BlockRun::new(key.offset, u64::from(range.length));
            if found.range().end >= run.start {
                counts.change(found, |_| range.extra_references);
                keys.push(key);
            }
        }
        Ok((keys, counts))
    }
}

/// Puts a range, in as many items as it needs.
fn put_range(
    edit: &mut TreeEdit,
    range: BlockRun,
    extra_references: u32,
) -> Result<(), StoreError> {
    let BlockRun { mut start, length: mut left } = range;
    while left > 0 {
        let length = u32::try_from(left).unwrap_or(u32::MAX);
        let item = Item::Shared(SharedRange { length, extra_references });
        edit.put(Key::shared(start), item)?;
        start += u64::from(length);
        left -= u64::from(length);
    }
    Ok(())
}

/// The number of references, if there can be so many.
fn counted(count: i64, run: BlockRun) -> Result<u32, StoreError> {
    u32::try_from(count).map_err(|_| {
        let detail = format!("{count} extents would refer to a block; check the volume with fsck");
        StoreError::corrupt(DOING, detail).at_block(run.start)
    })
}

/// The runs that more extents entered with than left with, or the reverse, and the difference.
fn balances(entered: &[BlockRun], left: &[BlockRun]) -> Vec<(BlockRun, i64)> {
    let steps = |runs: &[BlockRun], step: i64| -> Vec<(u64, i64)> {
        runs.iter().flat_map(|run| [(run.start, step), (run.range().end, -step)]).collect()
    };
    let mut steps = [steps(entered, 1), steps(left, -1)].concat();
    steps.sort_unstable();
    let mut balances: Vec<(BlockRun, i64)> = Vec::new();
    let (mut at, mut balance) = (0, 0);
    for (address, step) in steps {
        if address > at && balance != 0 {
            match balances.last_mut() {
                Some((last, before)) if *before == balance && last.range().end == at => {
                    last.length += address - at;
                }
                _ => balances.push((BlockRun::new(at, address - at), balance)),
            }
        }
        at = address;
        balance += step;
    }
    balances
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_enters_and_leaves_as_often_does_not_change() {
        let run = BlockRun::new;
        let balances = balances(&[run(10, 10), run(15, 10), run(40, 2)], &[run(12, 5), run(50, 1)]);
        let expected = [
            (run(10, 2), 1),
            (run(15, 2), 1),
            (run(17, 3), 2),
            (run(20, 5), 1),
            (run(40, 2), 1),
            (run(50, 1), -1),
        ];
        assert_eq!(balances, expected);
    }
}
