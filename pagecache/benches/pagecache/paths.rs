//! What the paths of the page cache cost, without any disk.
//!
//! The best of several rounds, each of many calls. The lines of writes to pages under writeback are
//! to be compared with those without.

use std::hint::black_box;
use std::sync::Arc;

use braidfs_measure::{Figure, Report, Samples, time_ns};
use braidfs_pagecache::{
    Backing, CacheConfig, CacheError, Frozen, Mapping, PAGE_SIZE, PageCache, PageFill,
    WritebackPolicy,
};

const PAGE: u64 = PAGE_SIZE as u64;
const FILE_PAGES: u64 = 16 * 1024;
const ROUNDS: usize = 5;

/// A backing where every page has data.
struct Full;

impl Backing for Full {
    type Error = CacheError;

    fn fill(&self, first: u64, pages: &mut [PageFill<'_>]) -> Result<(), CacheError> {
        for (page, fill) in (first..).zip(pages) {
            fill.buffer().fill(page as u8 | 1);
        }
        Ok(())
    }
}

fn cache(policy: WritebackPolicy) -> Arc<PageCache> {
    let config = CacheConfig { policy, ..CacheConfig::with_pool_bytes(4 * FILE_PAGES * PAGE) };
    let cache = PageCache::new(config).unwrap();
    // Touch the memory once, as any cache that is full has done: the system's page faults are not
    // the subject.
    let file = Mapping::new(&cache);
    for at in 0..4 * FILE_PAGES {
        file.write(at * PAGE, &[1; PAGE_SIZE], &Full).unwrap();
    }
    cache
}

/// A file whose pages are all cached and clean.
fn clean_file(policy: WritebackPolicy) -> Arc<Mapping> {
    let mapping = Mapping::new(&cache(policy));
    write_all(&mapping, 1 << 20);
    mapping.freeze().unwrap().complete();
    mapping
}

fn write_all(mapping: &Mapping, block: usize) {
    let data = vec![5; block];
    for at in (0..FILE_PAGES * PAGE).step_by(block) {
        mapping.write(at, &data, &Full).unwrap();
    }
}

fn read_all(mapping: &Mapping, block: usize) {
    let mut buffer = vec![0; block];
    for at in (0..FILE_PAGES * PAGE).step_by(block) {
        mapping.read(at, black_box(&mut buffer), &Full).unwrap();
    }
}

/// Times `calls` calls made by `body` on what `prepare` makes anew for each round.
fn measure<T>(
    report: &mut Report,
    name: &str,
    calls: u64,
    prepare: impl Fn() -> T,
    body: impl Fn(&T),
) {
    let rounds = (0..report.choose(ROUNDS, 1)).map(|_| {
        let subject = prepare();
        time_ns(|| body(&subject)) / calls as f64
    });
    report.add(Figure::less_is_better(name, rounds.collect::<Samples>().min(), "ns"));
}

pub fn run(report: &mut Report) {
    reads(report);
    writes_without_writeback(report);
    writes_under_writeback(report);
    freezing(report);
}

fn fork() -> Arc<Mapping> {
    clean_file(WritebackPolicy::Fork)
}

fn dirty() -> Arc<Mapping> {
    let file = fork();
    write_all(&file, 1 << 20);
    file
}

fn frozen() -> (Arc<Mapping>, Frozen) {
    let file = dirty();
    let frozen = file.freeze().unwrap();
    (file, frozen)
}

fn blocks(block: u64) -> u64 {
    FILE_PAGES * PAGE / block
}

fn reads(report: &mut Report) {
    measure(
        report,
        "memcpy of 4 KiB, for comparison",
        FILE_PAGES,
        || vec![5u8; 64 << 20],
        |source| {
            let mut target = [0; PAGE_SIZE];
            for page in source.chunks(PAGE_SIZE) {
                black_box(&mut target).copy_from_slice(page);
            }
        },
    );
    measure(report, "read 4 KiB, cached", blocks(4096), fork, |file| read_all(file, 4096));
    measure(report, "read 128 KiB, cached", blocks(128 << 10), fork, |file| {
        read_all(file, 128 << 10)
    });
    measure(
        report,
        "read 128 KiB, filled",
        blocks(128 << 10),
        || Mapping::new(&cache(WritebackPolicy::Fork)),
        |file| {
            read_all(file, 128 << 10);
        },
    );
}

fn writes_without_writeback(report: &mut Report) {
    measure(report, "write 4 KiB, clean page", blocks(4096), fork, |file| write_all(file, 4096));
    measure(report, "write 4 KiB, page dirty already", blocks(4096), dirty, |file| {
        write_all(file, 4096)
    });
    measure(report, "write 128 KiB, page dirty already", blocks(128 << 10), dirty, |file| {
        write_all(file, 128 << 10)
    });
}

fn writes_under_writeback(report: &mut Report) {
    measure(report, "write 4 KiB, page frozen, not gathered", blocks(4096), frozen, |(file, _)| {
        write_all(file, 4096)
    });
    let gathered = || {
        let (file, frozen) = frozen();
        assert_eq!(frozen.runs().count(), 1);
        (file, frozen)
    };
    measure(report, "write 4 KiB, page under writeback", blocks(4096), gathered, |(file, _)| {
        write_all(file, 4096)
    });
    measure(report, "write 100 B, page under writeback", FILE_PAGES, gathered, |(file, _)| {
        (0..FILE_PAGES).for_each(|page| file.write(page * PAGE + 9, &[1; 100], &Full).unwrap());
    });
}

fn freezing(report: &mut Report) {
    measure(report, "freeze 16,384 dirty pages", 1, dirty, |file| {
        std::mem::forget(black_box(file.freeze()))
    });
    measure(report, "gather, a page", FILE_PAGES, frozen, |(_, frozen)| {
        assert_eq!(frozen.runs().count(), 1)
    });
    measure(report, "gather and complete, a page", FILE_PAGES, dirty, |file| {
        file.freeze().unwrap().complete()
    });
    let copy = || {
        let file = clean_file(WritebackPolicy::Copy);
        write_all(&file, 1 << 20);
        file
    };
    measure(report, "freeze 16,384 dirty pages, policy copy", 1, copy, |file| {
        std::mem::forget(black_box(file.freeze()))
    });
}
