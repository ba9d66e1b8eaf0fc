//! Ranges of blocks, each with a count: who refers to what, where more than one may.
//!
//! Invariants: ranges never overlap and are never empty, counts are never 0, and neighbours that
//! touch have different counts. So a map in which nothing is counted is empty, and asking it costs
//! nothing.

use std::collections::BTreeMap;

use braidfs_format::BlockAddress;

use crate::space::BlockRun;

/// Counts by range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RangeCounts {
    ranges: BTreeMap<BlockAddress, Counted>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    length: u64,
    count: u32,
}

impl RangeCounts {
    /// Whether nothing is counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// All ranges that are counted, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (BlockRun, u32)> + '_ {
        self.ranges.iter().map(|(&start, found)| (BlockRun::new(start, found.length), found.count))
    }

    /// `run` in parts of one count each, in order; what is not counted has the count 0.
    pub(crate) fn look(&self, run: BlockRun) -> Vec<(BlockRun, u32)> {
        let end = run.range().end;
        let mut parts = Vec::new();
        let mut at = run.start;
        let before = self.ranges.range(..=run.start).next_back();
        let within = self.ranges.range(run.start.saturating_add(1)..end.max(run.start + 1));
        for (&start, found) in before.into_iter().chain(within) {
            let (from, to) = (start.max(at), (start + found.length).min(end));
            if from >= to {
                continue;
            }
            if at < from {
                parts.push((BlockRun::new(at, from - at), 0));
            }
            parts.push((BlockRun::new(from, to - from), found.count));
            at = to;
        }
        if at < end {
            parts.push((BlockRun::new(at, end - at), 0));
        }
        parts
    }

    /// Gives each block of `run` the count that `change` makes of the one it has.
    pub(crate) fn change(&mut self, run: BlockRun, mut change: impl FnMut(u32) -> u32) {
        for (part, count) in self.look(run) {
            let changed = change(count);
            if changed != count {
                self.set(part, changed);
            }
        }
    }

    fn set(&mut self, run: BlockRun, count: u32) {
        let end = run.range().end;
        self.split_at(run.start);
        self.split_at(end);
        let starts: Vec<_> = self.ranges.range(run.range()).map(|(&start, _)| start).collect();
        for start in starts {
            self.ranges.remove(&start);
        }
        if count > 0 {
            self.ranges.insert(run.start, Counted { length: run.length, count });
            self.join_at(end);
            self.join_at(run.start);
        }
    }

    /// Cuts the range that spans `address` in two.
    fn split_at(&mut self, address: BlockAddress) {
        let Some((&start, &found)) = self.ranges.range(..address).next_back() else { return };
        let head = address - start;
        if found.length > head {
            self.ranges.insert(start, Counted { length: head, ..found });
            self.ranges.insert(address, Counted { length: found.length - head, ..found });
        }
    }

    /// Joins the two ranges that touch at `address` if they have one count.
    fn join_at(&mut self, address: BlockAddress) {
        let Some(&later) = self.ranges.get(&address) else { return };
        let Some((_, earlier)) =
            self.ranges.range_mut(..address).next_back().filter(|(start, earlier)| {
                **start + earlier.length == address && earlier.count == later.count
            })
        else {
            return;
        };
        earlier.length += later.length;
        self.ranges.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_with_one_count_are_one_range() {
        let mut counts = RangeCounts::default();
        counts.change(BlockRun::new(10, 5), |count| count + 1);
        counts.change(BlockRun::new(15, 5), |count| count + 1);
        counts.change(BlockRun::new(5, 5), |count| count + 1);
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(BlockRun::new(5, 15), 1)]);
        let parts =
            [(BlockRun::new(0, 5), 0), (BlockRun::new(5, 15), 1), (BlockRun::new(20, 2), 0)];
        assert_eq!(counts.look(BlockRun::new(0, 22)), parts);
        counts.change(BlockRun::new(0, 30), |_| 0);
        assert!(counts.is_empty());
    }

    proptest! {
        #[test]
        fn it_equals_an_array(changes in prop::collection::vec((0..60u64, 1..20u64, 0..4u32), 1..40)) {
            let mut counts = RangeCounts::default();
            let mut array = [0u32; 80];
            for (start, length, add) in changes {
                let step = |count: u32| if add == 0 { count.saturating_sub(1) } else { count + add - 1 };
                counts.change(BlockRun::new(start, length), step);
                array[start as usize..(start + length) as usize].iter_mut().for_each(|count| *count = step(*count));
                let mut seen = Vec::new();
                for (run, count) in counts.look(BlockRun::new(0, 80)) {
                    seen.extend(std::iter::repeat_n(count, run.length as usize));
                }
                prop_assert_eq!(&seen[..], &array[..]);
                let ranges: Vec<_> = counts.iter().collect();
                for pair in ranges.windows(2) {
                    prop_assert!(pair[0].0.range().end < pair[1].0.start || pair[0].1 != pair[1].1);
                }
            }
        }
    }
}
