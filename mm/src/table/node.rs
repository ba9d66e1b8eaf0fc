//! Nodes of a page table: what they say, and how they get and lose their shape.
//!
//! A node of level 0 is a leaf and holds entries; one of level `l` covers `SLOTS^(l + 1)` pages.
//! Invariants:
//!
//! * `counts` is the sum over the entries below; no node is empty, but inside an operation.
//! * A tag's bit of a slot is set if and only if the entry has the tag, or some entry below the
//!   child has it.
//! * A node below which every page is the same untagged kind of zeros, with the same mark, is one
//!   `Zeros`.
//! * A node has as many slots as it was made with. Where it needs more, where it collapses, and
//!   where it is split, another node takes its place: see [`open`](LinkMut::open).
//! * Slots grow in three steps, so that the table of a small file is small.

use std::sync::Arc;

use super::bitmap::Bitmap;
use super::entry::Word;
use super::link::{Body, Link, LinkMut, NODE_BYTES, Node, NodeMut, NodeRef, Private, Visible};
use super::{ContentRef, EntryMark, EntryRef, SLOTS, TableCounts, Tag, TagSet, span};
use crate::frame::{Entries, FramePool};
use crate::table_memory::{Charge, Funds};

/// Bytes of a node with all its slots.
pub(super) const FULL_NODE_BYTES: usize = node_bytes(SLOTS);
/// Bytes of a slot: a word, or a link.
const SLOT_BYTES: usize = 8;
/// Slots a node has room for, step by step.
const ROOM_STEPS: [usize; 3] = [8, 64, SLOTS];

/// What a change works with: where the frames are, and bytes put aside for nodes.
pub(super) struct Means<'a> {
    pub(super) pool: &'a Arc<FramePool>,
    pub(super) funds: &'a mut Funds,
}

/// Bytes of a node with so many slots.
const fn node_bytes(slots: usize) -> usize {
    NODE_BYTES + slots * SLOT_BYTES
}

/// Room for a slot.
fn room_for(slot: usize) -> usize {
    ROOM_STEPS.into_iter().find(|room| slot < *room).unwrap_or(SLOTS)
}

impl Node {
    /// Pages of each kind below it.
    pub(super) fn counts(&self) -> &TableCounts {
        &self.private().counts
    }

    /// Its level.
    pub(super) fn level(&self) -> u8 {
        self.visible().level
    }

    /// The bitmap of a tag.
    pub(super) fn tagged(&self, tag: Tag) -> &Bitmap {
        &self.private().tags[tag as usize]
    }

    /// Slots there is room for.
    pub(super) fn room(&self) -> usize {
        match &self.visible().body {
            Body::Leaf(entries) => entries.len(),
            Body::Interior(links) => links.len(),
            Body::Zeros(_) => 0,
        }
    }

    /// Bytes the node is charged, for tests.
    #[cfg(test)]
    pub(super) fn charged_bytes(&self) -> usize {
        self.private().charge.bytes()
    }

    /// The word of all pages below it, if they have the same zeros.
    pub(super) fn zeros(&self) -> Option<Word> {
        match self.visible().body {
            Body::Zeros(word) => Some(word),
            Body::Leaf(_) | Body::Interior(_) => None,
        }
    }

    /// Whether an entry can be changed here without a new node.
    pub(super) fn is_open(&self, slot: usize) -> bool {
        self.is_alone() && slot < self.room()
    }

    /// The word that every page below has, if it says the same zeros everywhere and could be one of
    /// zeros.
    pub(super) fn uniform_zeros(&self) -> Option<Word> {
        if self.zeros().is_some() || !self.counts().is_all_zeros(span(self.level())) {
            return None;
        }
        let first = self.word_below(0)?;
        (1..SLOTS).all(|slot| self.word_below(slot) == Some(first)).then_some(first)
    }

    /// The word of all pages below a slot, if they have the same.
    fn word_below(&self, slot: usize) -> Option<Word> {
        match &self.visible().body {
            Body::Leaf(entries) => Some(entries.word(slot)),
            Body::Zeros(word) => Some(*word),
            Body::Interior(_) => self.child(slot)?.zeros(),
        }
    }

    /// The first slot from `slot` on that is used.
    pub(super) fn next_used(&self, slot: usize) -> Option<usize> {
        let room = if self.zeros().is_some() { SLOTS } else { self.room() };
        (slot..room).find(|slot| self.is_used(*slot))
    }

