//! What the server counts during a turn: in total, and over time; and its processor time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cli::channel::Channel;
use crate::cli::error::CliResult;
use crate::fuse::{RESET, STATISTICS_ATTRIBUTE};
use crate::statistics::Report;

/// Between two looks at the statistics.
const EVERY: Duration = Duration::from_millis(50);

/// What the statistics said at a moment of the measurement.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Sample {
    /// Since the measurement began, pauses between turns left out.
    pub seconds: f64,
    pub forks: u64,
    pub copied_bytes: u64,
    pub frozen_bytes: u64,
    pub dirty_bytes: u64,
    pub cached_bytes: u64,
}

/// What was counted in a turn.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// How long it was watched.
    pub seconds: f64,
    pub forks: u64,
    pub copied_bytes: u64,
    pub writeback_waits: u64,
    pub throttles: u64,
    pub deltas: u64,
    pub frozen_bytes_peak: u64,
    pub cached_bytes_peak: u64,
    pub server_cpu_seconds: f64,
    pub samples: Vec<Sample>,
}

/// Runs `turn`, and watches the server meanwhile.
pub fn watch<R>(
    channel: &Channel,
    server: u32,
    turn: impl FnOnce() -> R,
) -> CliResult<(R, Observed)> {
    let _ = channel.set(STATISTICS_ATTRIBUTE, RESET.as_bytes());
    let (end, started, cpu) = (AtomicBool::new(false), Instant::now(), cpu_seconds(server));
    let (result, samples) = thread::scope(|scope| {
        let sampler = scope.spawn(|| sample(channel, started, &end));
        let result = turn();
        end.store(true, Ordering::Relaxed);
        (result, sampler.join().unwrap_or_default())
    });
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds(server) - cpu);
    let report: Report = channel.get(STATISTICS_ATTRIBUTE)?;
    let more = |name: &str| report.counters_since_reset.get(name).copied().unwrap_or_default();
    let observed = Observed {
        seconds,
        forks: more("forks"),
        copied_bytes: more("copied_bytes"),
        writeback_waits: more("writeback_waits"),
        throttles: more("throttles"),
        deltas: more("deltas"),
        frozen_bytes_peak: report.peaks.get("frozen_bytes_peak").copied().unwrap_or_default(),
        cached_bytes_peak: samples.iter().map(|sample| sample.cached_bytes).max().unwrap_or(0),
        server_cpu_seconds: cpu,
        samples,
    };
    Ok((result, observed))
}

fn sample(channel: &Channel, started: Instant, end: &AtomicBool) -> Vec<Sample> {
    let mut samples = Vec::new();
    while !end.load(Ordering::Relaxed) {
        if let Ok(report) = channel.get::<Report>(STATISTICS_ATTRIBUTE) {
            let more = |name: &str| report.counters_since_reset.get(name).copied().unwrap_or(0);
            let now = |name: &str| report.amounts.get(name).copied().unwrap_or(0);
            samples.push(Sample {
                seconds: started.elapsed().as_secs_f64(),
                forks: more("forks"),
                copied_bytes: more("copied_bytes"),
                frozen_bytes: now("frozen_bytes"),
                dirty_bytes: now("dirty_bytes"),
                cached_bytes: now("cached_bytes"),
            });
        }
        thread::sleep(EVERY);
    }
    samples
}

/// Processor time that a process has used so far.
fn cpu_seconds(process: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name, which may have spaces in it, user and system time are the 12th and 13th.
    let fields = text.rsplit_once(')').map_or("", |(_, behind)| behind).split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / rustix::param::clock_ticks_per_second() as f64
}
