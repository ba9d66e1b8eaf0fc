//! One measurement of one contestant, and what came out.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::ground::Contestant;
use super::load::{self, Turn, new_histogram};
use super::observe::{Observed, watch};
use crate::cli::args::{Disk, Driver, Writer};
use crate::cli::error::{CliError, CliResult};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    pub disk: Disk,
    pub driver: Driver,
    pub writer: Writer,
    pub rate: u32,
}

/// What a contestant made of it, all turns together.
pub struct Outcome {
    pub cell: Cell,
    pub contestant: &'static str,
    pub latencies: Histogram<u64>,
    pub not_begun: u64,
    pub driven: u64,
    pub seconds: f64,
    /// What its server counted, if it is one of ours.
    pub observed: Option<Observed>,
}

impl Outcome {
    /// Nothing so far.
    pub fn none(cell: Cell, contestant: &'static str) -> Self {
        Self {
            cell,
            contestant,
            latencies: new_histogram(),
            not_begun: 0,
            driven: 0,
            seconds: 0.0,
            observed: None,
        }
    }

    /// Measures one more turn.
    pub fn run(&mut self, contestant: &Contestant<'_>, duration: Duration) -> CliResult {
        let Cell { driver, writer, rate, .. } = self.cell;
        contestant.prepare(driver)?;
        let turn = || load::run(contestant.mount_point(), driver, writer, rate, duration);
        let (turn, observed) = match contestant.server() {
            Some((channel, process)) => {
                let (turn, observed) = watch(channel, process, turn)?;
                (turn, Some(observed))
            }
            None => (turn(), None),
        };
        let turn = turn.map_err(|error| {
            CliError::new(format!("{} failed under the load: {error}", self.contestant))
        })?;
        self.add(turn, observed);
        Ok(())
    }

    fn add(&mut self, turn: Turn, observed: Option<Observed>) {
        if let Some(turn) = observed {
            let all = self.observed.get_or_insert_default();
            let before = all.seconds;
            let (forks, copied_bytes) = (all.forks, all.copied_bytes);
            all.samples.extend(turn.samples.into_iter().map(|mut sample| {
                sample.seconds += before;
                sample.forks += forks;
                sample.copied_bytes += copied_bytes;
                sample
            }));
            all.seconds += turn.seconds;
            all.forks += turn.forks;
            all.copied_bytes += turn.copied_bytes;
            all.writeback_waits += turn.writeback_waits;
            all.throttles += turn.throttles;
            all.deltas += turn.deltas;
            all.frozen_bytes_peak = all.frozen_bytes_peak.max(turn.frozen_bytes_peak);
            all.cached_bytes_peak = all.cached_bytes_peak.max(turn.cached_bytes_peak);
            all.server_cpu_seconds += turn.server_cpu_seconds;
        }
        // Of the same precision, and growing.
        let _ = self.latencies.add(&turn.latencies);
        self.not_begun += turn.not_begun;
        self.driven += turn.driven;
        self.seconds += turn.seconds;
    }

    /// Writes that were through, a second.
    pub fn writes_per_second(&self) -> f64 {
        (self.latencies.len() - self.not_begun) as f64 / self.seconds.max(1e-9)
    }
}
