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
use braidfs_tests::steps::{Step, Steps};
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
fn options(seed: u64, policy: WritebackPolicy) -> MountOptions {
    let cache_bytes = if seed.is_multiple_of(2) { 16 << 20 } else { 1 << 20 };
    MountOptions { policy, cache_bytes: Some(cache_bytes), ..repeatable() }
}

fn world(seed: u64, policy: WritebackPolicy) -> (Arc<MemoryDevice>, World) {
    let device = Arc::new(MemoryDevice::new(VOLUME_BYTES));
    let mut world = World::new(device.clone(), options(seed, policy));
    if seed % 4 < 2 {
        world.cache_everything();
    }
    (device, world)
}

fn finish(device: &MemoryDevice, mut world: World) {
    world.unmount();
    assert_clean(device);
    world.mount_again();
    world.compare();
}

/// Runs random steps; if that fails, finds few that do.
fn run(seed: u64, policy: WritebackPolicy) {
    let make = |made: &mut Vec<Step>| {
        let (device, mut world) = world(seed, policy);
        let mut steps = Steps::new(seed, true);
        for _ in 0..STEPS {
            made.push(steps.next(&world.model));
            world.apply(&made[made.len() - 1]);
            world.compare();
        }
        finish(&device, world);
    };
    check(&format!("seed {seed}, policy {policy:?}"), make, |steps| replay(seed, policy, steps));
}

fn replay(seed: u64, policy: WritebackPolicy, steps: &[Step]) {
    let (device, mut world) = world(seed, policy);
    for step in steps {
        world.apply(step);
        world.compare();
    }
    finish(&device, world);
}

fn run_all(policy: WritebackPolicy, first_seed: u64) {
    let count = sequences().div_ceil(3);
    (first_seed..first_seed + count).for_each(|seed| run(seed, policy));
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
