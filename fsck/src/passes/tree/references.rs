//! How often blocks are referred to, against how often the tree says that they are.
//!
//! The first extent that refers to a block is what its bitmap bit stands for. Those beyond it must
//! be counted in shared ranges: with a count that is too low a block would be freed, and written
//! anew, while a file still has it; one that is too high keeps it from ever being free.

use std::ops::Range;

use braidfs_format::item::SharedRange;

use crate::finding::Finding;
use crate::problem::{SHARED_COUNT_HIGH, SHARED_COUNT_LOW};
use crate::volume::scope::Scope;

/// References beyond the first: those that there are, and those that are counted.
#[derive(Default)]
pub(super) struct References {
    /// Block, change of what there is from there on, change of what is counted.
    steps: Vec<(u64, i64, i64)>,
}

impl References {
    /// One more extent refers to `run`.
    pub(super) fn add(&mut self, run: &Range<u64>) {
        self.steps.extend([(run.start, 1, 0), (run.end, -1, 0)]);
    }

    /// The tree counts so many for the blocks from `start` on.
    pub(super) fn declare(&mut self, start: u64, range: &SharedRange) {
        let extra = i64::from(range.extra_references);
        let end = start.saturating_add(u64::from(range.length));
        self.steps.extend([(start, 0, extra), (end, 0, -extra)]);
    }

    /// Reports where both differ.
    pub(super) fn compare(mut self, scope: &Scope<'_>) {
        self.steps.sort_unstable();
        let (mut at, mut found, mut counted) = (0, 0, 0);
        let mut wrong: Option<(Range<u64>, i64, i64)> = None;
        for (block, change_found, change_counted) in self.steps {
            if block > at && found != counted {
                match &mut wrong {
                    Some((run, was_found, was_counted))
                        if run.end == at && (*was_found, *was_counted) == (found, counted) =>
                    {
                        run.end = block;
                    }
                    _ => report(scope, wrong.replace((at..block, found, counted))),
                }
            }
            at = block;
            found += change_found;
            counted += change_counted;
        }
        report(scope, wrong);
    }
}

fn report(scope: &Scope<'_>, wrong: Option<(Range<u64>, i64, i64)>) {
    let Some((run, found, counted)) = wrong else { return };
    let problem = if counted < found { &SHARED_COUNT_LOW } else { &SHARED_COUNT_HIGH };
    let finding = Finding::new(problem).block(run.start).count(run.end - run.start);
    scope.report(finding.expected(found.unsigned_abs()).found(counted.unsigned_abs()));
}
