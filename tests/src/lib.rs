//! The suites that look at braidfs as a whole, and their harness.
//!
//! [`model`] says what a volume must look like; [`steps`] makes random operations and applies them to
//! the model and to a volume; [`crash`] cuts recorded runs; [`mounted`] mounts for real.

#![forbid(unsafe_code)]

pub mod model;
pub mod steps;
pub mod world;
