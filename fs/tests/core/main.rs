//! The core of the filesystem, driven without FUSE.
//!
//! Each module tests one family of promises, on volumes in memory and without a background thread
//! unless the test is about it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod commits;
mod limits;
mod names;
mod ranges;
mod support;
mod times;