    /// Whether a slot has an entry, or a child.
    pub(super) fn is_used(&self, slot: usize) -> bool {
        match &self.visible().body {
            Body::Leaf(entries) => entries.word(slot) != Word::EMPTY,
            Body::Interior(_) => self.child(slot).is_some(),
            Body::Zeros(_) => true,
        }
    }

    /// The tags of a slot.
    pub(super) fn tags_of(&self, slot: usize) -> TagSet {
        Tag::ALL.into_iter().filter(|tag| self.tagged(*tag).get(slot)).collect()
    }

    /// The entry in a slot of a leaf, or of a node of zeros.
    pub(super) fn entry(&self, slot: usize) -> Option<EntryRef<'_>> {
        let (content, mark): (ContentRef<'_>, EntryMark) = match self.zeros() {
            Some(word) => (word.zeros()?, word.mark()),
            None => self.entries()?.get(slot)?,
        };
        Some(EntryRef { content, mark, tags: self.tags_of(slot) })
    }

    /// A copy that nobody shares, with room for so many slots, which is no less. It counts the
    /// frames of a leaf once more, and shares the children of an interior node.
    fn to_copy(&self, room: usize, funds: &mut Funds) -> NodeRef {
        let body = match (&self.visible().body, self.entries()) {
            (Body::Leaf(entries), owned) => {
                Body::Leaf(owned.map_or_else(|| entries.moved(room), |owned| owned.to_copy(room)))
            }
            (Body::Zeros(word), _) => Body::Zeros(*word),
            (Body::Interior(links), _) => {
                // SAFETY: while this node is borrowed nobody can change its children.
                let shared = links.iter().map(|link| unsafe { link.share() });
                Body::Interior(shared.chain((links.len()..room).map(|_| Link::empty())).collect())
            }
        };
        let Private { pool, charge, counts, tags } = self.private();
        let bytes = node_bytes(room);
        funds.spend(bytes);
        let charge = Charge::new(charge.memory(), bytes);
        let private = Private { pool: Arc::clone(pool), charge, counts: *counts, tags: *tags };
        NodeRef::new(Visible::new(self.level(), body), private)
    }
}

/// The private part of a new node with so many slots.
fn private_of(slots: usize, counts: TableCounts, means: &mut Means<'_>) -> Private {
    let bytes = node_bytes(slots);
    means.funds.spend(bytes);
    let charge = Charge::new(means.pool.tables(), bytes);
    let tags = [Bitmap::default(); Tag::COUNT];
    Private { pool: Arc::clone(means.pool), charge, counts, tags }
}

/// An empty body of that level.
fn empty_body(level: u8, room: usize) -> Body {
    match level {
        0 => Body::Leaf(Entries::new(room)),
        _ => Body::Interior((0..room).map(|_| Link::empty()).collect()),
    }
}

/// The body of a node of that level whose slots all say `word`, which is one of zeros.
fn split_body(word: Word, level: u8, means: &mut Means<'_>) -> Body {
    match (level.checked_sub(1), word.zeros()) {
        (Some(below), Some(content)) => {
            let counts = TableCounts::of_zeros(content, span(below));
            let private = private_of(0, counts, means);
            Body::Interior(NodeRef::fan_out(Visible::new(below, Body::Zeros(word)), private, SLOTS))
        }
        _ => Body::Leaf(Entries::filled(word, SLOTS)),
    }
}

