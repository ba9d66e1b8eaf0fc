//! The suites that look at braidfs as a whole, and their harness.
//!
//! [`model`] says what a volume must look like; [`steps`] makes random operations; [`world`] applies them to
//! both and compares; [`check`] runs the checker; [`crash`] cuts recorded runs as power losses do;
//! [`fault`] lets the disk fail; [`holding`] lets it take its time; [`mounted`] mounts for real; [`shrink`] makes a failing list of steps short.

#![deny(unsafe_code)]

pub mod check;
pub mod crash;
pub mod fault;
pub mod holding;
pub mod mapped;
pub mod model;
pub mod mounted;
pub mod shrink;
pub mod steps;
pub mod world;
