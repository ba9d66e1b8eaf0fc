//! Random allocation, freeing and unifying against a model that knows every block.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::support::{Volume, assert_sums, persisted_blocks, used_blocks};
use crate::space::{BlockRun, Reservation, Space};

#[derive(Debug, Clone)]
enum Step {
    Reserve {
        blocks: u64,
        quads: u64,
    },
    Data {
        wanted: u64,
    },
    Node,
    /// Frees part of a run that no delta knows yet.
    FreeNow {
        pick: usize,
        skip: u64,
        length: u64,
    },
    /// Replaces part of a run by the next delta.
    Replace {
        pick: usize,
        skip: u64,
        length: u64,
    },
    Mark {
        behind: u64,
    },
    ReadersGo,
    GiveBack,
    /// Folds all but the last `behind` deltas.
    Unify {
        share: usize,
        behind: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let part = || (any::<prop::sample::Index>(), 0u64..40, 1u64..200);
    prop_oneof![
        4 => (0u64..400, 0u64..40).prop_map(|(blocks, quads)| Step::Reserve { blocks, quads }),
        8 => (1u64..400).prop_map(|wanted| Step::Data { wanted }),
        4 => Just(Step::Node),
        3 => part().prop_map(|(pick, skip, length)| Step::FreeNow {
            pick: pick.index(1000), skip, length
        }),
        6 => part().prop_map(|(pick, skip, length)| Step::Replace {
            pick: pick.index(1000), skip, length
        }),
        3 => (0u64..4).prop_map(|behind| Step::Mark { behind }),
        3 => Just(Step::ReadersGo),
        1 => Just(Step::GiveBack),
        2 => (0usize..100, 0u64..6).prop_map(|(share, behind)| Step::Unify { share, behind }),
    ]
}

#[derive(Default)]
struct Model {
    used: BTreeSet<u64>,
    tree: BTreeSet<u64>,
    /// Runs in use that may be freed, of the log and of the tree.
    live: Vec<BlockRun>,
    /// Replaced blocks by the delta that did.
    replaced: BTreeMap<u64, Vec<u64>>,
    /// Blocks of the tree that the log has replaced, with the delta that did.
    dropped: BTreeMap<u64, u64>,
    /// Runs that were returned and not released.
    due: Vec<BlockRun>,
}

struct Run {
    volume: Volume,
    model: Model,
    held: Reservation,
    delta: u64,
    mark: u64,
}

impl Run {
    fn new() -> Self {
        let volume = Volume::new(4096);
        let used = used_blocks(&volume.space);
        let model = Model { tree: used.clone(), used, ..Model::default() };
        Self { volume, model, held: Reservation::default(), delta: 1, mark: 0 }
    }

    fn space(&self) -> &Space {
        &self.volume.space
    }

    fn take(&mut self, run: BlockRun) {
        for block in run.range() {
            assert!(self.model.used.insert(block), "block {block} was given out twice");
        }
        self.model.live.push(run);
    }

    /// Takes a part out of one of the live runs.
    fn pick(&mut self, pick: usize, skip: u64, length: u64) -> Option<BlockRun> {
        let index = pick.checked_rem(self.model.live.len())?;
        let run = self.model.live.swap_remove(index);
        let start = run.start + skip.min(run.length - 1);
        let end = run.range().end.min(start + length);
        let rests = [run.start..start, end..run.range().end];
        for rest in rests.into_iter().filter(|rest| !rest.is_empty()) {
            self.model.live.push(BlockRun::new(rest.start, rest.end - rest.start));
        }
        Some(BlockRun::new(start, end - start))
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Reserve { blocks, quads } => self.reserve(blocks, quads),
            Step::Data { wanted } => self.data(wanted),
            Step::Node => self.node(),
            Step::FreeNow { pick, skip, length } => self.free_now(pick, skip, length),
            Step::Replace { pick, skip, length } => self.replace(pick, skip, length),
            Step::Mark { behind } => {
                self.mark = self.mark.max(self.delta.saturating_sub(behind));
                let due = self.space().release_through(self.mark);
                self.expect_due(due, self.mark, &BTreeSet::new());
            }
            Step::ReadersGo => self.readers_go(),
            Step::GiveBack => self.held = Reservation::default(),
            Step::Unify { share, behind } => self.unify(share, behind),
        }
    }

    fn reserve(&mut self, blocks: u64, quads: u64) {
        let counts = self.space().counts();
        let fits = blocks + 4 * quads <= counts.available && quads <= counts.available_quads;
        let reserved = self.space().reserve(blocks, quads);
        assert_eq!(reserved.is_ok(), fits);
        if let Ok(more) = reserved {
            self.held.join(more);
        }
    }

    fn data(&mut self, wanted: u64) {
        let before = self.held.blocks();
        let run = self.volume.space.allocate_run(&mut self.held, wanted);
        assert_eq!(run.is_ok(), before > 0);
        if let Ok(run) = run {
            assert!(run.length > 0 && run.length <= wanted.min(before));
            assert_eq!(self.held.blocks(), before - run.length);
            self.take(run);
        }
    }

