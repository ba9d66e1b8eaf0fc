//! Every interleaving of what can happen to a file of one or two pages, with up to three versions in
//! flight.
//!
//! | module | what it is |
//! |---|---|
//! | `model` | what a file is made of, without a cache: contents, versions, the disk, an fsync |
//! | `world` | the cache and the model side by side, one operation after the other |
//! | `explore` | breadth first through all states that operations lead to |
//! | `interleavings` | the tests: nothing is found, and every planted mistake is |
//!
//! # What is proven
//!
//! A state is what the model says plus what the mapping knows (see `world::World::key`); two ways to
//! the same state have the same future, so one is followed. All states within the bounds are reached and all
//! operations tried in each: no sequence is too long. After each operation, and once more after everything
//! was written back from there, these hold:
//!
//! 1. an fsync is over only when each page is on the disk as it was at the call, or newer;
//! 2. it is over as soon as the versions are that were in flight at the call: what is dirtied later
//!    is not waited for;
//! 3. a page that differs from the disk is dirty or in flight: none is lost, none is cleaned by the
//!    completion of an older copy;
//! 4. a read, and a page that is cached, never show older content than the last write.
//!
//! Concurrency enters as operations *within* a fill, which is the only place where an operation of one
//! thread is seen half-way by others; the rest happens under one lock. The steps inside the locks are
//! what `tests/shuttle` schedules.

// Helpers of tests are not recognised as tests themselves.
#![allow(clippy::unwrap_used, clippy::panic)]

mod explore;
mod interleavings;
mod model;
mod world;
