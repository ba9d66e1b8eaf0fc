//! The page table: which page of a file or an address space is where, copied on write.
//!
//! A radix tree with [`SLOTS`] entries a node that grows in height as needed, up to [`MAX_PAGES`].
//! Besides its entry a page has [tags](Tag), which each node sums up for what lies below it.
//!
//! # Sharing
//!
//! [`PageTable::fork`] shares the root, whatever the size. From then on both tables see the same
//! nodes. The first change through either copies the nodes on the way to the entry, and nothing
//! else. There is no way to a node that can be changed but through the function that does this, so
//! no walker can forget it. Reference counts of frames count *leaves*, not tables: a fork counts
//! nothing, and when a leaf is copied its frames are counted. So a frame that two tables see
//! through a leaf they share has one reference, and it cannot be written through either of them,
//! because neither can have that leaf to itself. A leaf that an operation empties is let go as it
//! is, shared or not.
//!
//! # Memory
//!
//! Nodes are paid from the table memory of the pool. Each operation puts aside what it may need
//! before it changes anything: it fails with the table as it was, or not at all.
//! [`PageTable::reserve`] puts it aside for operations to come. (Should the heap itself run dry,
//! the process aborts, as it does everywhere in Rust.) Emptied nodes are unlinked at once, and
//! nodes that hold nothing but the same untagged zeros collapse to a word.
//!
//! # Threads
//!
//! `&PageTable` reads, `&mut PageTable` changes; forks are independent of each other and may live in
//! different threads. Besides, any number of [`TableReader`]s may look up pages of a table at any
//! time, without a lock, while its owner changes it (see [`reader`]). So all that such a reader can
//! get to is atomic, each node is complete before a link leads to it, and a node that was taken out
//! is freed only when no reader can be in it any more (see [`link`]).

mod bitmap;
#[cfg(test)]
mod check;
mod counts;
mod edit;
pub(crate) mod entry;
#[allow(unsafe_code)]
mod link;
#[cfg(test)]
mod model;
#[allow(unsafe_code)]
mod node;
mod range;
#[allow(unsafe_code)]
mod reader;
#[allow(unsafe_code)]
mod root;
mod scan;
mod shape;
mod tag;

use std::sync::Arc;

pub use counts::TableCounts;
pub use entry::{Content, ContentRef, Entry, EntryMark, EntryRef};
pub use scan::{EntryIter, TaggedRuns};
pub use tag::{Tag, TagSet};

use crate::table_memory::Funds;
use crate::{FramePool, TableError, is_zero_page};
use edit::{SlotMut, edit};
use link::Node;
pub use reader::{HeldEntry, ReadSection, TableReader};
use root::Root;
use shape::cover;

/// Entries of a node, and children of an interior one.
pub const SLOTS: usize = 512;
/// Bits of an index that one level takes.
const LEVEL_BITS: u32 = SLOTS.trailing_zeros();
/// Pages a table can name: as many as there are in 2^64 bytes.
pub const MAX_PAGES: u64 = 1 << 52;

/// A page table that can be forked in constant time. See the module for how.
pub struct PageTable {
    pool: Arc<FramePool>,
    /// Leads to the root node; nowhere while the table is empty.
    root: Root,
    /// What [`PageTable::reserve`] put aside.
    reserved: Option<Funds>,
}

impl PageTable {
    /// An empty table of frames of that pool.
    pub fn new(pool: &Arc<FramePool>) -> Self {
        Self { pool: Arc::clone(pool), root: Root::default(), reserved: None }
    }

    /// A table that holds the same and shares all nodes, in constant time. Reservations and readers
    /// stay here.
    pub fn fork(&self) -> Self {
        Self { pool: Arc::clone(&self.pool), root: self.root.fork(), reserved: None }
    }

    /// A handle that reads this table without a lock, while the table is changed.
    pub fn reader(&mut self) -> TableReader {
        TableReader::new(self.root.share(), &self.pool)
    }

    /// The root node.
    fn root(&self) -> Option<&Node> {
        self.root.node()
    }

    /// The pool whose frames the table holds.
    pub fn pool(&self) -> &Arc<FramePool> {
        &self.pool
    }

    /// How many entries there are, of what kind and with which tags.
    pub fn counts(&self) -> TableCounts {
        self.root().map_or_else(TableCounts::default, |root| *root.counts())
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.root().is_none()
    }

    /// Whether any page has the tag.
    pub fn any_tagged(&self, tag: Tag) -> bool {
        self.counts().tagged(tag) > 0
    }

    /// The tags of a page; none if it has no entry.
    pub fn tags(&self, index: u64) -> TagSet {
        self.get(index).map_or(TagSet::EMPTY, |entry| entry.tags)
    }

    /// Whether the page has that tag.
    pub fn is_tagged(&self, index: u64, tag: Tag) -> bool {
        self.tags(index).contains(tag)
    }

