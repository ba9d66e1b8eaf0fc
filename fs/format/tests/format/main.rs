//! The format from outside: round trips, hostile bytes, golden bytes, and `docs/FORMAT.md`.

// Helpers outside test functions unwrap too; a panic is how a test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod document;
mod geometry;
mod golden;
mod hostile;
mod rejection;
mod round_trip;
mod samples;
mod strategies;
mod structures;
