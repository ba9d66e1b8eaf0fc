//! A writer, and what it found.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use braidfs_pagecache::{
    CacheConfig, CacheCounters, Mapping, PAGE_SIZE, PageCache, WritebackPolicy,
};
use hdrhistogram::Histogram;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use rustix::time::{ClockId, clock_gettime};

use super::device::{Device, Unasked, write_back};

const PAGE: u64 = PAGE_SIZE as u64;

/// Where the next write goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    Random,
    Sequential,
}

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub pattern: Pattern,
    pub file_bytes: u64,
    pub write_bytes: usize,
    /// Writes a second, begun on time whether the last one is through or not; as many as it can if
    /// `None`.
    pub rate: Option<f64>,
    pub device: Device,
}

/// What a policy made of a load.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// From when a write was due until it was through, in nanoseconds.
    pub latencies: Histogram<u64>,
    pub seconds: f64,
    pub versions: u64,
    pub forks: u64,
    pub copied_bytes: u64,
    pub waits: u64,
    pub frozen_bytes_peak: u64,
    pub cached_bytes_peak: u64,
    pub writer_cpu_seconds: f64,
    pub writeback_cpu_seconds: f64,
    /// Whether the writer had to pass time, for which it keeps a processor busy.
    pub is_paced: bool,
}

impl Outcome {
    pub fn none() -> Self {
        Self {
            latencies: Histogram::new(3).expect("three digits are allowed"),
            seconds: 0.0,
            versions: 0,
            forks: 0,
            copied_bytes: 0,
            waits: 0,
            frozen_bytes_peak: 0,
            cached_bytes_peak: 0,
            writer_cpu_seconds: 0.0,
            writeback_cpu_seconds: 0.0,
            is_paced: false,
        }
    }

    /// Adds another round.
    pub fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies).expect("it grows");
        self.seconds += other.seconds;
        self.versions += other.versions;
        self.forks += other.forks;
        self.copied_bytes += other.copied_bytes;
        self.waits += other.waits;
        self.frozen_bytes_peak = self.frozen_bytes_peak.max(other.frozen_bytes_peak);
        self.cached_bytes_peak = self.cached_bytes_peak.max(other.cached_bytes_peak);
        self.writer_cpu_seconds += other.writer_cpu_seconds;
        self.writeback_cpu_seconds += other.writeback_cpu_seconds;
        self.is_paced |= other.is_paced;
    }

    pub fn writes_per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.seconds
    }

    pub fn microseconds_at(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1e3
    }

    /// Processor time of both threads for a write, in microseconds.
    pub fn cpu_microseconds(&self) -> f64 {
        let seconds = self.writer_cpu_seconds + self.writeback_cpu_seconds;
        seconds * 1e6 / self.latencies.len().max(1) as f64
    }
}

/// A file all of whose pages are cached and clean, in a cache that has touched all its memory.
pub struct Subject {
    cache: Arc<PageCache>,
    file: Arc<Mapping>,
    load: Load,
}

impl Subject {
    pub fn new(load: Load) -> Self {
        let cache = PageCache::new(CacheConfig::with_pool_bytes(8 * load.file_bytes)).unwrap();
        let other = Mapping::new(&cache);
        (0..7 * load.file_bytes / PAGE)
            .for_each(|page| other.write(page * PAGE, &[1; PAGE_SIZE], &Unasked).unwrap());
        drop(other);
        let file = Mapping::new(&cache);
        (0..load.file_bytes / PAGE)
            .for_each(|page| file.write(page * PAGE, &[1; PAGE_SIZE], &Unasked).unwrap());
        file.freeze().unwrap().complete();
        Self { cache, file, load }
    }

    /// Lets the load run for so long under a policy.
    pub fn run(&self, policy: WritebackPolicy, duration: Duration) -> Outcome {
        self.cache.set_policy(policy);
        self.cache.reset_peaks();
        let before = self.cache.counters();
        let end = AtomicBool::new(false);
        let (written, writeback, cached_bytes_peak) = thread::scope(|scope| {
            let writeback =
                scope.spawn(|| with_cpu(|| write_back(&self.file, self.load.device, &end)));
            let writer = scope.spawn(|| with_cpu(|| self.write(duration)));
            let mut peak = 0;
            while !writer.is_finished() {
                peak = peak.max(self.cache.counters().frames_used * PAGE);
                thread::sleep(Duration::from_millis(5));
            }
            end.store(true, Ordering::Relaxed);
            (writer.join().unwrap(), writeback.join().unwrap(), peak)
        });
        let counters = self.cache.counters();
        let more = |of: fn(&CacheCounters) -> u64| of(&counters) - of(&before);
        let ((latencies, seconds), writer_cpu_seconds) = written;
        Outcome {
            latencies,
            seconds,
            versions: writeback.0,
            forks: more(|counters| counters.forks),
            copied_bytes: more(|counters| counters.bytes_copied),
            waits: more(|counters| counters.waits),
            frozen_bytes_peak: counters.frozen_bytes_peak,
            cached_bytes_peak,
            writer_cpu_seconds,
            writeback_cpu_seconds: writeback.1,
            is_paced: self.load.rate.is_some(),
        }
    }

    /// Writes; returns how long each took, and all together in seconds.
    fn write(&self, duration: Duration) -> (Histogram<u64>, f64) {
        let mut latencies = Histogram::new(3).expect("three digits are allowed");
        latencies.auto(true);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
        let data = vec![5; self.load.write_bytes];
        let places = self.load.file_bytes / self.load.write_bytes as u64;
        let started = Instant::now();
        for number in 0u64.. {
            let due = self.due(started, number);
            if due.duration_since(started) >= duration {
                break;
            }
            let place = match self.load.pattern {
                Pattern::Random => random.next_u64() % places,
                Pattern::Sequential => number % places,
            };
            self.file.write(place * self.load.write_bytes as u64, &data, &Unasked).unwrap();
            latencies.record(due.elapsed().as_nanos() as u64).expect("it grows");
        }
        (latencies, started.elapsed().as_secs_f64())
    }

    /// Waits until a write is due, and says since when it is.
    fn due(&self, started: Instant, number: u64) -> Instant {
        let Some(rate) = self.load.rate else { return Instant::now() };
        let due = started + Duration::from_secs_f64(number as f64 / rate);
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        due
    }
}

/// Runs `work`, and says how much processor time it took in seconds.
fn with_cpu<R>(work: impl FnOnce() -> R) -> (R, f64) {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let before = now();
    let result = work();
    (result, now() - before)
}
