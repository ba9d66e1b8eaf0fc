//! Writes a number of cached pages, once each, with nothing under writeback: what the benchmark
//! `instructions` counts the instructions of. `overwrites clean|dirty BYTES COUNT`.
//!
//! All that comes before the writes is the same for every count, and nothing comes after them: so
//! the difference of two counts is that of their writes, and nothing else.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use braidfs_pagecache::{
    Backing, CacheConfig, CacheError, Mapping, PAGE_SIZE, PageCache, PageFill,
};

const PAGE: u64 = PAGE_SIZE as u64;
const FILE_PAGES: u64 = 8192;

/// A backing that is never asked: every page is cached.
struct Unneeded;

impl Backing for Unneeded {
    type Error = CacheError;

    fn fill(&self, _: u64, _: &mut [PageFill<'_>]) -> Result<(), CacheError> {
        unreachable!("every page is cached")
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [state, bytes, count] = &arguments[..] else { return usage() };
    let (Ok(bytes), Ok(count)) = (bytes.parse::<usize>(), count.parse::<u64>()) else {
        return usage();
    };
    if !(1..=PAGE_SIZE).contains(&bytes) || count > FILE_PAGES {
        return usage();
    }
    let cache = PageCache::new(CacheConfig::with_pool_bytes(4 * FILE_PAGES * PAGE)).unwrap();
    let file = Mapping::new(&cache);
    write_each(&file, FILE_PAGES, &[5; PAGE_SIZE]);
    match state.as_str() {
        "clean" => file.freeze().unwrap().complete(),
        "dirty" => {}
        _ => return usage(),
    }
    write_each(&file, count, &vec![6; bytes]);
    // Neither the file nor the cache is taken down: that would count, too.
    std::process::exit(0);
}

/// Writes the data at the begin of each of the first pages.
fn write_each(file: &Arc<Mapping>, pages: u64, data: &[u8]) {
    (0..pages).for_each(|page| file.write(page * PAGE, data, &Unneeded).unwrap());
}

fn usage() {
    eprintln!("usage: overwrites clean|dirty BYTES COUNT (a page and {FILE_PAGES} at most)");
    std::process::exit(2);
}