    fn node(&mut self) {
        let quads = self.held.quads();
        let node = self.volume.space.allocate_node(&mut self.held);
        assert_eq!(node.is_ok(), quads > 0);
        if let Ok(node) = node {
            assert_eq!((node % 4, self.held.quads()), (0, quads - 1));
            self.take(BlockRun::new(node, 4));
        }
    }

    fn free_now(&mut self, pick: usize, skip: u64, length: u64) {
        let Some(run) = self.pick(pick, skip, length) else { return };
        let in_tree = run.range().any(|block| self.model.tree.contains(&block));
        assert_eq!(self.space().free_now(run).is_ok(), !in_tree);
        if in_tree {
            self.model.live.push(run);
        } else {
            run.range().for_each(|block| assert!(self.model.used.remove(&block)));
        }
    }

    fn replace(&mut self, pick: usize, skip: u64, length: u64) {
        let Some(run) = self.pick(pick, skip, length) else { return };
        self.delta += 1;
        self.space().free_after(run, self.delta).unwrap();
        for block in run.range() {
            if self.model.tree.contains(&block) {
                self.model.dropped.insert(block, self.delta);
            } else {
                self.model.replaced.entry(self.delta).or_default().push(block);
            }
        }
    }

    /// What was freed through `through` must come, but for what the tree refers to.
    fn expect_due(&mut self, due: Vec<BlockRun>, through: u64, leaving: &BTreeSet<u64>) {
        let later = self.model.replaced.split_off(&(through + 1));
        let expected = std::mem::replace(&mut self.model.replaced, later);
        let expected: BTreeSet<u64> = expected.into_values().flatten().collect();
        let found: BTreeSet<u64> = due.iter().flat_map(|run| run.range()).collect();
        assert_eq!(found, &(&expected - &self.model.tree) | leaving);
        self.model.due.extend(due);
    }

    fn readers_go(&mut self) {
        let due = std::mem::take(&mut self.model.due);
        self.space().release(&due);
        due.iter().flat_map(|run| run.range()).for_each(|block| {
            assert!(self.model.used.remove(&block));
        });
    }

    /// Runs that a tree of the deltas through `through` may come to hold: some of those that only
    /// the log refers to, and some that a later delta has replaced.
    fn entering(&mut self, share: usize, through: u64) -> Vec<BlockRun> {
        let model = &mut self.model;
        let in_log = |run: &&BlockRun| run.range().all(|block| !model.tree.contains(&block));
        let count = model.live.len() * share / 100;
        let mut entering: Vec<_> = model.live.iter().filter(in_log).take(count).copied().collect();
        for (delta, blocks) in model.replaced.range(through + 1..) {
            for block in blocks.iter().filter(|block| !model.tree.contains(block)) {
                if *block as usize % 100 < share {
                    entering.push(BlockRun::new(*block, 1));
                    model.dropped.insert(*block, *delta);
                }
            }
        }
        entering
    }

    fn unify(&mut self, share: usize, behind: u64) {
        self.mark = self.mark.max(self.delta.saturating_sub(behind));
        let entering = self.entering(share, self.mark);
        let due_to_leave = |(_, delta): &(&u64, &u64)| **delta <= self.mark;
        let leaving: BTreeSet<u64> =
            self.model.dropped.iter().filter(due_to_leave).map(|(block, _)| *block).collect();
        self.model.dropped.retain(|block, _| !leaving.contains(block));
        let freed: Vec<_> = leaving.iter().map(|block| BlockRun::new(*block, 1)).collect();
        let space = self.volume.space.clone();
        let mut turn = space.begin_unify(self.mark).unwrap();
        let sequence = self.volume.superblock.sequence + 1;
        let update = turn.prepare(&entering, &freed, sequence).unwrap();
        self.volume.write(&update);
        self.model.tree.extend(entering.iter().flat_map(|run| run.range()));
        let due = turn.complete(update, &[]).unwrap();
        self.expect_due(due, self.mark, &leaving);
        self.model.tree.retain(|block| !leaving.contains(block));
        assert_eq!(self.volume.superblock.used_blocks, self.model.tree.len() as u64);
        let found = persisted_blocks(&self.volume.reload().unwrap());
        assert_eq!(found, self.model.tree);
    }

    fn check(&self) {
        assert_sums(self.space());
        assert_eq!(used_blocks(self.space()), self.model.used);
        let counts = self.space().counts();
        let reserved = self.held.blocks() + 4 * self.held.quads();
        assert_eq!(counts.available, counts.free - reserved);
        assert_eq!(counts.available_quads, counts.free_quads - self.held.quads());
        let replaced: usize = self.model.replaced.values().map(Vec::len).sum();
        let due: u64 = self.model.due.iter().map(|run| run.length).sum();
        assert_eq!(counts.pending, replaced as u64 + due);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_block_is_where_the_model_has_it(steps in prop::collection::vec(step(), 1..120)) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
            run.check();
        }
    }
}
