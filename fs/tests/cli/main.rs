//! The command line as its users meet it: what is printed, what the exit code is, and that a command
//! that fails has changed nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_images;
mod bad_mounts;
mod control;
mod fsck;
mod lab;
mod life;
mod look;
mod mkfs;
mod stats;
mod support;
