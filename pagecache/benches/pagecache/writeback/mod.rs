//! Overwriting a file that is under continuous writeback, the three policies in turns.
//!
//! One thread freezes the file, looks at all frozen bytes, lets the time of the disk pass,
//! completes, and begins again. Another one overwrites random or consecutive parts of the file:
//!
//! * *paced*: so many writes a second, each due at its time whether the one before is through or
//!   not. Its latency counts from then: a writer that is stalled does not hide the writes that it
//!   could not begin.
//! * *flat out*: as many as it can, for the throughput.
//!
//! The policies take turns in every round, on the same file, so that what else the machine does
//! hits all of them alike.

mod device;
mod load;

use std::time::Duration;

use braidfs_measure::{Figure, Report};
use braidfs_pagecache::{PAGE_SIZE, WritebackPolicy};

use device::Device;
use load::{Load, Outcome, Pattern, Subject};

/// A disk that keeps up with the writer, and one that does not.
const DISKS: [(&str, Device); 2] = [
    ("fast disk", Device { latency: Duration::from_micros(200), bytes_per_second: 8e9 }),
    ("slow disk", Device { latency: Duration::from_millis(5), bytes_per_second: 1e9 }),
];

/// Small, so that a paced writer often meets a page under writeback.
const PACED_FILE_BYTES: u64 = 1 << 20;
const PACED_WRITES_PER_SECOND: f64 = 20_000.0;
/// Large enough that nothing of it stays in a processor's cache.
const FLAT_OUT_FILE_BYTES: u64 = 16 << 20;

pub fn run(report: &mut Report) {
    for (pattern, name) in [(Pattern::Random, "random"), (Pattern::Sequential, "sequential")] {
        for (disk, device) in DISKS {
            for (write_bytes, size) in [(PAGE_SIZE, "4 KiB"), (512, "512 B")] {
                let file_bytes = FLAT_OUT_FILE_BYTES;
                let flat_out = Load { pattern, file_bytes, write_bytes, rate: None, device };
                let rate = Some(PACED_WRITES_PER_SECOND);
                let paced = Load { rate, file_bytes: PACED_FILE_BYTES, ..flat_out };
                let title = format!("{name} {size}, {disk}");
                // A paced writer of consecutive pages comes back to none while it is written.
                if pattern == Pattern::Random || write_bytes < PAGE_SIZE {
                    compare_latency(report, &title, paced);
                }
                compare_throughput(report, &title, flat_out);
            }
        }
    }
}

/// What each policy made of a load, in the order of [`WritebackPolicy::ALL`].
fn take_turns(report: &Report, load: Load) -> [Outcome; 3] {
    let rounds = report.choose(8, 1);
    let duration = Duration::from_millis(report.choose(200, 100));
    let subject = Subject::new(load);
    let mut outcomes = [(); 3].map(|()| Outcome::none());
    for round in 0..rounds {
        for turn in 0..3 {
            let at = (round + turn) % 3;
            outcomes[at].add(&subject.run(WritebackPolicy::ALL[at], duration));
        }
    }
    for (policy, outcome) in WritebackPolicy::ALL.iter().zip(&outcomes) {
        report.remark(&describe(policy.name(), outcome));
    }
    outcomes
}

fn describe(policy: &str, outcome: &Outcome) -> String {
    let cpu = match outcome.is_paced {
        true => String::new(),
        false => format!("; {:.2} us cpu a write", outcome.cpu_microseconds()),
    };
    let us = |quantile| format!("{:.0}", outcome.microseconds_at(quantile));
    format!(
        "  {policy:<5} {:>8.0} writes/s, p50 {:>6.2} p99 {:>6} p99.9 {:>6} max {:>6} us; {} versions, {} forks, \
         {:.0} MB copied, {} waits; at most {:.1} MB frozen, {:.1} MB cached{cpu}",
        outcome.writes_per_second(),
        outcome.microseconds_at(0.5),
        us(0.99),
        us(0.999),
        us(1.0),
        outcome.versions,
        outcome.forks,
        outcome.copied_bytes as f64 / 1e6,
        outcome.waits,
        outcome.frozen_bytes_peak as f64 / 1e6,
        outcome.cached_bytes_peak as f64 / 1e6,
    )
}

fn compare_latency(report: &mut Report, title: &str, load: Load) {
    report.remark(&format!("{title}, paced"));
    let [fork, wait, copy] = take_turns(report, load);
    let figure = |name: &str, quantile, policy: &str, other: &Outcome| {
        let name = format!("{title}: {name} against {policy}");
        Figure::less_is_better(name, fork.microseconds_at(quantile), "us")
            .against(policy, other.microseconds_at(quantile))
    };
    report.add(figure("p99.9", 0.999, "wait", &wait).goal_times(10.0));
    report.add(figure("max", 1.0, "wait", &wait));
    report.add(figure("p99.9", 0.999, "copy", &copy));
    let megabytes = |outcome: &Outcome| outcome.frozen_bytes_peak as f64 / 1e6;
    let memory = format!("{title}: memory for copies");
    report.add(
        Figure::less_is_better(memory, megabytes(&fork), "MB").against("copy", megabytes(&copy)),
    );
}

/// Against `copy` there is something to gain only if not every page is written again before it is on
/// the disk: else as many pages are forked as copied.
fn compare_throughput(report: &mut Report, title: &str, load: Load) {
    report.remark(&format!("{title}, flat out"));
    let [fork, wait, copy] = take_turns(report, load);
    for (policy, other, goal) in [("wait", &wait, 1.0), ("copy", &copy, 1.2)] {
        report.add(
            Figure::more_is_better(
                format!("{title}: throughput against {policy}"),
                fork.writes_per_second(),
                "writes/s",
            )
            .against(policy, other.writes_per_second())
            .goal_times(goal),
        );
        report.add(
            Figure::less_is_better(
                format!("{title}: processor time against {policy}"),
                fork.cpu_microseconds(),
                "us/write",
            )
            .against(policy, other.cpu_microseconds()),
        );
    }
}
