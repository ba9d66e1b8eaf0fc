//! A backing for tests: pages in a map, with fills that can be held up in the middle, and made to
//! fail.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use braidfs_pagecache::{Backing, CacheError, Frozen, PAGE_SIZE, PageBytes, PageFill};

/// How a fill fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskError {
    /// The cache failed.
    Cache(CacheError),
    /// The disk was told to fail.
    Unreadable(u64),
}

impl From<CacheError> for DiskError {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

/// A page on the disk, with the number of the version that wrote it.
#[derive(Debug, Clone)]
struct Stored {
    version: u64,
    bytes: Box<PageBytes>,
}

#[derive(Debug, Default)]
struct Content {
    pages: BTreeMap<u64, Stored>,
    /// Up to which version a page is hidden by a truncation or a hole.
    hidden: BTreeMap<u64, u64>,
    unreadable: Option<Range<u64>>,
    gate: Option<Gate>,
}

/// The disk's end of a [`Stall`].
#[derive(Debug)]
struct Gate {
    entered: SyncSender<()>,
    release: Receiver<()>,
}

/// A fill that was held up after it read the disk and before it returns.
#[derive(Debug)]
pub struct Stall {
    entered: Receiver<()>,
    release: SyncSender<()>,
}

impl Stall {
    /// Waits until the fill has read the disk.
    pub fn await_fill(&self) {
        self.entered.recv().unwrap();
    }

    /// Lets it return.
    pub fn release(self) {
        self.release.send(()).unwrap();
    }
}

/// A disk in memory.
#[derive(Debug, Default)]
pub struct Disk {
    content: Mutex<Content>,
    fills: AtomicU64,
    pages_asked: AtomicU64,
}

impl Disk {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A disk with pages full of the given bytes.
    pub fn with_pages(pages: impl IntoIterator<Item = (u64, u8)>) -> Self {
        let disk = Self::default();
        for (page, byte) in pages {
            disk.store(0, page, &[byte; PAGE_SIZE]);
        }
        disk
    }

    fn store(&self, version: u64, page: u64, bytes: &PageBytes) {
        self.content().pages.insert(page, Stored { version, bytes: Box::new(*bytes) });
    }

    /// Writes a frozen version; `version` counts up from 1 with every freeze.
    pub fn publish(&self, frozen: &Frozen, version: u64) {
        for run in frozen.runs() {
            for (page, content) in (run.first..).zip(&run.pages) {
                self.store(version, page, content.bytes().unwrap_or(&[0; PAGE_SIZE]));
            }
        }
    }

    /// Hides what versions up to `version` wrote to a range of pages: it was truncated or punched
    /// since.
    pub fn hide(&self, pages: Range<u64>, version: u64) {
        let mut content = self.content();
        for page in pages {
            content.hidden.insert(page, version);
        }
    }

    /// What is on the disk for a page.
    pub fn page(&self, page: u64) -> Option<PageBytes> {
        let content = self.content();
        let stored = content.pages.get(&page)?;
        let hidden = content.hidden.get(&page).is_some_and(|hidden| stored.version <= *hidden);
        if hidden { None } else { Some(*stored.bytes) }
    }

    /// Holds up the next fill.
    pub fn stall_next_fill(&self) -> Stall {
        let (entered, entered_receiver) = sync_channel(1);
        let (release_sender, release) = sync_channel(1);
        self.content().gate = Some(Gate { entered, release });
        Stall { entered: entered_receiver, release: release_sender }
    }

    /// Makes fills of these pages fail from now on; none if the range is empty.
    pub fn make_unreadable(&self, pages: Range<u64>) {
        self.content().unreadable = Some(pages);
    }

    /// Number of fills so far.
    pub fn fills(&self) -> u64 {
        self.fills.load(Ordering::Relaxed)
    }

    /// Number of pages asked for so far.
    pub fn pages_asked(&self) -> u64 {
        self.pages_asked.load(Ordering::Relaxed)
    }
}

impl Backing for Disk {
    type Error = DiskError;

    fn fill(&self, first: u64, pages: &mut [PageFill<'_>]) -> Result<(), DiskError> {
        self.fills.fetch_add(1, Ordering::Relaxed);
        self.pages_asked.fetch_add(pages.len() as u64, Ordering::Relaxed);
        let gate = self.content().gate.take();
        let unreadable = self.content().unreadable.clone().unwrap_or_default();
        let mut failure = None;
        for (page, fill) in (first..).zip(pages) {
            if unreadable.contains(&page) {
                failure = Some(DiskError::Unreadable(page));
            }
            if let Some(bytes) = self.page(page) {
                *fill.buffer() = bytes;
            }
        }
        if let Some(gate) = gate {
            gate.entered.send(()).unwrap();
            gate.release.recv().unwrap();
        }
        failure.map_or(Ok(()), Err)
    }
}
