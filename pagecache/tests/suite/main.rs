//! Tests of the page cache through its public interface, over a disk that is a map in memory and
//! can be made to stall or fail.

#![cfg(not(shuttle))]
// Helpers of tests are not recognised as tests themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// The same tests are there once for each policy.
#![allow(clippy::duplicate_mod)]

mod disk;
mod fixture;
mod model;
mod objections;
mod policies;
mod stress;
mod zeros;

/// What must be the same under every policy. (What is about pages in flight says itself under which.)
macro_rules! same_under {
    ($name:ident, $policy:ident) => {
        #[path = "."]
        mod $name {
            use braidfs_pagecache::WritebackPolicy;

            const POLICY: WritebackPolicy = WritebackPolicy::$policy;

            #[path = "fork_rule.rs"]
            mod fork_rule;
            #[path = "holes.rs"]
            mod holes;
            #[path = "memory.rs"]
            mod memory;
            #[path = "ranges.rs"]
            mod ranges;
            #[path = "read_miss.rs"]
            mod read_miss;
        }
    };
}

same_under!(under_fork, Fork);
same_under!(under_wait, Wait);
same_under!(under_copy, Copy);
