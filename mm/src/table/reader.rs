//! Reading a table without a lock, while its owner changes it.
//!
//! A look-up goes down the links under a [`Pin`], so that no node on the way is freed. What it finds
//! may be out of date: a node that was taken out of the table a moment ago, or even one that now
//! belongs to a fork alone and is changed by that. So, as the kernel does with the pages of a file:
//!
//! 1. go down to the word, and note the way;
//! 2. if it names a frame, take a count of the frame on speculation: of whatever it is by now;
//! 3. load the word again, and then the links of the way;
//! 4. if all is as it was, the page was in the table when the word was loaded again; else begin
//!    anew.
//!
//! It is right because a node that was taken out of a place does not come back to it while a pin
//! lasts. So if the links are the same after as before, the nodes were the table's all the time, and
//! with them the word. And since the count was taken before the word was loaded again, it is a count
//! of the frame that the word named *then*: it keeps that frame from being written or given to
//! others. What keeps writers from its bytes is told in [`count`](crate::frame).
//!
//! A look-up that is disturbed too often gives up, and so does one that meets a page which is being
//! written: the caller then asks the table itself, under whatever lock its owner has.

use std::sync::Arc;

use super::entry::{EntryMark, Kind, Word};
use super::link::{Body, Link, Visible};
use super::{SLOTS, slot_of, span};
use crate::frame::SpeculativeFrame;
use crate::reclaim::{Pin, pin};
use crate::sync::step;
use crate::table_memory::ReaderMark;
use crate::{FrameNumber, FramePool, HeldFrame, Page, ZeroPages};

/// Nodes between the root and a word, both included.
const MOST_LEVELS: usize = 64usize.div_ceil(SLOTS.trailing_zeros() as usize);
/// How often a look-up begins anew.
const ATTEMPTS: usize = 4;

/// Reads a table without a lock. Made by [`PageTable::reader`](super::PageTable::reader); any number
/// of threads may use one, or clones of it, while the table is changed, forked or dropped.
#[derive(Clone)]
pub struct TableReader {
    root: Arc<Link>,
    pool: Arc<FramePool>,
    _mark: ReaderMark,
}

/// A time in which a reader looks up pages. While it lasts no node is freed that it could see, so
/// keep it short: neither wait nor do I/O in it.
pub struct ReadSection<'r> {
    reader: &'r TableReader,
    pin: Pin,
}

/// What a page was at the moment of the look-up.
#[derive(Debug)]
pub enum HeldEntry<'r> {
    /// It is in this frame, which is held: it is not written in place or given to anybody else.
    Frame(HeldFrame<'r>, EntryMark),
    /// It was never written.
    HoleZero(EntryMark),
    /// It was written, with nothing but zeros.
    DedupZero(EntryMark),
}

impl<'r> HeldEntry<'r> {
    /// The owner's bits.
    pub fn mark(&self) -> EntryMark {
        match self {
            Self::Frame(_, mark) | Self::HoleZero(mark) | Self::DedupZero(mark) => *mark,
        }
    }

    /// The frame, if the page is in one.
    pub fn frame(&self) -> Option<&HeldFrame<'r>> {
        match self {
            Self::Frame(frame, _) => Some(frame),
            Self::HoleZero(_) | Self::DedupZero(_) => None,
        }
    }

    /// The bytes of the page of that index, whatever it holds.
    pub fn page<'a>(&'a self, index: u64, zero: &'a ZeroPages) -> &'a Page {
        match self {
            Self::Frame(frame, _) => frame,
            Self::HoleZero(_) | Self::DedupZero(_) => zero.page(index),
        }
    }
}

impl TableReader {
    /// A reader of what hangs below a root.
    pub(super) fn new(root: Arc<Link>, pool: &Arc<FramePool>) -> Self {
        Self { root, pool: Arc::clone(pool), _mark: ReaderMark::new(pool.tables()) }
    }

    /// Begins to read.
    pub fn enter(&self) -> ReadSection<'_> {
        ReadSection { reader: self, pin: pin() }
    }

    /// The entry of a page: see [`ReadSection::get`].
    pub fn get(&self, index: u64) -> Option<HeldEntry<'_>> {
        self.enter().get(index)
    }
}

impl std::fmt::Debug for TableReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableReader").finish_non_exhaustive()
    }
}

impl<'r> ReadSection<'r> {
    /// The entry of a page. `None` says that it has none, or that it could not be had without a
    /// lock because it is being changed, or lies in an arena: ask the table.
    pub fn get(&self, index: u64) -> Option<HeldEntry<'r>> {
        (0..ATTEMPTS).find_map(|_| self.attempt(index)).flatten()
    }

    /// One attempt at a look-up: an entry, none, or disturbed.
    fn attempt(&self, index: u64) -> Option<Option<HeldEntry<'r>>> {
        let Some(way) = Way::to(index, &self.reader.root, &self.pin) else {
            return Some(None);
        };
        let word = way.word();
        if word.kind() != Kind::Frame {
            return way.is_current().then(|| zeros(word));
        }
        let number = FrameNumber(word.frame());
        if number.is_placed() {
            // Whoever maps it changes it as they like, and its arena may be taken down: that is for
            // the owner of the table.
            return Some(None);
        }
        step();
        let frame = SpeculativeFrame::try_hold(&self.reader.pool, number)?;
        let again = way.word();
        let is_same = again.kind() == Kind::Frame && again.frame() == word.frame();
        if !is_same || !way.is_current() {
            return None;
        }
        // SAFETY: the word names the frame, and was loaded with acquire ordering after the count
        // was taken, from a leaf of the table.
        Some(Some(HeldEntry::Frame(unsafe { frame.confirm() }, again.mark())))
    }
}

/// The entry of a word that names no frame.
fn zeros(word: Word) -> Option<HeldEntry<'static>> {
    match word.kind() {
        Kind::HoleZero => Some(HeldEntry::HoleZero(word.mark())),
        Kind::DedupZero => Some(HeldEntry::DedupZero(word.mark())),
        Kind::Empty | Kind::Frame => None,
    }
}

/// The way a look-up took: which link led to which node.
struct Way<'g> {
    steps: [Option<(&'g Link, &'g Visible)>; MOST_LEVELS],
    last: &'g Visible,
    slot: usize,
    pin: &'g Pin,
}

impl<'g> Way<'g> {
    /// The way to a page; `None` if there is none.
    fn to(index: u64, root: &'g Link, pin: &'g Pin) -> Option<Self> {
        let (mut link, mut steps) = (root, [None; MOST_LEVELS]);
        for place in &mut steps {
            let node = link.follow(pin)?;
            *place = Some((link, node));
            if index >= span(node.level) && std::ptr::eq(link, root) {
                return None;
            }
            let slot = slot_of(index, node.level);
            match &node.body {
                Body::Interior(links) => link = links.get(slot)?,
                Body::Leaf(_) | Body::Zeros(_) => {
                    return Some(Self { steps, last: node, slot, pin });
                }
            }
        }
        None
    }

    /// The word at its end, at this moment.
    fn word(&self) -> Word {
        step();
        match &self.last.body {
            Body::Leaf(entries) => entries.word(self.slot),
            Body::Zeros(word) => *word,
            Body::Interior(_) => Word::EMPTY,
        }
    }

    /// Whether it still leads there.
    fn is_current(&self) -> bool {
        let mut steps = self.steps.iter().map_while(|step| *step);
        steps.all(|(link, node)| link.follow(self.pin).is_some_and(|now| std::ptr::eq(now, node)))
    }
}
