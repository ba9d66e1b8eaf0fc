//! Random operations on a volume below FUSE, compared with the reference model after every step.
//!
//! `BRAIDFS_MODEL_SEQUENCES` sets how many sequences there are in all. A failure prints its seed and its
//! steps; what was found that way stands below as a test of its own.

use std::sync::Arc;

use braidfs::MountOptions;
use braidfs_block::MemoryDevice;
use braidfs_pagecache::WritebackPolicy;
use braidfs_tests::check::assert_clean;
use braidfs_tests::shrink::check;
use braidfs_tests::steps::{Data, Scale, Step, Steps};
use braidfs_tests::world::{World, repeatable};

/// Sequences of all policies together, if the environment does not say otherwise.
const SEQUENCES: u64 = 300;
const STEPS: usize = 60;
const VOLUME_BYTES: u64 = 64 << 20;

fn sequences() -> u64 {
    let wanted = std::env::var("BRAIDFS_MODEL_SEQUENCES").ok();
    wanted.map_or(SEQUENCES, |count| count.parse().expect("BRAIDFS_MODEL_SEQUENCES is a number"))
}

/// Every second world is short of cache, so that it writes back and evicts in the middle of things; two
/// in four keep all inodes in memory.
fn options(seed: u64, policy: WritebackPolicy, scale: Scale) -> MountOptions {
    let cache_bytes = match (seed % 2, scale) {
        (0, _) => 16 << 20,
        // A write is wholly in the cache before it is written back.
        (_, Scale::Large) => 8 << 20,
        _ => 1 << 20,
    };
    MountOptions { policy, cache_bytes: Some(cache_bytes), ..repeatable() }
}

/// What a sequence is like.
#[derive(Debug, Clone, Copy)]
struct Sequence {
    seed: u64,
    policy: WritebackPolicy,
    scale: Scale,
    steps: usize,
    /// Every how many steps everything is compared.
    compare_every: usize,
}

impl Sequence {
    fn small(seed: u64, policy: WritebackPolicy) -> Self {
        Self { seed, policy, scale: Scale::Small, steps: STEPS, compare_every: 1 }
    }

    fn world(&self) -> (Arc<MemoryDevice>, World) {
        let device = Arc::new(MemoryDevice::new(VOLUME_BYTES));
        let mut world = World::new(device.clone(), options(self.seed, self.policy, self.scale));
        if self.seed % 4 < 2 {
            world.cache_everything();
        }
        (device, world)
    }

    /// Runs random steps; if that fails, finds few that do.
    fn check(&self) {
        let make = |made: &mut Vec<Step>| {
            let (device, mut world) = self.world();
            let mut steps = Steps::scaled(self.seed, true, self.scale);
            for _ in 0..self.steps {
                made.push(steps.next(&world.model));
                self.apply(&mut world, made.len(), &made[made.len() - 1]);
            }
            finish(&device, world);
        };
        check(&format!("{self:?}"), make, |steps| self.replay(steps));
    }

    fn replay(&self, steps: &[Step]) {
        let (device, mut world) = self.world();
        for (number, step) in steps.iter().enumerate() {
            self.apply(&mut world, number, step);
        }
        finish(&device, world);
    }

    fn apply(&self, world: &mut World, number: usize, step: &Step) {
        world.apply(step);
        if number.is_multiple_of(self.compare_every) {
            world.compare();
        }
    }
}

fn finish(device: &MemoryDevice, mut world: World) {
    world.compare();
    world.remount_and_compare_attributes();
    world.compare();
    world.unmount();
    assert_clean(device);
    world.mount_again();
    world.compare();
}

fn run_all(policy: WritebackPolicy, first_seed: u64) {
    let count = sequences().div_ceil(3);
    (first_seed..first_seed + count).for_each(|seed| Sequence::small(seed, policy).check());
}

#[test]
fn a_volume_that_forks_pages_does_what_the_model_says() {
    run_all(WritebackPolicy::Fork, 0);
}

#[test]
fn a_volume_that_waits_for_pages_does_what_the_model_says() {
    run_all(WritebackPolicy::Wait, 1_000_000);
}

#[test]
fn a_volume_that_copies_pages_does_what_the_model_says() {
    run_all(WritebackPolicy::Copy, 2_000_000);
}

#[test]
fn volumes_with_many_names_do_what_the_model_says() {
    for seed in 0..sequences().div_ceil(40) {
        let policy = WritebackPolicy::Fork;
        Sequence { seed, policy, scale: Scale::Wide, steps: 1500, compare_every: 50 }.check();
    }
}

#[test]
fn volumes_with_large_files_do_what_the_model_says() {
    for seed in 0..sequences().div_ceil(40) {
        let policy = WritebackPolicy::Fork;
        Sequence { seed, policy, scale: Scale::Large, steps: 60, compare_every: 10 }.check();
    }
}

/// Runs steps that once failed, under each policy.
fn regression(steps: &[Step]) {
    for policy in [WritebackPolicy::Fork, WritebackPolicy::Wait, WritebackPolicy::Copy] {
        Sequence::small(0, policy).replay(steps);
    }
}

#[test]
fn regression_a_copy_within_a_file_ends_at_its_old_end() {
    let path = "/a".to_owned();
    regression(&[
        Step::Create { path: path.clone(), mode: 0o644 },
        Step::Write {
            path: path.clone(),
            offset: 17877,
            data: Data { length: 275, seed: 131_292 },
        },
        Step::Copy {
            from: path.clone(),
            from_offset: 4796,
            to: path,
            to_offset: 109_423,
            length: 13_770,
        },
    ]);
}

#[test]
fn regression_ranges_to_copy_overlap_only_as_far_as_there_is_content() {
    let path = "/c".to_owned();
    regression(&[
        Step::Create { path: path.clone(), mode: 0o644 },
        Step::Copy {
            from: path.clone(),
            from_offset: 117_635,
            to: path,
            to_offset: 114_688,
            length: 5710,
        },
    ]);
}

#[test]
fn regression_nothing_is_copied_from_a_link_even_past_its_end() {
    regression(&[
        Step::Symlink { path: "/b".into(), target: "/c".into() },
        Step::Create { path: "/c".into(), mode: 0o644 },
        Step::Copy {
            from: "/b".into(),
            from_offset: 1060,
            to: "/c".into(),
            to_offset: 0,
            length: 9,
        },
    ]);
}