    /// Puts an entry for a page and takes out the one that was there, if any. The page keeps its
    /// tags. On failure the new entry is dropped.
    pub fn insert(
        &mut self,
        index: u64,
        entry: impl Into<Entry>,
    ) -> Result<Option<Entry>, TableError> {
        let entry = entry.into();
        self.edit(index, |slot| slot.put(entry, slot.tags()))?
    }

    /// As [`insert`](Self::insert), and the page has these tags and no others from then on.
    pub fn insert_tagged(
        &mut self,
        index: u64,
        entry: impl Into<Entry>,
        tags: impl Into<TagSet>,
    ) -> Result<Option<Entry>, TableError> {
        let (entry, tags) = (entry.into(), tags.into());
        self.edit(index, |slot| slot.put(entry, tags))?
    }

    /// Takes out the entry of a page, with its tags.
    pub fn remove(&mut self, index: u64) -> Result<Option<Entry>, TableError> {
        if self.get(index).is_none() {
            return Ok(None);
        }
        self.edit(index, |slot| slot.take())
    }

    /// Sets and clears tags of a page; a page without an entry has none. Says which tags the page
    /// had.
    pub fn change_tags(
        &mut self,
        index: u64,
        set: impl Into<TagSet>,
        clear: impl Into<TagSet>,
    ) -> Result<TagSet, TableError> {
        let Some(entry) = self.get(index) else {
            return Ok(TagSet::EMPTY);
        };
        let (before, after) = (entry.tags, (entry.tags - clear.into()) | set.into());
        if after != before {
            self.edit(index, |slot| slot.set_tags(after))?;
        }
        Ok(before)
    }

    /// Sets a tag of a page that has an entry; says whether it was set.
    pub fn set_tag(&mut self, index: u64, tag: Tag) -> Result<bool, TableError> {
        Ok(self.change_tags(index, tag, TagSet::EMPTY)?.contains(tag))
    }

    /// Clears a tag of a page; says whether it was set.
    pub fn clear_tag(&mut self, index: u64, tag: Tag) -> Result<bool, TableError> {
        Ok(self.change_tags(index, TagSet::EMPTY, tag)?.contains(tag))
    }

    /// Gives the entry of a page another mark; a page without an entry has none.
    pub fn set_mark(&mut self, index: u64, mark: EntryMark) -> Result<(), TableError> {
        match self.get(index) {
            Some(entry) if entry.mark != mark => self.edit(index, |slot| slot.set_mark(mark)),
            _ => Ok(()),
        }
    }

    /// Gives the entry of a page that mark, and sets and clears tags, on one way down; does nothing
    /// if the page has no entry.
    pub fn change_mark_and_tags(
        &mut self,
        index: u64,
        mark: EntryMark,
        set: impl Into<TagSet>,
        clear: impl Into<TagSet>,
    ) -> Result<(), TableError> {
        let Some(entry) = self.get(index) else {
            return Ok(());
        };
        let tags = (entry.tags - clear.into()) | set.into();
        if entry.mark == mark && entry.tags == tags {
            return Ok(());
        }
        self.edit(index, |slot| {
            slot.set_mark(mark);
            slot.set_tags(tags);
        })
    }

    /// Makes a page that is in a frame full of zeros a [`Content::DedupZero`], with the same tags
    /// and mark. Says whether it did.
    pub fn dedup_zero(&mut self, index: u64) -> Result<bool, TableError> {
        let Some(entry) = self.get(index) else {
            return Ok(false);
        };
        let mark = entry.mark;
        if !entry.frame().is_some_and(|frame| is_zero_page(frame.page())) {
            return Ok(false);
        }
        self.insert(index, Entry::new(Content::DedupZero).with_mark(mark))?;
        Ok(true)
    }

    /// Takes out all entries.
    pub fn clear(&mut self) {
        self.root.link_mut().clear();
    }

    /// Changes the slot of one page.
    fn edit<R>(
        &mut self,
        index: u64,
        change: impl FnOnce(&mut SlotMut<'_>) -> R,
    ) -> Result<R, TableError> {
        self.check_index(index)?;
        let needed = if self.is_ready(index) { 0 } else { self.path_bytes(index) };
        self.with_funds(needed, |mut root, means| {
            let level = cover(&mut root, index, means);
            edit(&mut root, level, index, means, change)
        })
    }
}

impl std::fmt::Debug for PageTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageTable").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

/// Pages below a node of that level.
fn span(level: u8) -> u64 {
    1 << (LEVEL_BITS * (u32::from(level) + 1))
}

/// The slot that leads to an index in a node of that level.
fn slot_of(index: u64, level: u8) -> usize {
    (index >> (LEVEL_BITS * u32::from(level))) as usize % SLOTS
}
