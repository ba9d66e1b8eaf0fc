//! Tests of the page cache through its public interface, over a disk that is a map in memory and
//! can be made to stall or fail.

#![cfg(not(shuttle))]
// Helpers of tests are not recognised as tests themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod disk;
mod fixture;
mod fork_rule;
mod holes;
mod memory;
mod model;
mod objections;
mod policies;
mod ranges;
mod read_miss;
mod stress;
