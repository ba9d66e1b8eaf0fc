//! Taking out a range of entries. Nodes that have no entries but in the range are let go as they
//! are, shared or not; only those on its two edges are copied if they are shared.

use std::ops::Range;

use super::link::{LinkMut, Node, NodeMut, Place};
use super::node::Means;
use super::scan::Query;
use super::{EntryRef, PageTable, SLOTS, slot_of, span};
use crate::TableError;

/// Told of each entry that is taken out: the pages it is for (one, or a whole range of the same
/// zeros) and what it was.
type Visitor<'a> = dyn FnMut(Range<u64>, EntryRef<'_>) + 'a;

impl PageTable {
    /// Takes out the entries of a range, and says how many these were. `visit` is told of each
    /// before it goes, in order; a range of equal zeros it may be told at once.
    pub fn remove_range(
        &mut self,
        pages: Range<u64>,
        mut visit: impl FnMut(Range<u64>, EntryRef<'_>),
    ) -> Result<u64, TableError> {
        let before = self.counts().present();
        let end = self.root().map_or(0, |root| pages.end.min(span(root.level())));
        if self.next_present(pages.start).is_none_or(|first| first >= end) {
            return Ok(0);
        }
        let within = pages.start..end;
        let is_whole = self.root().is_some_and(|root| empties(root, root.level(), &within));
        let needed = if is_whole { 0 } else { 2 * self.path_bytes(end - 1) };
        self.with_funds(needed, |mut root, means| {
            let level = root.node().map_or(0, Node::level);
            remove(&mut root, level, 0, within, means, &mut visit);
        })?;
        Ok(before - self.counts().present())
    }
}

/// Whether all entries below a node lie in the range, which counts from its first page.
fn empties(node: &Node, level: u8, pages: &Range<u64>) -> bool {
    let first = Query::Present.find(node, level, 0);
    let is_left = |from| from < span(level) && Query::Present.find(node, level, from).is_some();
    first.is_some_and(|first| first >= pages.start) && !is_left(pages.end)
}

/// Takes out the range of the node a link leads to, whose first page is `base`. The range counts
/// from there. A node of which nothing is left is let go as it is, shared or not.
fn remove(
    link: &mut LinkMut<'_>,
    level: u8,
    base: u64,
    pages: Range<u64>,
    means: &mut Means<'_>,
    visit: &mut Visitor<'_>,
) {
    let Some(node) = link.node() else {
        return;
    };
    if empties(node, level, &pages) {
        visit_all(node, level, base, visit);
        return link.clear();
    }
    if Query::Present.find(node, level, pages.start).is_none_or(|first| first >= pages.end) {
        return;
    }
    let mut node = link.open(level, 0, means);
    for slot in slot_of(pages.start, level)..=slot_of(pages.end - 1, level) {
        if level == 0 {
            remove_entry(&mut node, slot, base, visit);
        } else {
            remove_child(&mut node, slot, level, base, &pages, means, visit);
        }
    }
}

/// Takes out an entry of a leaf, if there is one.
fn remove_entry(node: &mut NodeMut<'_>, slot: usize, base: u64, visit: &mut Visitor<'_>) {
    if let Some(entry) = node.node().entry(slot) {
        let index = base + slot as u64;
        visit(index..index + 1, entry);
        if let Place::Entry(mut slot) = node.place(slot) {
            slot.take();
        }
    }
}

/// Takes out what of a range lies below the child in a slot, if there is one.
fn remove_child(
    node: &mut NodeMut<'_>,
    slot: usize,
    level: u8,
    base: u64,
    pages: &Range<u64>,
    means: &mut Means<'_>,
    visit: &mut Visitor<'_>,
) {
    let (below, start) = (level - 1, slot as u64 * span(level - 1));
    let within = pages.start.max(start) - start..pages.end.min(start + span(below)) - start;
    let Some(before) = node.node().child(slot).map(|child| *child.counts()) else {
        return;
    };
    if let Place::Child(mut child) = node.place(slot) {
        remove(&mut child, below, base + start, within, means, visit);
        node.settle(slot, &before);
    }
}

/// Tells of all entries below a node whose first page is `base`.
fn visit_all(node: &Node, level: u8, base: u64, visit: &mut Visitor<'_>) {
    if let (Some(_), Some(entry)) = (node.zeros(), node.entry(0)) {
        return visit(base..base + span(level), entry);
    }
    let below = span(level) / SLOTS as u64;
    let mut next = node.next_used(0);
    while let Some(slot) = next {
        let start = base + slot as u64 * below;
        if let Some(child) = node.child(slot) {
            visit_all(child, level - 1, start, visit);
        } else if let Some(entry) = node.entry(slot) {
            visit(start..start + 1, entry);
        }
        next = if slot + 1 < SLOTS { node.next_used(slot + 1) } else { None };
    }
}
