//! Random operations against a model: the bytes of the file, and for every page what writeback has
//! still to do with it.

use std::collections::BTreeMap;

use braidfs_pagecache::{CacheConfig, PAGE_SIZE, PageBytes, PageCache, WritebackPolicy};
use proptest::prelude::*;

use crate::disk::Disk;
use crate::fixture::{File, PAGE, Version, bytes_of};

/// Pages of the file.
const PAGES: u64 = 24;
const BYTES: usize = PAGES as usize * PAGE_SIZE;

#[derive(Debug, Clone)]
enum Operation {
    Write { offset: usize, length: usize, byte: u8 },
    Read { offset: usize, length: usize },
    Truncate { size: usize },
    Punch { start: usize, length: usize },
    Freeze,
    Gather { which: usize },
    Complete { which: usize },
    Fail { which: usize },
    DropClean { first: u64, count: u64 },
    PressMemory,
    Scan,
    SetPolicy(WritebackPolicy),
    SetDedup(bool),
}

/// Offsets and lengths that meet page boundaries often.
fn position() -> impl Strategy<Value = usize> {
    let page = 0..PAGES as usize;
    prop_oneof![
        3 => page.clone().prop_map(|page| page * PAGE_SIZE),
        1 => (page, 0..PAGE_SIZE).prop_map(|(page, at)| page * PAGE_SIZE + at),
    ]
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        3 => (1..5usize).prop_map(|pages| pages * PAGE_SIZE),
        2 => 1..PAGE_SIZE,
        1 => 0..3 * PAGE_SIZE,
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let policy = prop::sample::select(WritebackPolicy::ALL.to_vec());
    prop_oneof![
        10 => (position(), length(), 0..4u8)
            .prop_map(|(offset, length, byte)| Operation::Write { offset, length, byte }),
        6 => (position(), length()).prop_map(|(offset, length)| Operation::Read { offset, length }),
        2 => position().prop_map(|size| Operation::Truncate { size }),
        2 => (position(), length()).prop_map(|(start, length)| Operation::Punch { start, length }),
        5 => Just(Operation::Freeze),
        2 => (0..4usize).prop_map(|which| Operation::Gather { which }),
        4 => (0..4usize).prop_map(|which| Operation::Complete { which }),
        2 => (0..4usize).prop_map(|which| Operation::Fail { which }),
        1 => (0..PAGES, 0..PAGES).prop_map(|(first, count)| Operation::DropClean { first, count }),
        1 => Just(Operation::PressMemory),
        2 => Just(Operation::Scan),
        1 => policy.prop_map(Operation::SetPolicy),
        1 => any::<bool>().prop_map(Operation::SetDedup),
    ]
}

/// What writeback has to do with a page; a page that is not listed is clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    Open,
    InFlight(u64),
}

/// A version in flight, and what it must contain.
struct Expected {
    version: Version,
    pages: BTreeMap<u64, PageBytes>,
    published: bool,
}

struct Model {
    file: File,
    other: File,
    bytes: Vec<u8>,
    pending: BTreeMap<u64, Pending>,
    in_flight: Vec<Expected>,
}

