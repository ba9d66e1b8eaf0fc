//! Driving the kernel's same-page merging, and leaving it as it was.

use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use braidfs_mm::PAGE_SIZE;

const DIRECTORY: &str = "/sys/kernel/mm/ksm";
/// What is changed, and to what while it merges.
const SETTINGS: [(&str, &str); 4] =
    [("use_zero_pages", "1"), ("pages_to_scan", "20000"), ("sleep_millisecs", "1"), ("run", "1")];
const PATIENCE: Duration = Duration::from_secs(10);
/// Nanoseconds in the unit of processor times in /proc.
const TICK_NS: f64 = 1e7;

/// Same-page merging, with the settings it had before.
pub struct Ksm {
    before: Vec<(&'static str, String)>,
    /// Where the times of its thread stand.
    times: Option<PathBuf>,
}

/// What merging took.
pub struct Merged {
    pub wall_ns_a_page: f64,
    pub processor_ns_a_page: f64,
    /// Reading a cache line before and after.
    pub read_before_ns: f64,
    pub read_after_ns: f64,
}

impl Ksm {
    /// Says why not, if it cannot be had.
    pub fn new() -> Result<Self, String> {
        let mut before = Vec::new();
        for (name, _) in SETTINGS {
            let value = read(name).map_err(|error| format!("{DIRECTORY}/{name}: {error}"))?;
            // Writing what it is shows whether we may.
            write(name, &value).map_err(|error| format!("{DIRECTORY}/{name}: {error}"))?;
            before.push((name, value));
        }
        if before.iter().any(|(name, value)| *name == "run" && value != "0") {
            return Err("it is at work for somebody else".to_owned());
        }
        Ok(Self { before, times: times_of_ksmd() })
    }

    /// Fills memory with pages of zeros and has them merged. `None` if that takes too long.
    pub fn merge(&mut self, pages: usize) -> Option<Merged> {
        let memory = Memory::of_zeros(pages)?;
        let read_before_ns = memory.read_ns();
        let merged_before = number("ksm_zero_pages")?;
        let processor_before = self.processor_ticks();
        let started = Instant::now();
        SETTINGS.iter().try_for_each(|(name, value)| write(name, value)).ok()?;
        let wanted = merged_before + pages as u64 * 99 / 100;
        while number("ksm_zero_pages")? < wanted {
            if started.elapsed() > PATIENCE {
                self.restore();
                return None;
            }
            sleep(Duration::from_millis(2));
        }
        let wall = started.elapsed();
        self.restore();
        let ticks = self.processor_ticks() - processor_before;
        Some(Merged {
            wall_ns_a_page: wall.as_nanos() as f64 / pages as f64,
            processor_ns_a_page: ticks * TICK_NS / pages as f64,
            read_before_ns,
            read_after_ns: memory.read_ns(),
        })
    }

    fn restore(&self) {
        // "run" comes last in the list and goes first.
        for (name, value) in self.before.iter().rev() {
            if let Err(error) = write(name, value) {
                eprintln!("{DIRECTORY}/{name} could not be set back to {value}: {error}");
            }
        }
    }

    /// The processor time of the merging thread, user and system.
    fn processor_ticks(&self) -> f64 {
        let text = self.times.as_ref().and_then(|path| fs::read_to_string(path).ok());
        let fields = text.as_deref().and_then(|text| text.rsplit_once(')')).map(|(_, rest)| rest);
        // Behind the name: the state is field 3, the times are 14 and 15.
        let times = fields.into_iter().flat_map(|rest| rest.split_whitespace().skip(11).take(2));
        times.filter_map(|time| time.parse::<f64>().ok()).sum()
    }
}

impl Drop for Ksm {
    fn drop(&mut self) {
        self.restore();
    }
}

/// Private memory full of zeros that were written.
struct Memory {
    start: *mut u8,
    bytes: usize,
}

impl Memory {
    fn of_zeros(pages: usize) -> Option<Self> {
        let bytes = pages * PAGE_SIZE;
        // SAFETY: a new mapping where the kernel likes; nothing else is there.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return None;
        }
        let memory = Self { start: start.cast(), bytes };
        // SAFETY: the whole range is the mapping just made, which only `memory` has.
        let taken = unsafe {
            libc::madvise(start, bytes, libc::MADV_NOHUGEPAGE);
            // Written, or the kernel would have its own page of zeros there.
            std::ptr::write_bytes(memory.start, 0, bytes);
            libc::madvise(start, bytes, libc::MADV_MERGEABLE)
        };
        (taken == 0).then_some(memory)
    }

    /// Reads one word of each cache line; nanoseconds a line, the best of some.
    fn read_ns(&self) -> f64 {
        // SAFETY: the mapping lives as long as `self`, holds initialised bytes and is not written while
        // the slice lives.
        let bytes = unsafe { std::slice::from_raw_parts(self.start, self.bytes) };
        let lines = self.bytes / super::LINE_BYTES;
        let read = || {
            let words = bytes.chunks_exact(super::LINE_BYTES);
            assert_eq!(words.map(|line| u64::from(black_box(line)[0])).sum::<u64>(), 0);
        };
        let times = (0..5).map(|_| braidfs_measure::time_ns(read) / lines as f64);
        times.fold(f64::INFINITY, f64::min)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `of_zeros`, and nobody has a slice of it any more.
        unsafe {
            libc::munmap(self.start.cast(), self.bytes);
        }
    }
}

fn read(name: &str) -> std::io::Result<String> {
    fs::read_to_string(format!("{DIRECTORY}/{name}")).map(|value| value.trim().to_owned())
}

fn write(name: &str, value: &str) -> std::io::Result<()> {
    fs::write(format!("{DIRECTORY}/{name}"), value)
}

fn number(name: &str) -> Option<u64> {
    read(name).ok()?.parse().ok()
}

fn times_of_ksmd() -> Option<PathBuf> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.map(|entry| entry.path()).find_map(|path| {
        let name = fs::read_to_string(path.join("comm")).ok()?;
        (name.trim() == "ksmd").then(|| path.join("stat"))
    })
}
