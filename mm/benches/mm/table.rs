//! The page table: forking, what a fork costs in memory and later, and tables that go away.

mod fork;

use braidfs_measure::Report;

/// Measures the group.
pub fn run(report: &mut Report) {
    fork::run(report);
}
