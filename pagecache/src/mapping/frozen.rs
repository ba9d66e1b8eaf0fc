//! One frozen version of a mapping, on its way to the disk.

use std::fmt;
use std::iter;
use std::mem;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use braidfs_mm::PageTable;

use super::Mapping;
use super::version::Version;
use super::writeback::{FrozenContent, FrozenEntry, Outcome, gather};
use crate::page::{PageBytes, offset_in_page, page_of};
use crate::planted::{Mistake, planted};
use crate::sync::Mutex;

/// Pages settled, or tagged, under one hold of the mapping's lock.
const PAGES_A_HOLD: usize = 256;
/// Copies that a run makes at most (1 MiB).
const MOST_COPIES: usize = 256;

/// What was dirty in a mapping when it was frozen, for as long as it takes to write it.
///
/// The pages do not change, whatever is written to the mapping meanwhile. The first look at them
/// gathers references to the dirty pages and gives the table back, so that the live mapping has its
/// nodes to itself again.
///
/// Ends with [`complete`](Self::complete) or [`fail`](Self::fail); dropping it fails it.
pub struct Frozen {
    mapping: Arc<Mapping>,
    version: Version,
    page_count: u64,
    frozen_at: Instant,
    /// The frozen table, until its pages are gathered.
    table: Mutex<Option<PageTable>>,
    entries: OnceLock<Vec<FrozenEntry>>,
    settled: bool,
}

/// A page to be written back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrozenPage<'a> {
    /// All zeros: a hole does.
    Zero,
    /// These bytes.
    Data(&'a PageBytes),
    /// These bytes, in a copy that was made for the run: of a page that a program maps, and may
    /// write before this is on disk.
    Copied(Box<PageBytes>),
}

impl FrozenPage<'_> {
    /// The bytes; `None` for zeros.
    pub fn bytes(&self) -> Option<&PageBytes> {
        match self {
            Self::Zero => None,
            Self::Data(bytes) => Some(bytes),
            Self::Copied(bytes) => Some(bytes),
        }
    }
}

/// Consecutive pages to be written back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrozenRun<'a> {
    /// Index of the first page.
    pub first: u64,
    /// The pages, from the first on.
    pub pages: Vec<FrozenPage<'a>>,
}

impl FrozenRun<'_> {
    /// Zeroes what lies beyond the end of a file of `size` bytes in its last page, where that may be
    /// anything: in a page that a program maps.
    pub fn clear_beyond(&mut self, size: u64) {
        let last = page_of(size).checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(FrozenPage::Copied(bytes)) = last.and_then(|last| self.pages.get_mut(last)) {
            bytes[offset_in_page(size)..].fill(0);
        }
    }
}

impl Frozen {
    /// A version whose pages are still in the table it shares with the live one.
    pub(super) fn shared(
        mapping: Arc<Mapping>,
        version: Version,
        page_count: u64,
        table: PageTable,
    ) -> Self {
        Self {
            mapping,
            version,
            page_count,
            frozen_at: Instant::now(),
            table: Mutex::new(Some(table)),
            entries: OnceLock::new(),
            settled: false,
        }
    }

    /// A version whose pages were gathered when it was frozen.
    pub(super) fn gathered(
        mapping: Arc<Mapping>,
        version: Version,
        entries: Vec<FrozenEntry>,
    ) -> Self {
        Self {
            mapping,
            version,
            page_count: entries.len() as u64,
            frozen_at: Instant::now(),
            table: Mutex::new(None),
            entries: OnceLock::from(entries),
            settled: false,
        }
    }

    /// Number of pages to be written back.
    pub fn page_count(&self) -> u64 {
        self.page_count
    }

    /// The mapping this is a version of.
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// The pages to be written back, in order, as runs of consecutive ones, each as long as can be;
    /// but one with copies ends after [`MOST_COPIES`], which bounds what these take.
    pub fn runs(&self) -> impl Iterator<Item = FrozenRun<'_>> {
        let mut entries = self.entries().iter().peekable();
        iter::from_fn(move || {
            let entry = entries.next()?;
            let mut run = FrozenRun { first: entry.page, pages: vec![self.as_page(entry)] };
            let mut last = entry.page;
            let mut copies = usize::from(is_lent(entry));
            while let Some(next) = entries.next_if(|next| {
                next.page == last + 1 && copies + usize::from(is_lent(next)) <= MOST_COPIES
            }) {
                copies += usize::from(is_lent(next));
                run.pages.push(self.as_page(next));
                last = next.page;
            }
            Some(run)
        })
    }

    fn as_page<'a>(&'a self, entry: &'a FrozenEntry) -> FrozenPage<'a> {
        match &entry.content {
            FrozenContent::Zeros => FrozenPage::Zero,
            FrozenContent::Frame(frame) => FrozenPage::Data(frame),
            FrozenContent::Lent => {
                let state = self.mapping.state().read();
                FrozenPage::Copied(state.copy_lent(entry.page, self.version))
            }
        }
    }

    /// The version is durable and the backing has it: pages that were not written since become
    /// clean.
    pub fn complete(mut self) {
        self.settle(Outcome::Complete);
    }

    /// The version could not be written: its pages become dirty in the open version, unless they
    /// were written or dropped since.
    pub fn fail(mut self) {
        self.settle(Outcome::Failed);
    }

    fn entries(&self) -> &[FrozenEntry] {
        self.entries.get_or_init(|| {
            let Some(table) = self.table.lock().take() else { return Vec::new() };
            let table = match planted(Mistake::GatherLooksAtLiveTable) {
                true => self.mapping.state().read().table.fork(),
                false => table,
            };
            let entries = gather(&table, self.version, self.page_count);
            // Before the tags change, lest each change copies a node that only this table still
            // shares.
            drop(table);
            for chunk in entries.chunks(PAGES_A_HOLD) {
                self.mapping.state().write().begin_writeback(self.version, chunk);
            }
            self.mapping.state().write().note_gathered(self.version);
            entries
        })
    }

    /// Settles the pages, some at a time, so that nobody waits long for the lock.
    fn settle(&mut self, outcome: Outcome) {
        self.settled = true;
        self.entries();
        let mut entries = self.entries.take().unwrap_or_default().into_iter();
        let pressure = self.mapping.cache().pressure();
        if outcome == Outcome::Complete {
            self.mapping.state().write().note_completion();
            pressure.note_written(self.page_count, self.frozen_at);
        }
        while entries.len() > 0 {
            let mut state = self.mapping.state().write();
            let cleaned = state.settle(self.version, entries.by_ref().take(PAGES_A_HOLD), outcome);
            pressure.remove_dirty(cleaned);
            drop(state);
            pressure.progress().wake_all();
        }
        let sole_frames = self.mapping.end_version(self.version);
        pressure.remove_frozen(sole_frames);
        pressure.progress().wake_all();
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if !mem::replace(&mut self.settled, true) {
            self.settle(Outcome::Failed);
        }
    }
}

impl fmt::Debug for Frozen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Frozen")
            .field("version", &self.version)
            .field("page_count", &self.page_count)
            .finish_non_exhaustive()
    }
}

fn is_lent(entry: &FrozenEntry) -> bool {
    matches!(entry.content, FrozenContent::Lent)
}