impl LinkMut<'_> {
    /// The node of that level, to change a slot of it: there is one, nobody else shares it, it is
    /// not one of zeros, and it has room for the slot. What this may take was paid for beforehand,
    /// so it cannot fail; each new node is complete before the link leads to it.
    pub(super) fn open(&mut self, level: u8, slot: usize, means: &mut Means<'_>) -> NodeMut<'_> {
        self.prepare(level, slot, means);
        // SAFETY: a node that the table did not have to itself was just replaced by a copy.
        unsafe { self.alone_unchecked() }
    }

    fn prepare(&mut self, level: u8, slot: usize, means: &mut Means<'_>) {
        let Some(node) = self.node() else {
            let room = room_for(slot);
            let private = private_of(room, TableCounts::default(), means);
            return self.put(NodeRef::new(Visible::new(level, empty_body(level, room)), private));
        };
        if node.is_open(slot) {
            return;
        }
        if !node.is_alone() {
            let room = if node.zeros().is_some() { 0 } else { node.room().max(room_for(slot)) };
            let copy = node.to_copy(room, means.funds);
            self.put(copy);
        }
        self.make_room(level, slot, means);
    }

    /// Gives a node that nobody else shares room for a slot; splits one of zeros.
    fn make_room(&mut self, level: u8, slot: usize, means: &mut Means<'_>) {
        if self.node().is_none_or(|node| slot < node.room()) {
            return;
        }
        // SAFETY: the words and links of the new body are those of the old one, each once; beyond
        // them they are empty, or new.
        unsafe {
            self.reshape(true, |node| {
                let zeros = node.node().zeros();
                let room = if zeros.is_some() { SLOTS } else { room_for(slot) };
                recharge(node, room, means.funds);
                match (&node.node().visible().body, zeros) {
                    (_, Some(word)) => split_body(word, level, means),
                    (Body::Leaf(entries), _) => Body::Leaf(entries.moved(room)),
                    (Body::Interior(links), _) => Body::Interior(Link::moved(links, room)),
                    (Body::Zeros(word), None) => Body::Zeros(*word),
                }
            });
        }
    }

    /// Makes the node one of zeros if it says the same zeros everywhere.
    pub(super) fn collapse(&mut self) {
        let Some(word) = self.node().and_then(Node::uniform_zeros) else {
            return;
        };
        // SAFETY: the words of a leaf of zeros stand for nothing, and the new body has no links.
        unsafe {
            self.reshape(false, |node| {
                node.private_mut().charge.change(NODE_BYTES);
                Body::Zeros(word)
            });
        }
    }

    /// Makes the tree one level higher: the node becomes the first child of a new one.
    pub(super) fn raise(&mut self, means: &mut Means<'_>) {
        let Some(node) = self.node() else {
            return;
        };
        let (level, room, counts) = (node.level() + 1, room_for(0), *node.counts());
        // SAFETY: the link is ours, so the only way to the node; nobody has it to change it.
        let child = unsafe { self.share() };
        let links = std::iter::once(child).chain((1..room).map(|_| Link::empty())).collect();
        let mut private = private_of(room, counts, means);
        note_tags(&mut private.tags, 0, &counts);
        self.put(NodeRef::new(Visible::new(level, Body::Interior(links)), private));
    }

    /// Drops an empty node, and levels that lead to a single first child only.
    pub(super) fn tidy(&mut self) {
        while let Some(node) = self.node() {
            let present = node.counts().present();
            if present == 0 {
                return self.clear();
            }
            let Body::Interior(links) = &node.visible().body else {
                return;
            };
            if node.child(0).is_none_or(|child| child.counts().present() != present) {
                return;
            }
            // SAFETY: as above; the node above the child is given up.
            let child = unsafe { links[0].share() };
            self.put_link(child);
        }
    }
}

/// Charges a node for that many slots, after spending what they cost more.
fn recharge(node: &mut NodeMut<'_>, slots: usize, funds: &mut Funds) {
    let (bytes, charge) = (node_bytes(slots), &mut node.private_mut().charge);
    funds.spend(bytes.saturating_sub(charge.bytes()));
    charge.change(bytes);
}

/// Notes in the bitmaps which tags the child in a slot has now.
fn note_tags(tags: &mut [Bitmap; Tag::COUNT], slot: usize, child: &TableCounts) {
    for tag in Tag::ALL {
        tags[tag as usize].assign(slot, child.tagged(tag) > 0);
    }
}

impl NodeMut<'_> {
    /// Takes note that the child in a slot was changed: its counts, its tags, and whether anything
    /// is left of it. An emptied child is unlinked here and now, under the same borrow that emptied
    /// it: nobody can have filled it again.
    pub(super) fn settle(&mut self, slot: usize, before: &TableCounts) {
        let after =
            self.node().child(slot).map_or_else(TableCounts::default, |child| *child.counts());
        let private = self.private_mut();
        private.counts.replace_part(before, &after);
        note_tags(&mut private.tags, slot, &after);
        if after.present() == 0
            && let Some(mut link) = self.link_mut(slot)
        {
            link.clear();
        }
    }
}
