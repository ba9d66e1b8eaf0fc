//! What the benchmarks share: rounds that take turns, figures with what they are compared with, and
//! a report of them as a table and as a file.
//!
//! A benchmark with groups looks like this:
//!
//! ```no_run
//! use braidfs_measure::{Figure, Report, interleave, time_ns};
//!
//! let mut report = Report::from_arguments("example", &["sorting"]);
//! report.group("sorting", |report| {
//!     let rounds = report.choose(31, 5);
//!     let [ours, theirs] = interleave(rounds, [
//!         &mut || time_ns(|| vec![3, 1, 2].sort_unstable()),
//!         &mut || time_ns(|| vec![3, 1, 2].sort()),
//!     ]);
//!     report.add(
//!         Figure::less_is_better("sort of three numbers", ours.median(), "ns")
//!             .against("stable sort", theirs.median())
//!             .goal_times(1.0)
//!             .note("allocation of the vector included in both"),
//!     );
//! });
//! report.finish().expect("the figures can be written");
//! ```
//!
//! `cargo bench -p CRATE --bench NAME -- [--quick] [GROUP...]` runs the groups that are named, or
//! all of them. The file is `target/figures/NAME.json`; what it said of groups that are not run
//! stays.

#![forbid(unsafe_code)]

mod figure;
mod load;
mod report;
mod samples;

pub use figure::Figure;
pub use report::Report;
pub use samples::{Samples, interleave, time_ns};
