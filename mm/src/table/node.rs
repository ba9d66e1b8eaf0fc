//! Nodes of a page table.
//!
//! A node of level 0 is a leaf and holds entries; one of level `l` covers `SLOTS^(l + 1)` pages.
//! Invariants:
//!
//! * `counts` is the sum over the entries below; nothing but the root may be empty, and that only
//!   inside an operation.
//! * A tag's bit of a slot is set if and only if the entry has the tag, or some entry below the
//!   child has it.
//! * A node below which every page is the same untagged kind of zeros, with the same mark, is one
//!   `Zeros`.
//! * A node is changed only if it is not shared: see [`unshare`], the only way to a `&mut Node`.
//! * Slot vectors grow in three steps, so that the table of a small file is small.

use std::sync::Arc;

use super::bitmap::Bitmap;
use super::entry::Word;
use super::{ContentRef, EntryMark, EntryRef, SLOTS, TableCounts, Tag, TagSet, span};
use crate::frame::{Entries, FramePool};
use crate::table_memory::{Charge, Funds};

/// Bytes of a node without its slots: itself and the two counts of its `Arc`.
pub(super) const NODE_BYTES: usize = size_of::<Node>() + 2 * size_of::<usize>();
/// Bytes of a node with all its slots.
pub(super) const FULL_NODE_BYTES: usize = NODE_BYTES + SLOTS * SLOT_BYTES;
/// Bytes of a slot: a word, or a pointer to a child.
const SLOT_BYTES: usize = 8;
/// Slots a node has room for, step by step.
const ROOM_STEPS: [usize; 3] = [8, 64, SLOTS];

/// What lies below a node.
#[derive(Clone)]
pub(super) enum Body {
    /// The entries of a leaf.
    Leaf(Entries),
    /// The nodes of the level below.
    Interior(Vec<Option<Arc<Node>>>),
    /// The same zeros for every page.
    Zeros(Word),
}

/// A node. Cloning it counts the frames of a leaf, or shares the children of an interior node.
#[derive(Clone)]
pub(super) struct Node {
    charge: Charge,
    pub(super) counts: TableCounts,
    pub(super) tags: [Bitmap; Tag::COUNT],
    pub(super) body: Body,
}

impl Node {
    /// An empty node of that level.
    pub(super) fn new(level: u8, pool: &Arc<FramePool>, funds: &mut Funds) -> Self {
        let body = match level {
            0 => Body::Leaf(Entries::new(Arc::clone(pool))),
            _ => Body::Interior(Vec::new()),
        };
        funds.spend(NODE_BYTES);
        Self {
            charge: Charge::new(pool.tables(), NODE_BYTES),
            counts: TableCounts::default(),
            tags: [Bitmap::default(); Tag::COUNT],
            body,
        }
    }

    /// An interior node of `level` over what was the root until now.
    pub(super) fn above(
        old_root: Arc<Self>,
        level: u8,
        pool: &Arc<FramePool>,
        funds: &mut Funds,
    ) -> Self {
        let mut node = Self::new(level, pool, funds);
        node.make_room(0, funds);
        node.counts = old_root.counts;
        node.note_tags(0, &old_root.counts);
        if let Body::Interior(children) = &mut node.body {
            children[0] = Some(old_root);
        }
        node
    }

    /// A node of zeros.
    fn zeros(
        word: Word,
        content: ContentRef<'_>,
        level: u8,
        funds: &mut Funds,
        charge: &Charge,
    ) -> Self {
        funds.spend(NODE_BYTES);
        Self {
            charge: Charge::new(charge.memory(), NODE_BYTES),
            counts: TableCounts::of_zeros(content, span(level)),
            tags: [Bitmap::default(); Tag::COUNT],
            body: Body::Zeros(word),
        }
    }

    /// Slots there is room for.
    pub(super) fn room(&self) -> usize {
        match &self.body {
            Body::Leaf(entries) => entries.len(),
            Body::Interior(children) => children.len(),
            Body::Zeros(_) => 0,
        }
    }

    /// Makes room for the slot; a node of zeros stays as it is, and is to be split.
    pub(super) fn make_room(&mut self, slot: usize, funds: &mut Funds) {
        let before = self.room();
        if slot < before || matches!(self.body, Body::Zeros(_)) {
            return;
        }
        let room = ROOM_STEPS.into_iter().find(|room| slot < *room).unwrap_or(SLOTS);
        self.recharge(room, funds);
        match &mut self.body {
            Body::Leaf(entries) => entries.grow(room),
            Body::Interior(children) => {
                children.reserve_exact(room - before);
                children.resize(room, None);
            }
            Body::Zeros(_) => {}
        }
    }

    /// Bytes the node is charged, for tests.
    #[cfg(test)]
    pub(super) fn charged_bytes(&self) -> usize {
        self.charge.bytes()
    }

    /// Charges for that many slots, after spending what they cost more.
    fn recharge(&mut self, slots: usize, funds: &mut Funds) {
        let bytes = NODE_BYTES + slots * SLOT_BYTES;
        funds.spend(bytes.saturating_sub(self.charge.bytes()));
        self.charge.change(bytes);
    }

