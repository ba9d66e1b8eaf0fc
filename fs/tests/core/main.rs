//! The core of the filesystem, driven without FUSE.
//!
//! Each module tests one family of promises, on volumes in memory and without a background thread
//! unless the test is about it.

mod limits;
mod support;
mod times;
