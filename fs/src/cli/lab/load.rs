//! The writer that is measured, and what keeps its file under writeback.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use braidfs_pagecache::{MappedFile, PAGE_SIZE};
use hdrhistogram::Histogram;
use rustix::fs::{OFlags, fgetxattr, syncfs};

use crate::cli::args::{Driver, Writer};
use crate::fuse::FSYNC_ATTRIBUTE;

/// The file that is overwritten: small, so that a page is often under writeback.
const FILE_PAGES: u64 = 256;
/// What is streamed, again and again, for pressure.
const STREAM_BYTES: u64 = 64 << 20;
/// The pause between two calls of syncfs(2).
const SYNC_PAUSE: Duration = Duration::from_millis(1);
const PAGE: u64 = PAGE_SIZE as u64;

/// What a turn measured.
pub struct Turn {
    /// From when each write was due until it was through, in nanoseconds.
    pub latencies: Histogram<u64>,
    /// Writes that were not begun when the turn ended; they are in the histogram with how late they
    /// were by then.
    pub not_begun: u64,
    /// How often the driver did what it does.
    pub driven: u64,
    pub seconds: f64,
}

/// Lets the writer run for so long under what the driver does.
pub fn run(
    directory: &Path,
    driver: Driver,
    writer: Writer,
    rate: u32,
    duration: Duration,
) -> io::Result<Turn> {
    let path = directory.join("file");
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
    let page = vec![1; PAGE_SIZE];
    (0..FILE_PAGES).try_for_each(|at| file.write_all_at(&page, at * PAGE))?;
    file.sync_all()?;
    let target = Target::new(writer, &path, &file)?;
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        let driving = scope.spawn(|| drive(directory, &file, driver, &end));
        let streaming =
            (driver == Driver::Pressure).then(|| scope.spawn(|| stream(directory, &end)));
        let written = target.write(rate, duration);
        end.store(true, Ordering::Relaxed);
        let driven = driving.join().unwrap_or_else(|_| Err(io::Error::other("a panic")));
        let streamed = streaming.map(|stream| stream.join());
        if let Some(Ok(Err(error))) = streamed {
            return Err(error);
        }
        let mut turn = written?;
        turn.driven = driven?;
        Ok(turn)
    })
}

/// Does what the driver does until the end, and says how often.
fn drive(directory: &Path, file: &File, driver: Driver, end: &AtomicBool) -> io::Result<u64> {
    let other = File::create(directory.join("other"))?;
    let mut count = 0;
    while !end.load(Ordering::Relaxed) {
        match driver {
            Driver::Interval | Driver::Pressure => {
                syncfs(file)?;
                thread::sleep(SYNC_PAUSE);
            }
            Driver::OtherFsync => {
                other.write_all_at(&[count as u8; 1024], count % 4096 * 1024)?;
                other.sync_all()?;
            }
            Driver::SameFsync => file.sync_all()?,
            Driver::UnlockedFsync => {
                syncfs(file)?;
                fgetxattr(file, FSYNC_ATTRIBUTE, &mut [0u8; 1][..])?;
            }
        }
        count += 1;
    }
    Ok(count)
}

/// Writes another file, from front to back again and again, until the end.
fn stream(directory: &Path, end: &AtomicBool) -> io::Result<()> {
    let file = File::create(directory.join("stream"))?;
    let megabyte = vec![3; 1 << 20];
    for number in 0u64.. {
        if end.load(Ordering::Relaxed) {
            break;
        }
        file.write_all_at(&megabyte, (number << 20) % STREAM_BYTES)?;
    }
    Ok(())
}

/// A file, and a way to write to it.
enum Target<'a> {
    Buffered(&'a File),
    Direct(File),
    Mapped(MappedFile),
}

impl<'a> Target<'a> {
    fn new(writer: Writer, path: &Path, file: &'a File) -> io::Result<Self> {
        Ok(match writer {
            Writer::Write => Self::Buffered(file),
            Writer::Direct => {
                let flags = OFlags::DIRECT.bits() as i32;
                Self::Direct(File::options().write(true).custom_flags(flags).open(path)?)
            }
            Writer::Mmap => Self::Mapped(MappedFile::new(file)?),
        })
    }

    fn write_page(&self, page: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Buffered(file) => file.write_all_at(bytes, page * PAGE),
            Self::Direct(file) => file.write_all_at(bytes, page * PAGE),
            Self::Mapped(map) => {
                let words = PAGE_SIZE / size_of::<u64>();
                map.fill(page as usize * words, words, u64::from(bytes[0]));
                Ok(())
            }
        }
    }

    /// Writes random pages, each when it is due.
    fn write(&self, rate: u32, duration: Duration) -> io::Result<Turn> {
        let memory = AlignedPage::new();
        let mut latencies = new_histogram();
        let interval = Duration::from_secs(1) / rate;
        let started = Instant::now();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut due = started;
        while started.elapsed() < duration {
            let now = Instant::now();
            let mut begun = due;
            if now < due {
                thread::sleep(due - now);
                // That it wakes late is not the fault of the filesystem.
                begun = Instant::now();
            }
            // xorshift64*, good enough for places.
            random ^= random >> 12;
            random ^= random << 25;
            random ^= random >> 27;
            let page = random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
            self.write_page(page % FILE_PAGES, memory.bytes())?;
            record(&mut latencies, begun.elapsed());
            due += interval;
        }
        let end = Instant::now();
        let mut not_begun = 0;
        while due < end {
            record(&mut latencies, end - due);
            due += interval;
            not_begun += 1;
        }
        let seconds = (end - started).as_secs_f64();
        Ok(Turn { latencies, not_begun, driven: 0, seconds })
    }
}

/// A histogram of nanoseconds.
pub fn new_histogram() -> Histogram<u64> {
    let mut histogram =
        Histogram::new(3).unwrap_or_else(|_| unreachable!("three digits are allowed"));
    histogram.auto(true);
    histogram
}

fn record(histogram: &mut Histogram<u64>, duration: Duration) {
    // It grows as it needs to.
    let _ = histogram.record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
}

/// A page of bytes at an address that O_DIRECT takes.
struct AlignedPage {
    memory: Vec<u8>,
    start: usize,
}

impl AlignedPage {
    fn new() -> Self {
        let memory = vec![5; 2 * PAGE_SIZE];
        let start = memory.as_ptr().align_offset(PAGE_SIZE);
        Self { memory, start }
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + PAGE_SIZE]
    }
}