    /// Makes a node of zeros one with slots, each of which says the same.
    pub(super) fn split_zeros(
        &mut self,
        word: Word,
        level: u8,
        pool: &Arc<FramePool>,
        funds: &mut Funds,
    ) {
        self.recharge(SLOTS, funds);
        self.body = match (level.checked_sub(1), word.zeros()) {
            (Some(below), Some(content)) => {
                let child = Arc::new(Self::zeros(word, content, below, funds, &self.charge));
                Body::Interior(vec![Some(child); SLOTS])
            }
            _ => Body::Leaf(Entries::filled(Arc::clone(pool), word, SLOTS)),
        };
    }

    /// Makes the node one of zeros if it says the same zeros everywhere.
    pub(super) fn collapse(&mut self, level: u8) {
        if self.counts.is_all_zeros(span(level))
            && let Some(word) = self.uniform_word()
        {
            self.body = Body::Zeros(word);
            self.charge.change(NODE_BYTES);
        }
    }

    /// The word that every page below has, if each slot is of one word.
    fn uniform_word(&self) -> Option<Word> {
        let first = self.word_below(0)?;
        (1..SLOTS).all(|slot| self.word_below(slot) == Some(first)).then_some(first)
    }

    /// The word of all pages below a slot, if they have the same.
    fn word_below(&self, slot: usize) -> Option<Word> {
        match (&self.body, self.child(slot).map(Arc::as_ref)) {
            (Body::Leaf(entries), _) => Some(entries.word(slot)),
            (Body::Zeros(word), _) => Some(*word),
            (Body::Interior(_), Some(Node { body: Body::Zeros(word), .. })) => Some(*word),
            (Body::Interior(_), _) => None,
        }
    }

    /// Takes note that the child in a slot was changed: its counts, its tags, and whether anything
    /// is left of it.
    pub(super) fn settle(&mut self, slot: usize, before: &TableCounts, after: &TableCounts) {
        self.counts.replace_part(before, after);
        self.note_tags(slot, after);
        if after.present() == 0 {
            self.unlink(slot);
        }
    }

    /// Drops the child in a slot.
    fn unlink(&mut self, slot: usize) {
        if let Body::Interior(children) = &mut self.body {
            children[slot] = None;
        }
    }

    /// Notes in the bitmaps which tags the child in a slot has now.
    fn note_tags(&mut self, slot: usize, child: &TableCounts) {
        for tag in Tag::ALL {
            self.tags[tag as usize].assign(slot, child.tagged(tag) > 0);
        }
    }

    /// The child in a slot.
    pub(super) fn child(&self, slot: usize) -> Option<&Arc<Self>> {
        match &self.body {
            Body::Interior(children) => children.get(slot)?.as_ref(),
            Body::Leaf(_) | Body::Zeros(_) => None,
        }
    }

    /// The child in a slot, to be changed once it is [unshared](unshare).
    pub(super) fn child_mut(&mut self, slot: usize) -> Option<&mut Arc<Self>> {
        match &mut self.body {
            Body::Interior(children) => children.get_mut(slot)?.as_mut(),
            Body::Leaf(_) | Body::Zeros(_) => None,
        }
    }

    /// The first slot from `slot` on that is used.
    pub(super) fn next_used(&self, slot: usize) -> Option<usize> {
        let room = if matches!(self.body, Body::Zeros(_)) { SLOTS } else { self.room() };
        (slot..room).find(|slot| self.is_used(*slot))
    }

    /// Whether a slot has an entry, or a child.
    pub(super) fn is_used(&self, slot: usize) -> bool {
        match &self.body {
            Body::Leaf(entries) => entries.word(slot) != Word::EMPTY,
            Body::Interior(children) => children.get(slot).is_some_and(Option::is_some),
            Body::Zeros(_) => true,
        }
    }

    /// The tags of a slot.
    pub(super) fn tags_of(&self, slot: usize) -> TagSet {
        Tag::ALL.into_iter().filter(|tag| self.tags[*tag as usize].get(slot)).collect()
    }

    /// The entry in a slot of a leaf, or of a node of zeros.
    pub(super) fn entry(&self, slot: usize) -> Option<EntryRef<'_>> {
        let (content, mark): (ContentRef<'_>, EntryMark) = match &self.body {
            Body::Leaf(entries) => entries.get(slot)?,
            Body::Zeros(word) => (word.zeros()?, word.mark()),
            Body::Interior(_) => return None,
        };
        Some(EntryRef { content, mark, tags: self.tags_of(slot) })
    }
}

/// The node, to change it: after this, no other table shares it. The copy this may take was paid
/// for beforehand, so it cannot fail.
pub(super) fn unshare<'a>(node: &'a mut Arc<Node>, funds: &mut Funds) -> &'a mut Node {
    if Arc::get_mut(node).is_none() {
        funds.spend(node.charge.bytes());
    }
    Arc::make_mut(node)
}
