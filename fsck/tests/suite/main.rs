//! The tests of the checker: sound volumes, one damage at a time, random damage, and the command.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod clean;
mod command;
mod fuzz;
mod problems;
mod report;
mod support;