impl Model {
    fn new() -> Self {
        let config = CacheConfig {
            dirty_limit_bytes: 100 * PAGE,
            frozen_limit_bytes: 120 * PAGE,
            background_bytes: 50 * PAGE,
            ..CacheConfig::with_pool_bytes(256 * PAGE)
        };
        let cache = PageCache::new(config).unwrap();
        let other = File::over(cache.clone(), Disk::with_pages((0..600).map(|page| (page, 7))));
        Self {
            file: File::over(cache, Disk::default()),
            other,
            bytes: vec![0; BYTES],
            pending: BTreeMap::new(),
            in_flight: Vec::new(),
        }
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Write { offset, length, byte } => {
                self.write(offset, length.min(BYTES - offset), byte)
            }
            Operation::Read { offset, length } => self.read(offset, length.min(BYTES - offset)),
            Operation::Truncate { size } => self.truncate(size),
            Operation::Punch { start, length } => self.punch(start, BYTES.min(start + length)),
            Operation::Freeze => self.freeze(),
            Operation::Gather { which } => self.gather(which),
            Operation::Complete { which } => self.complete(which),
            Operation::Fail { which } => self.fail(which),
            Operation::DropClean { first, count } => {
                self.file.mapping.drop_clean(first..first + count)
            }
            Operation::PressMemory => {
                assert!(self.other.read(0, 600 * PAGE_SIZE).iter().all(|byte| *byte == 7))
            }
            Operation::Scan => drop(self.file.cache.scan_for_zeros(usize::MAX)),
            Operation::SetPolicy(policy) => self.file.cache.set_policy(policy),
            Operation::SetDedup(enabled) => self.file.cache.set_dedup_zero(enabled),
        }
        self.check_pending();
    }

    /// A single thread must not run into the wait of the policy `Wait`.
    fn avoid_waiting(&mut self, start: usize, end: usize) {
        let waits = self.file.cache.policy() == WritebackPolicy::Wait;
        let touched = pages_of(start, end)
            .any(|page| matches!(self.pending.get(&page), Some(Pending::InFlight(_))));
        while waits && touched && !self.in_flight.is_empty() {
            self.complete(0);
        }
    }

    fn write(&mut self, offset: usize, length: usize, byte: u8) {
        self.avoid_waiting(offset, offset + length);
        let data = vec![byte; length];
        self.file.write(offset as u64, &data);
        self.bytes[offset..offset + length].copy_from_slice(&data);
        self.pending.extend(pages_of(offset, offset + length).map(|page| (page, Pending::Open)));
    }

    fn read(&self, offset: usize, length: usize) {
        assert_eq!(self.file.read(offset as u64, length), self.bytes[offset..offset + length]);
    }

    fn truncate(&mut self, size: usize) {
        self.avoid_waiting(size, size + 1);
        self.file.truncate(size as u64);
        self.zero(size, BYTES);
    }

    fn punch(&mut self, start: usize, end: usize) {
        self.avoid_waiting(start, end);
        self.file.punch(start as u64, end as u64);
        self.zero(start, end);
    }

    /// Whole pages are dropped; others become dirty if there is anything to zero.
    fn zero(&mut self, start: usize, end: usize) {
        for page in pages_of(start, end) {
            let first = page as usize * PAGE_SIZE;
            let part = start.max(first)..end.min(first + PAGE_SIZE);
            if part.len() == PAGE_SIZE {
                self.pending.remove(&page);
            } else if self.bytes[part.clone()].iter().any(|byte| *byte != 0) {
                self.pending.insert(page, Pending::Open);
            }
            self.bytes[part].fill(0);
        }
    }

    fn freeze(&mut self) {
        let open: Vec<_> = self.pages_pending(Pending::Open).collect();
        let version = self.file.try_freeze();
        assert_eq!(version.is_some(), !open.is_empty());
        let Some(version) = version else { return };
        let pages = open.iter().map(|page| (*page, self.page(*page))).collect();
        self.pending.extend(open.into_iter().map(|page| (page, Pending::InFlight(version.number))));
        self.in_flight.push(Expected { version, pages, published: false });
    }

    fn gather(&self, which: usize) {
        if let Some(expected) = self.in_flight.get(which) {
            expected.check();
        }
    }

    /// Completes a version, after all up to it were published in order.
    fn complete(&mut self, which: usize) {
        if which >= self.in_flight.len() {
            return;
        }
        for expected in self.in_flight[..=which].iter_mut().filter(|expected| !expected.published) {
            expected.check();
            self.file.publish(&expected.version);
            expected.published = true;
        }
        let Expected { version, .. } = self.in_flight.remove(which);
        self.pending.retain(|_, pending| *pending != Pending::InFlight(version.number));
        version.frozen.complete();
    }

    /// Fails a version that was not published.
    fn fail(&mut self, which: usize) {
        if self.in_flight.get(which).is_none_or(|expected| expected.published) {
            return;
        }
        let expected = self.in_flight.remove(which);
        expected.check();
        let back: Vec<_> = self.pages_pending(Pending::InFlight(expected.version.number)).collect();
        self.pending.extend(back.into_iter().map(|page| (page, Pending::Open)));
        expected.version.frozen.fail();
    }

    fn pages_pending(&self, what: Pending) -> impl Iterator<Item = u64> {
        self.pending.iter().filter(move |(_, pending)| **pending == what).map(|(page, _)| *page)
    }

    fn page(&self, page: u64) -> PageBytes {
        let start = page as usize * PAGE_SIZE;
        self.bytes[start..start + PAGE_SIZE].try_into().unwrap()
    }

    fn check_pending(&self) {
        let mapping = &self.file.mapping;
        assert_eq!(mapping.dirty_pages(), self.pages_pending(Pending::Open).count() as u64);
        assert_eq!(mapping.pending_pages(), self.pending.len() as u64);
        let mut found = Vec::new();
        while let Some(page) = mapping.next_dirty(found.last().map_or(0, |last| last + 1)) {
            found.push(page);
        }
        assert!(found.iter().eq(self.pending.keys()), "{found:?} {:?}", self.pending);
        assert_eq!(self.file.counters().dirty_bytes, self.pending.len() as u64 * PAGE);
    }

    /// Completes everything, and reads everything back from the disk.
    fn finish(mut self) {
        while !self.in_flight.is_empty() {
            self.complete(self.in_flight.len() / 2);
        }
        self.read(0, BYTES);
        self.file.sync();
        self.file.assert_settled();
        self.file.mapping.drop_clean(0..PAGES);
        self.read(0, BYTES);
        let File { mapping, cache, .. } = self.file;
        drop((mapping, self.other));
        assert_eq!((cache.counters().frames_used, cache.counters().table_bytes), (0, 0));
    }
}

impl Expected {
    fn check(&self) {
        let mut pages = self.pages.iter();
        for run in self.version.frozen.runs() {
            for (page, content) in (run.first..).zip(&run.pages) {
                let (expected_page, bytes) = pages.next().expect("fewer pages");
                assert_eq!(page, *expected_page);
                assert!(
                    bytes_of(content) == *bytes,
                    "page {page} of version {}",
                    self.version.number
                );
            }
        }
        assert!(pages.next().is_none(), "more pages");
    }
}

/// The pages a range of bytes touches.
fn pages_of(start: usize, end: usize) -> impl Iterator<Item = u64> {
    let pages = if start < end { start / PAGE_SIZE..end.div_ceil(PAGE_SIZE) } else { 0..0 };
    pages.map(|page| page as u64)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_operations_agree_with_the_model(
        operations in prop::collection::vec(operation(), 1..120),
    ) {
        let mut model = Model::new();
        operations.into_iter().for_each(|operation| model.apply(operation));
        model.finish();
    }
}
