//! Rates, interval by interval, as iostat(1) shows them.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram as Values;
use serde::Serialize;

use super::report;
use crate::cli::channel::Channel;
use crate::cli::error::{CliError, CliResult};
use crate::cli::output::done;
use crate::fuse::HISTOGRAM_ATTRIBUTE;
use crate::size::human_nanoseconds;
use crate::statistics::{Bucket, Distribution, Measure, Report};

/// Lines after which the heading is repeated.
const LINES_A_HEADING: u64 = 20;

/// What happened in an interval.
#[derive(Debug, Serialize)]
struct Interval {
    seconds: f64,
    reads_per_second: f64,
    read_bytes_per_second: f64,
    writes_per_second: f64,
    written_bytes_per_second: f64,
    fsyncs_per_second: f64,
    deltas_per_second: f64,
    flushes_per_second: f64,
    forks_per_second: f64,
    copied_bytes_per_second: f64,
    waits_per_second: f64,
    throttled_seconds: f64,
    dirty_bytes: u64,
    frozen_bytes: u64,
    cached_bytes: u64,
    /// In nanoseconds.
    write: Distribution,
}

/// A look at the mount.
struct Look {
    at: Instant,
    report: Report,
    writes: Values<u64>,
}

impl Look {
    fn now(channel: &Channel) -> CliResult<Self> {
        let attribute = format!("{HISTOGRAM_ATTRIBUTE}{}", Measure::Write.name());
        let buckets: Vec<Bucket> = channel.get(&attribute)?;
        Ok(Self { at: Instant::now(), report: report(channel)?, writes: rebuilt(&buckets)? })
    }

    fn counter(&self, name: &str) -> u64 {
        self.report.counters.get(name).copied().unwrap_or_default()
    }

    fn amount(&self, name: &str) -> u64 {
        self.report.amounts.get(name).copied().unwrap_or_default()
    }

    fn measured(&self, measure: Measure) -> u64 {
        self.report.distributions.get(measure.name()).map_or(0, |values| values.count)
    }
}

/// Prints a line an interval, `count` of them if that is given.
pub fn run(channel: &Channel, every: Duration, count: Option<u64>, json: bool) -> CliResult {
    let mut before = Look::now(channel)?;
    for number in 0..count.unwrap_or(u64::MAX) {
        std::thread::sleep(every.saturating_sub(before.at.elapsed()));
        let now = Look::now(channel)?;
        let interval = Interval::between(&before, &now);
        let written = if json { interval.write_json() } else { interval.write_line(number) };
        match written {
            // Nobody reads any more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => done(written)?,
        }
        before = now;
    }
    Ok(())
}

/// A histogram from its buckets.
fn rebuilt(buckets: &[Bucket]) -> CliResult<Values<u64>> {
    let failed = || CliError::new("the server tells of values that make no sense");
    let mut values = Values::new(2).map_err(|_| failed())?;
    values.auto(true);
    for (value, count) in buckets {
        values.record_n(*value, *count).map_err(|_| failed())?;
    }
    Ok(values)
}

impl Interval {
    fn between(before: &Look, now: &Look) -> Self {
        let seconds = now.at.duration_since(before.at).as_secs_f64().max(1e-3);
        let more = |name| now.counter(name).saturating_sub(before.counter(name)) as f64;
        let rate = |name| more(name) / seconds;
        // After a reset in between, what there is now came since.
        let since = |before: u64, now: u64| now.checked_sub(before).unwrap_or(now) as f64;
        let operations = |measure| since(before.measured(measure), now.measured(measure)) / seconds;
        let mut writes = now.writes.clone();
        let _ = writes.subtract(&before.writes);
        Self {
            seconds,
            reads_per_second: operations(Measure::Read),
            read_bytes_per_second: rate("read_bytes"),
            writes_per_second: operations(Measure::Write),
            written_bytes_per_second: rate("written_bytes"),
            fsyncs_per_second: operations(Measure::Fsync),
            deltas_per_second: rate("deltas"),
            flushes_per_second: rate("flushes"),
            forks_per_second: rate("forks"),
            copied_bytes_per_second: rate("copied_bytes"),
            waits_per_second: rate("writeback_waits"),
            throttled_seconds: more("throttle_ns") / 1e9,
            dirty_bytes: now.amount("dirty_bytes"),
            frozen_bytes: now.amount("frozen_bytes"),
            cached_bytes: now.amount("cached_bytes"),
            write: Distribution::of(&writes),
        }
    }

    fn write_json(&self) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        serde_json::to_writer(&mut stdout, self)?;
        writeln!(stdout)?;
        stdout.flush()
    }

    fn write_line(&self, number: u64) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if number.is_multiple_of(LINES_A_HEADING) {
            let lines = [
                "   read/s    MiB/s  write/s    MiB/s  fsync/s  delta/s  flush/s   fork/s   copied  \
                 wait/s thrott.    dirty   frozen   cached     write    write    write",
                "                                                                        MiB/s     \
                 \x20     %      MiB      MiB      MiB       p50      p99      max",
            ];
            lines.iter().try_for_each(|line| writeln!(stdout, "{line}"))?;
        }
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        for value in [
            self.reads_per_second,
            mib(self.read_bytes_per_second),
            self.writes_per_second,
            mib(self.written_bytes_per_second),
            self.fsyncs_per_second,
            self.deltas_per_second,
            self.flushes_per_second,
            self.forks_per_second,
            mib(self.copied_bytes_per_second),
        ] {
            write!(stdout, "{value:>9.1}")?;
        }
        let throttled = self.throttled_seconds / self.seconds * 100.0;
        write!(stdout, "{:>8.1}{throttled:>8.1}", self.waits_per_second)?;
        for bytes in [self.dirty_bytes, self.frozen_bytes, self.cached_bytes] {
            write!(stdout, "{:>9.1}", mib(bytes as f64))?;
        }
        for nanoseconds in [self.write.p50, self.write.p99, self.write.max] {
            let shown = match self.write.count {
                0 => "-".to_owned(),
                _ => human_nanoseconds(nanoseconds),
            };
            write!(stdout, " {shown:>9}")?;
        }
        writeln!(stdout)?;
        stdout.flush()
    }
}
