//! Live mappings: files as memory of the process that mounts the volume.
//!
//! Every test runs by each mechanism that works here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod coherence;
mod crash;
mod deltas;
mod example;
mod pressure;
mod signals;
mod size;
#[allow(dead_code)]
#[path = "../core/support.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use braidfs::{FaultMechanism, LiveMapping, MapOptions, Volume};
use braidfs_pagecache::WritebackPolicy;

/// What the helpers of other tests mount with.
const POLICY: WritebackPolicy = WritebackPolicy::Fork;
const PAGE: usize = 4096;

fn mechanisms() -> impl Iterator<Item = FaultMechanism> {
    FaultMechanism::ALL.into_iter().filter(|mechanism| mechanism.is_available())
}

/// Maps the first pages of a file.
fn map(volume: &Arc<Volume>, inode: u64, pages: usize, mechanism: FaultMechanism) -> LiveMapping {
    let options = MapOptions { mechanism, read_only: false };
    let mapping = volume.map(inode, 0..(pages * PAGE) as u64, options).expect("map");
    assert_eq!(mapping.mechanism(), mechanism);
    mapping
}

fn load(mapping: &LiveMapping, offset: usize, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    assert_eq!(mapping.memory().load(offset, &mut bytes), length);
    bytes
}

fn store(mapping: &LiveMapping, offset: usize, bytes: &[u8]) {
    assert_eq!(mapping.memory().store(offset, bytes), bytes.len());
}

fn load_word(mapping: &LiveMapping, offset: usize) -> u64 {
    mapping.memory().word(offset).expect("a word").load(Ordering::Acquire)
}

fn store_word(mapping: &LiveMapping, offset: usize, value: u64) {
    mapping.memory().word(offset).expect("a word").store(value, Ordering::Release);
}

/// Makes a file so many pages long, all of it a hole.
fn grow(volume: &Volume, inode: u64, pages: usize) {
    let set = braidfs::SetAttributes { size: Some((pages * PAGE) as u64), ..Default::default() };
    volume.setattr(inode, &set).expect("setattr");
}
