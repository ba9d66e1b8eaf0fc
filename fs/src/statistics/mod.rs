//! What a mounted volume tells about itself: counters, amounts, and how long operations take.
//!
//! | module | what |
//! |---|---|
//! | `histogram` | how often each value came up, recorded from many threads |
//! | `recorders` | the histograms of a volume |
//! | `table` | every number by its name, with its unit and what it means |
//! | `report` | all of it at one moment, as it travels and as JSON |
//!
//! Counters belong to the parts that count (page cache, store); here they get their public names. A
//! *counter* only grows from the mount on; an *amount* is what is so now; a *peak* and a histogram
//! begin anew with a reset.

mod histogram;
mod recorders;
mod report;
mod table;

pub use histogram::Histogram;
pub(crate) use recorders::Recorders;
pub use recorders::{Measure, Unit};
pub(crate) use report::{Baseline, buckets};
pub use report::{Bucket, Distribution, Report, STATISTICS_FORMAT, STATISTICS_VERSION};
pub use table::{Group, Number, NumberKind, groups, numbers};

use braidfs_pagecache::CacheCounters;
use braidfs_store::StoreStatistics;

/// What the volume did since it was mounted.
#[derive(Debug, Clone)]
pub struct VolumeStatistics {
    /// The page cache: forks, copies, waits.
    pub cache: CacheCounters,
    /// The store: deltas, flushes, log, unify, space.
    pub store: StoreStatistics,
    /// Inodes in memory.
    pub inodes_in_memory: u64,
    /// Bytes that reads returned.
    pub read_bytes: u64,
    /// Bytes that writes took.
    pub written_bytes: u64,
}
