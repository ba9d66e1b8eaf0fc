//! The table and the JSON.

use std::fs;
use std::path::Path;

use clap::ValueEnum;
use serde::Serialize;

use super::cell::{Cell, Outcome};
use super::observe::Sample;
use crate::cli::args::{Disk, Driver, WritebackLabArguments, Writer};
use crate::cli::error::{CliError, CliResult};
use crate::cli::output::say;
use crate::size::{human, human_nanoseconds};

/// Grows when something that was there before is gone or means something else.
const VERSION: u32 = 1;
/// Quantiles of the curves: the part of the writes that was not slower, up to all but one of 100,000.
const QUANTILES: [f64; 17] = [
    0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999,
    0.99995, 0.99998, 0.99999,
];

/// All results.
#[derive(Debug, Serialize)]
pub struct Report {
    format: &'static str,
    version: u32,
    machine: Machine,
    /// Seconds of each measurement.
    seconds: f64,
    writes_per_second_due: u32,
    /// What is added to each write and flush of the slow disk.
    pub slow_disk_ms: u128,
    pub results: Vec<Measured>,
}

/// What it ran on.
#[derive(Debug, Serialize)]
struct Machine {
    processors: usize,
    memory_bytes: u64,
    kernel: String,
    load_average: String,
}

/// One result.
#[derive(Debug, Serialize)]
pub struct Measured {
    pub disk: String,
    pub driver: String,
    pub writer: String,
    pub contestant: String,
    writes: u64,
    /// Writes due that were not begun when the time was over; the quantiles include how late they were.
    writes_not_begun: u64,
    writes_per_second: f64,
    p50_ns: u64,
    pub p99_ns: u64,
    pub p99_9_ns: u64,
    max_ns: u64,
    /// Pairs: a part of all writes, and the time that they did not take longer than, in nanoseconds.
    pub curve: Vec<(f64, u64)>,
    /// How often the driver did what it does.
    driven: u64,
    #[serde(flatten)]
    pub server: Option<Served>,
}

/// What our server counted.
#[derive(Debug, Serialize)]
pub struct Served {
    forks: u64,
    copied_bytes: u64,
    writeback_waits: u64,
    throttles: u64,
    deltas: u64,
    frozen_bytes_peak: u64,
    cached_bytes_peak: u64,
    server_cpu_seconds: f64,
    pub samples: Vec<Sample>,
}

/// The name of a choice, as it is written on the command line.
pub fn name_of(choice: impl ValueEnum) -> String {
    choice.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

impl Report {
    /// Of these outcomes.
    pub fn new(arguments: &WritebackLabArguments, outcomes: Vec<Outcome>) -> Self {
        Self {
            format: "braidfs-lab-writeback",
            version: VERSION,
            machine: Machine::this(),
            seconds: outcomes.first().map_or(0.0, |outcome| outcome.seconds),
            writes_per_second_due: arguments.rate,
            slow_disk_ms: arguments.latency.as_millis(),
            results: outcomes.into_iter().map(Measured::of).collect(),
        }
    }

    /// Writes the file.
    pub fn write_json(&self, path: &Path) -> CliResult {
        let text = serde_json::to_string(self)
            .map_err(|error| CliError::new(format!("cannot write this as JSON: {error}")))?;
        write(path, &text)
    }
}

/// Writes a file, and makes the directories that it lies in.
pub fn write(path: &Path, text: &str) -> CliResult {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| CliError::new(format!("cannot write {}: {error}", path.display())))
}

impl Machine {
    fn this() -> Self {
        let system = rustix::system::sysinfo();
        let uname = rustix::system::uname();
        let release = uname.release().to_string_lossy();
        Self {
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: (system.totalram as u64).saturating_mul(u64::from(system.mem_unit)),
            // What distributors append says nothing here.
            kernel: release.split('-').next().unwrap_or_default().to_owned(),
            load_average: fs::read_to_string("/proc/loadavg")
                .unwrap_or_default()
                .split(' ')
                .take(3)
                .collect::<Vec<_>>()
                .join(" "),
        }
    }
}

impl Measured {
    fn of(outcome: Outcome) -> Self {
        let Cell { disk, driver, writer, .. } = outcome.cell;
        let writes_per_second = outcome.writes_per_second();
        let latencies = &outcome.latencies;
        let at = |quantile| latencies.value_at_quantile(quantile);
        // A quantile that is left to less than one write says nothing.
        let told = |quantile: &f64| (1.0 - quantile) * latencies.len() as f64 >= 1.0;
        Self {
            disk: name_of(disk),
            driver: name_of(driver),
            writer: name_of(writer),
            contestant: outcome.contestant.to_owned(),
            writes: latencies.len() - outcome.not_begun,
            writes_not_begun: outcome.not_begun,
            writes_per_second,
            p50_ns: at(0.5),
            p99_ns: at(0.99),
            p99_9_ns: at(0.999),
            max_ns: latencies.max(),
            curve: QUANTILES.iter().filter(|q| told(q)).map(|q| (*q, at(*q))).collect(),
            driven: outcome.driven,
            server: outcome.observed.map(|observed| Served {
                forks: observed.forks,
                copied_bytes: observed.copied_bytes,
                writeback_waits: observed.writeback_waits,
                throttles: observed.throttles,
                deltas: observed.deltas,
                frozen_bytes_peak: observed.frozen_bytes_peak,
                cached_bytes_peak: observed.cached_bytes_peak,
                server_cpu_seconds: observed.server_cpu_seconds,
                samples: observed.samples,
            }),
        }
    }
}

/// What a writer does, in words.
pub fn writer_title(writer: Writer) -> &'static str {
    match writer {
        Writer::Write => "write(2)",
        Writer::Direct => "write(2), O_DIRECT",
        Writer::Mmap => "mmap",
    }
}

/// What keeps the file under writeback, in words.
pub fn driver_title(driver: Driver) -> &'static str {
    match driver {
        Driver::Interval => "interval",
        Driver::Pressure => "pressure",
        Driver::OtherFsync => "another file's fsync",
        Driver::SameFsync => "same file's fsync",
        Driver::UnlockedFsync => "same file's fsync, unlocked",
    }
}

/// Prints what contestants made of the same load.
pub fn print(outcomes: &[Outcome]) {
    let Some(first) = outcomes.first() else { return };
    let disk = if first.cell.disk == Disk::Slow { "slow disk" } else { "real disk" };
    let (writer, driver) = (writer_title(first.cell.writer), driver_title(first.cell.driver));
    say(&format!("\n{disk}, {writer}, {driver}"));
    say(
        "            writes/s       p50       p99     p99.9       max     forks    copied    waits \
         frozen at most  cpu/write",
    );
    for outcome in outcomes {
        let at = |quantile| human_nanoseconds(outcome.latencies.value_at_quantile(quantile));
        let mut line = format!(
            "  {:<8}{:>10.0}{:>10}{:>10}{:>10}{:>10}",
            outcome.contestant,
            outcome.writes_per_second(),
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0)
        );
        if let Some(observed) = &outcome.observed {
            let writes = (outcome.latencies.len() - outcome.not_begun).max(1) as f64;
            let cpu = observed.server_cpu_seconds * 1e9 / writes;
            line += &format!(
                "{:>10}{:>10}{:>9}{:>15}{:>11}",
                observed.forks,
                human(observed.copied_bytes),
                observed.writeback_waits,
                human(observed.frozen_bytes_peak),
                human_nanoseconds(cpu as u64)
            );
        }
        say(&line);
    }
}
