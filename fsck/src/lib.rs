//! The checker of braidfs volumes.
//!
//! Purpose: an independent reading of a volume. It shares the description of the bytes
//! (`braidfs-format`) and the devices (`braidfs-block`) with the filesystem and nothing else: its
//! own replay of the log in memory, its own walk over the tree, its own maps of blocks. So it
//! cannot share a mistake of the filesystem.
//!
//! [`check()`] runs the passes of [`PASSES`] in order and returns a [`Report`]; everything that can
//! be wrong stands in a table ([`problems`]) with a stable id. Nothing is ever written: repair
//! comes as a second step that goes by that table.
//!
//! Invariants: nothing on disk leads to a panic, to an endless loop or to memory beyond what the
//! volume really holds: each node is read once a walk, each length is compared with the volume
//! before it is used, and the work on overlapping extents has a budget. Memory: a bit for each
//! block in use, about thirty bytes an inode, and the log.

#![forbid(unsafe_code)]

mod check;
mod error;
mod finding;
mod observer;
mod options;
mod pass;
mod passes;
mod problem;
mod report;
mod text;
mod volume;

pub use check::check;
pub use error::CheckError;
pub use finding::Finding;
pub use observer::{Observer, Silent};
pub use options::CheckOptions;
pub use pass::{Need, PASSES, Pass};
pub use problem::{Problem, RepairFlags, Severity, problems};
pub use report::{LogSummary, PassReport, PassStatus, Report, Totals, VolumeSummary};
pub use text::printable;
