//! A file over a test disk, with short names for what the tests do all the time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use braidfs_pagecache::{
    CacheConfig, CacheCounters, Frozen, FrozenPage, Mapping, PAGE_SIZE, PageBytes, PageCache,
    WritebackPolicy,
};

use crate::disk::{Disk, DiskError};

/// Page size as an offset.
pub const PAGE: u64 = PAGE_SIZE as u64;

/// A file over a disk.
#[derive(Debug)]
pub struct File {
    pub cache: Arc<PageCache>,
    pub mapping: Arc<Mapping>,
    pub disk: Disk,
    freezes: AtomicU64,
    /// Orders freezes and what hides pages, as the lock of an inode does.
    order: Mutex<()>,
}

/// A frozen version with its number.
#[derive(Debug)]
pub struct Version {
    pub number: u64,
    pub frozen: Frozen,
}

/// A cache of so many pages: half of them may be dirty, a quarter frozen.
pub fn cache_of(pages: u64, policy: WritebackPolicy) -> Arc<PageCache> {
    let config = CacheConfig { policy, ..CacheConfig::with_pool_bytes(pages * PAGE) };
    PageCache::new(config).unwrap()
}

/// Runs a test under each policy.
pub fn for_each_policy(test: impl Fn(WritebackPolicy)) {
    for policy in WritebackPolicy::ALL {
        test(policy);
    }
}

impl File {
    /// An empty file in a cache of 1,024 pages.
    pub fn new(policy: WritebackPolicy) -> Self {
        Self::over(cache_of(1024, policy), Disk::default())
    }

    /// A file with these pages on the disk, full of the given bytes.
    pub fn with_pages(policy: WritebackPolicy, pages: impl IntoIterator<Item = (u64, u8)>) -> Self {
        Self::over(cache_of(1024, policy), Disk::with_pages(pages))
    }

    /// A file over that disk.
    pub fn over(cache: Arc<PageCache>, disk: Disk) -> Self {
        let mapping = Mapping::new(&cache);
        Self { cache, mapping, disk, freezes: AtomicU64::new(0), order: Mutex::new(()) }
    }

    /// Writes a whole page of one byte.
    pub fn fill_page(&self, page: u64, byte: u8) {
        self.write(page * PAGE, &[byte; PAGE_SIZE]);
    }

    /// Writes.
    pub fn write(&self, offset: u64, data: &[u8]) {
        self.mapping.write(offset, data, &self.disk).unwrap();
    }

    /// Reads.
    pub fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        self.try_read(offset, length).unwrap()
    }

    /// Reads, or fails.
    pub fn try_read(&self, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        let mut buffer = vec![0xee; length];
        self.mapping.read(offset, &mut buffer, &self.disk).map(|()| buffer)
    }

    /// The byte a page is full of.
    pub fn byte_of(&self, page: u64) -> u8 {
        let bytes = self.read(page * PAGE, PAGE_SIZE);
        assert!(bytes.iter().all(|byte| *byte == bytes[0]), "page {page} is torn");
        bytes[0]
    }

    /// Freezes what is dirty.
    pub fn freeze(&self) -> Version {
        self.try_freeze().expect("something is dirty")
    }

    /// Freezes what is dirty, if anything is.
    pub fn try_freeze(&self) -> Option<Version> {
        let _order = self.order.lock().unwrap();
        let frozen = self.mapping.freeze()?;
        Some(Version { number: self.freezes.fetch_add(1, Ordering::Relaxed) + 1, frozen })
    }

    /// Number of freezes so far.
    pub fn freezes(&self) -> u64 {
        self.freezes.load(Ordering::Relaxed)
    }

    /// Writes a version to the disk.
    pub fn publish(&self, version: &Version) {
        self.disk.publish(&version.frozen, version.number);
    }

    /// Writes everything back.
    pub fn sync(&self) {
        if let Some(version) = self.try_freeze() {
            self.publish(&version);
            version.frozen.complete();
        }
    }

    /// Cuts the file, telling the disk first.
    pub fn truncate(&self, size: u64) {
        let _order = self.order.lock().unwrap();
        self.disk.hide(size.div_ceil(PAGE)..10_000, self.freezes());
        self.mapping.truncate(size, &self.disk).unwrap();
    }

    /// Punches a hole, telling the disk first.
    pub fn punch(&self, start: u64, end: u64) {
        let _order = self.order.lock().unwrap();
        self.disk
            .hide(start.div_ceil(PAGE)..(end / PAGE).max(start.div_ceil(PAGE)), self.freezes());
        self.mapping.punch(start..end, &self.disk).unwrap();
    }

    /// The counters of the cache.
    pub fn counters(&self) -> CacheCounters {
        self.cache.counters()
    }

    /// Asserts that nothing is dirty, frozen or in flight.
    pub fn assert_settled(&self) {
        let counters = self.counters();
        assert_eq!((counters.dirty_bytes, counters.frozen_bytes), (0, 0), "{counters:?}");
        assert_eq!((self.mapping.dirty_pages(), self.mapping.next_dirty(0)), (0, None));
    }
}

/// The pages of a frozen version and the byte each is full of; `None` where it is written back as a
/// hole.
pub fn content_of(frozen: &Frozen) -> BTreeMap<u64, Option<u8>> {
    let mut pages = BTreeMap::new();
    for run in frozen.runs() {
        for (page, content) in (run.first..).zip(&run.pages) {
            pages.insert(page, uniform_byte(content));
        }
    }
    assert_eq!(pages.len() as u64, frozen.page_count());
    pages
}

fn uniform_byte(page: &FrozenPage<'_>) -> Option<u8> {
    let bytes = page.bytes()?;
    assert!(bytes.iter().all(|byte| *byte == bytes[0]), "a frozen page is torn");
    Some(bytes[0])
}

/// The bytes of a page to be written back.
pub fn bytes_of(page: &FrozenPage<'_>) -> PageBytes {
    page.bytes().copied().unwrap_or([0; PAGE_SIZE])
}

/// Starts something that has to wait, and sees that it does.
pub fn spawn_waiting<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    cache: &PageCache,
    action: impl FnOnce() -> T + Send + 'scope,
) -> ScopedJoinHandle<'scope, T> {
    let handle = scope.spawn(action);
    std::thread::sleep(Duration::from_millis(30));
    assert!(!handle.is_finished(), "should wait: {:?}", cache.counters());
    handle
}

/// Waits until something is true, for ten seconds at most.
pub fn await_that(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        std::thread::yield_now();
    }
}
