//! All statistics at one moment, as they travel from the server and as JSON.

use std::collections::BTreeMap;

use hdrhistogram::Histogram as Values;
use serde::{Deserialize, Serialize};

use super::table::{NumberKind, numbers};
use super::{Measure, Recorders, VolumeStatistics};

/// Names the format of the JSON.
pub const STATISTICS_FORMAT: &str = "braidfs-statistics";
/// Grows when something that was there before is gone or means something else. New names do not count.
pub const STATISTICS_VERSION: u32 = 1;

/// Numbers by their names.
type Numbers = BTreeMap<String, u64>;

/// All statistics at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Report {
    /// [`STATISTICS_FORMAT`].
    pub format: String,
    /// [`STATISTICS_VERSION`].
    pub version: u32,
    /// Since the volume was mounted.
    pub seconds_since_mount: f64,
    /// Since the last reset, or the mount.
    pub seconds_since_reset: f64,
    /// What only grows, since the mount.
    pub counters: Numbers,
    /// The same, since the reset.
    pub counters_since_reset: Numbers,
    /// What is so now.
    pub amounts: Numbers,
    /// The highest amounts since the reset.
    pub peaks: Numbers,
    /// What was measured since the reset: nanoseconds, or what the end of the name says.
    pub distributions: BTreeMap<String, Distribution>,
}

/// How values are distributed; each is told to within 1 percent.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Distribution {
    /// How many there are.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Half of them are at most this.
    pub p50: u64,
    /// Nine of ten.
    pub p90: u64,
    /// 99 percent.
    pub p99: u64,
    /// 99.9 percent.
    pub p99_9: u64,
    /// The largest.
    pub max: u64,
}

impl Distribution {
    /// Of these values.
    pub fn of(values: &Values<u64>) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let quantile = |q| values.value_at_quantile(q);
        Self {
            count: values.len(),
            mean: values.mean(),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            max: values.max(),
        }
    }
}

/// How often a value came up: the smallest value of those that are not told apart, and the count.
pub type Bucket = (u64, u64);

/// The buckets of a histogram that are not empty.
pub(crate) fn buckets(values: &Values<u64>) -> Vec<Bucket> {
    values
        .iter_recorded()
        .map(|step| (values.lowest_equivalent(step.value_iterated_to()), step.count_at_value()))
        .collect()
}

/// The numbers of one kind.
pub(super) fn numbers_of(kind: NumberKind, statistics: &VolumeStatistics) -> Numbers {
    let wanted = numbers().filter(|number| number.kind == kind);
    wanted.map(|number| (number.name.to_owned(), (number.read)(statistics))).collect()
}

impl Report {
    /// Of these statistics; `baseline` has the counters as they were at the last reset.
    pub(crate) fn new(
        statistics: &VolumeStatistics,
        recorders: &Recorders,
        baseline: &Baseline,
        seconds_since_mount: f64,
    ) -> Self {
        let counters = numbers_of(NumberKind::Counter, statistics);
        let since_reset = |(name, value): (&String, &u64)| {
            let before = baseline.counters.get(name).copied().unwrap_or_default();
            (name.clone(), value.saturating_sub(before))
        };
        let distribution = |measure: Measure| {
            (measure.name().to_owned(), Distribution::of(&recorders.values(measure)))
        };
        Self {
            format: STATISTICS_FORMAT.to_owned(),
            version: STATISTICS_VERSION,
            seconds_since_mount,
            seconds_since_reset: seconds_since_mount - baseline.seconds_since_mount,
            counters_since_reset: counters.iter().map(since_reset).collect(),
            counters,
            amounts: numbers_of(NumberKind::Amount, statistics),
            peaks: numbers_of(NumberKind::Peak, statistics),
            distributions: Measure::ALL.into_iter().map(distribution).collect(),
        }
    }
}

/// How things stood at the last reset.
#[derive(Debug, Default)]
pub(crate) struct Baseline {
    seconds_since_mount: f64,
    counters: Numbers,
}

impl Baseline {
    /// As they stand now.
    pub fn new(statistics: &VolumeStatistics, seconds_since_mount: f64) -> Self {
        Self { seconds_since_mount, counters: numbers_of(NumberKind::Counter, statistics) }
    }
}
