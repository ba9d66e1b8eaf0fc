//! Runs test suites on the installed programs of braidfs.
//!
//! Nothing here knows how braidfs works: a volume is made, mounted, unmounted and checked by the
//! programs that people run ([`programs`], [`filesystem`]), and looked at through system calls.
//! So the same tests run on a filesystem of the kernel (`--peer ext4`), which shows that they ask
//! for what Linux does, and not for what braidfs happens to do.
//!
//! From the bottom up:
//!
//! - [`processes`], [`mounts`]: what is running and mounted, and how it ends for certain;
//! - [`programs`], [`filesystem`], [`world`]: the TEST and SCRATCH volumes in a work directory;
//! - [`results`]: what a test came to, in one model for all suites;
//! - [`own`]: our tests, `tests/own/NNN`; [`upstream`], [`suites`]: those of others;
//! - [`session`]: runs what was chosen of a suite and writes the results;
//! - [`io`], [`exercise`]: primitives and long-running programs that tests are made of;
//! - [`cli`]: the command line.
//!
//! The only threads are those of [`exercise`]; there are no locks.

#![deny(unsafe_code)]

pub mod cli;
pub mod error;
pub mod excludes;
pub mod exercise;
pub mod filesystem;
pub mod interrupt;
pub mod io;
pub mod mounts;
pub mod own;
pub mod processes;
pub mod programs;
pub mod results;
pub mod select;
pub mod session;
pub mod suites;
pub mod upstream;
pub mod world;
