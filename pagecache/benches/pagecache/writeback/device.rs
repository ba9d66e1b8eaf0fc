//! A disk of settable speed, and a thread that always writes a file back to it.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use braidfs_pagecache::{Backing, CacheError, Frozen, FrozenPage, Mapping, PAGE_SIZE, PageFill};

/// How fast the disk is.
#[derive(Debug, Clone, Copy)]
pub struct Device {
    /// Of a version, besides the time for its bytes: a write and a flush.
    pub latency: Duration,
    /// For its bytes.
    pub bytes_per_second: f64,
}

impl Device {
    /// Writes a version. Every byte is looked at once, as for a checksum; then time passes.
    fn write(&self, version: &Frozen) {
        let mut sum = 0u64;
        for run in version.runs() {
            for page in &run.pages {
                if let FrozenPage::Data(bytes) = page {
                    sum ^= checksum(bytes);
                }
            }
        }
        black_box(sum);
        let bytes = (version.page_count() * PAGE_SIZE as u64) as f64;
        thread::sleep(self.latency + Duration::from_secs_f64(bytes / self.bytes_per_second));
    }
}

fn checksum(bytes: &[u8; PAGE_SIZE]) -> u64 {
    let words = bytes.as_chunks::<8>().0;
    words.iter().fold(0u64, |sum, word| sum.rotate_left(1) ^ u64::from_le_bytes(*word))
}

/// Freezes, writes and completes again and again, until `end`. Returns how many versions.
pub fn write_back(file: &Mapping, device: Device, end: &AtomicBool) -> u64 {
    let mut versions = 0;
    while !end.load(Ordering::Relaxed) {
        match file.freeze() {
            Some(version) => {
                device.write(&version);
                version.complete();
                versions += 1;
            }
            None => thread::sleep(Duration::from_micros(50)),
        }
    }
    versions
}

/// What is under a file all of whose pages are cached: it is never asked.
pub struct Unasked;

impl Backing for Unasked {
    type Error = CacheError;

    fn fill(&self, first: u64, _: &mut [PageFill<'_>]) -> Result<(), CacheError> {
        unreachable!("page {first} is cached")
    }
}
