//! Power losses: recorded runs, every image that a loss can make of them, and what each must hold.
//!
//! Purpose: a [`Recorder`] drives a volume on a recording device and notes which state each delta has and
//! which delta was acknowledged when. [`explore()`] then cuts the recording at every write, drops, reorders
//! and damages what no flush covers, and checks each image: it checks clean, it mounts, and its tree is
//! the state of exactly one delta, no older than the last acknowledged.
//!
//! Invariant: what is found depends on the seed alone, but for the times in the inodes.

pub mod bounded;
mod explore;
mod image;
mod liar;
mod nested;
mod recorder;

pub use explore::{Effort, Failure, Tally, explore};
pub use image::{Recovered, recover};
pub use liar::{Lie, LyingDevice, Region};
pub use recorder::{ACKNOWLEDGED, Recorder, Run, Setup};
