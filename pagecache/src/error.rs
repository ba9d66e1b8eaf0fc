//! What can go wrong in the page cache itself.
//!
//! Errors of the backing (a checksum that does not fit, a failed read) are not listed here: they
//! pass through as [`Backing::Error`](crate::Backing::Error), into which every `CacheError`
//! converts.

use std::time::Duration;

use braidfs_mm::TableError;
use thiserror::Error;

/// An error of the page cache.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CacheError {
    /// No frame became free before the deadline: everything cached is dirty or under writeback.
    #[error(
        "no cache frame became free within {} ms: let writeback finish, or use a larger cache",
        waited.as_millis()
    )]
    OutOfMemory {
        /// How long the writer waited.
        waited: Duration,
    },
    /// The cache was shut down while the caller waited, or before.
    #[error(
        "the page cache was shut down: unmount, and look for the first error reported by the volume"
    )]
    ShutDown,
    /// The configuration contradicts itself.
    #[error("cache configuration: {reason}")]
    Configuration {
        /// Which rule was broken, and what to change.
        reason: &'static str,
    },
    /// The memory for the pool could not be had from the system.
    #[error("the frame pool could not be set up: {reason}")]
    Pool {
        /// What the system said.
        reason: String,
    },
    /// Memory could not be mapped, or a page could not be shown there.
    #[error("mapped memory: {reason}")]
    Mapped {
        /// What was refused, and what to do.
        reason: String,
    },
    /// The page table refused a change.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A position or length beyond what a file can have.
    #[error("the range {offset}+{length} is beyond the largest file: use a smaller offset")]
    Range {
        /// First byte asked for.
        offset: u64,
        /// Number of bytes asked for.
        length: u64,
    },
}
