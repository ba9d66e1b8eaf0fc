//! The histograms of a volume.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam::utils::CachePadded;
use hdrhistogram::Histogram as Values;

use super::histogram::Histogram;

/// What is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// A read.
    Read,
    /// A write.
    Write,
    /// A write to a file while an earlier delta of it was on its way to the disk; also in `Write`.
    WriteDuringWriteback,
    /// An fsync.
    Fsync,
    /// A commit.
    Commit,
    /// A transition from one delta to the next.
    Transition,
    /// How long a delta was open.
    DeltaOpen,
    /// The file data of a delta.
    DeltaBytes,
}

/// What values of a histogram are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Bytes.
    Bytes,
}

impl Measure {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::Write,
        Self::WriteDuringWriteback,
        Self::Fsync,
        Self::Commit,
        Self::Transition,
        Self::DeltaOpen,
        Self::DeltaBytes,
    ];

    /// Its public name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::WriteDuringWriteback => "write_during_writeback",
            Self::Fsync => "fsync",
            Self::Commit => "commit",
            Self::Transition => "transition",
            Self::DeltaOpen => "delta_open",
            Self::DeltaBytes => "delta_bytes",
        }
    }

    /// What it means.
    pub fn help(self) -> &'static str {
        match self {
            Self::Read => "answering a read",
            Self::Write => "answering a write, waiting and being held back included",
            Self::WriteDuringWriteback => "the same, while the file was under writeback",
            Self::Fsync => "an fsync, from its request until it is durable",
            Self::Commit => "a commit: a group of fsyncs, or an interval or pressure commit",
            Self::Transition => "closing a delta: for so long no change begins",
            Self::DeltaOpen => "how long a delta was open",
            Self::DeltaBytes => "file data of a delta",
        }
    }

    /// The measure with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.name() == name)
    }

    /// What its values are.
    pub fn unit(self) -> Unit {
        match self {
            Self::DeltaBytes => Unit::Bytes,
            _ => Unit::Nanoseconds,
        }
    }
}

/// One histogram for each measure.
#[derive(Debug, Default)]
pub(crate) struct Recorders {
    histograms: [Histogram; Measure::ALL.len()],
    read_bytes: CachePadded<AtomicU64>,
    written_bytes: CachePadded<AtomicU64>,
}

impl Recorders {
    /// Records how long it has been since `started`.
    pub fn record_since(&self, measure: Measure, started: Instant) {
        let elapsed = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.record(measure, elapsed);
    }

    /// Records a value.
    pub fn record(&self, measure: Measure, value: u64) {
        self.histograms[measure as usize].record(value);
    }

    /// Counts bytes that a read returned.
    pub fn add_read_bytes(&self, bytes: usize) {
        self.read_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts bytes that a write took.
    pub fn add_written_bytes(&self, bytes: usize) {
        self.written_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that reads returned, and bytes that writes took, since the mount.
    pub fn traffic_bytes(&self) -> (u64, u64) {
        (self.read_bytes.load(Ordering::Relaxed), self.written_bytes.load(Ordering::Relaxed))
    }

    /// What was recorded.
    pub fn values(&self, measure: Measure) -> Values<u64> {
        self.histograms[measure as usize].values()
    }

    /// Forgets what was recorded, but not what was counted.
    pub fn reset(&self) {
        self.histograms.iter().for_each(Histogram::reset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_stand_where_their_numbers_say() {
        let recorders = Recorders::default();
        for (at, measure) in Measure::ALL.into_iter().enumerate() {
            assert_eq!(measure as usize, at);
            recorders.record(measure, at as u64 + 1);
        }
        for (at, measure) in Measure::ALL.into_iter().enumerate() {
            assert_eq!(recorders.values(measure).max(), at as u64 + 1);
        }
        recorders.reset();
        assert!(Measure::ALL.iter().all(|measure| recorders.values(*measure).is_empty()));
    }
}
