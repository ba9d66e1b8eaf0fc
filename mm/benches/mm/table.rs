//! The page table: forking, what a fork costs in memory and later, and tables that go away.

pub mod discard;
mod fork;
mod readers;

use braidfs_measure::Report;

/// Measures the group.
pub fn run(report: &mut Report) {
    fork::run(report);
    discard::run(report);
    readers::run(report);
}
