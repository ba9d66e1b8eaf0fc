//! Taking out a range of entries. Nodes that lie wholly in the range are let go as they are, shared
//! or not; only those on its two edges are copied if they are shared.

use std::ops::Range;
use std::sync::Arc;

use super::edit::{Means, SlotMut};
use super::node::{Body, Node, unshare};
use super::scan::Query;
use super::{EntryRef, PageTable, Root, SLOTS, TableCounts, slot_of, span};
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
        let end = self.root.as_ref().map_or(0, |root| pages.end.min(span(root.level)));
        if self.next_present(pages.start).is_none_or(|first| first >= end) {
            return Ok(0);
        }
        let needed = 2 * self.path_bytes(end - 1);
        self.with_funds(needed, |place, pool, funds| {
            if let Some(root) = place {
                root.remove_range(pages.start..end, &mut Means { pool, funds }, &mut visit);
            }
        })?;
        Ok(before - self.counts().present())
    }
}

impl Root {
    /// Takes out the entries of a range; may leave the root empty.
    fn remove_range(&mut self, pages: Range<u64>, means: &mut Means<'_>, visit: &mut Visitor<'_>) {
        let node = unshare(&mut self.node, means.funds);
        remove_below(node, self.level, 0, pages, means, visit);
    }
}

/// Takes out a range of a node whose first page is `base`. The range counts from there.
fn remove_below(
    node: &mut Node,
    level: u8,
    base: u64,
    pages: Range<u64>,
    means: &mut Means<'_>,
    visit: &mut Visitor<'_>,
) {
    match &mut node.body {
        Body::Zeros(word) => {
            let word = *word;
            node.split_zeros(word, level, means.pool, means.funds);
            remove_below(node, level, base, pages, means, visit);
        }
        Body::Leaf(_) => remove_slots(node, base, pages, visit),
        Body::Interior(_) => {
            let last = slot_of(pages.end - 1, level);
            for slot in slot_of(pages.start, level)..=last {
                remove_child(node, slot, level, base, &pages, means, visit);
            }
        }
    }
}

/// Takes out a range of a leaf.
fn remove_slots(node: &mut Node, base: u64, pages: Range<u64>, visit: &mut Visitor<'_>) {
    for slot in slot_of(pages.start, 0)..=slot_of(pages.end - 1, 0) {
        if let Some(entry) = node.entry(slot) {
            let index = base + slot as u64;
            visit(index..index + 1, entry);
            if let Some(mut slot) = SlotMut::of(node, slot) {
                slot.take();
            }
        }
    }
}

/// Takes out what of a range lies below the child in a slot.
fn remove_child(
    node: &mut Node,
    slot: usize,
    level: u8,
    base: u64,
    pages: &Range<u64>,
    means: &mut Means<'_>,
    visit: &mut Visitor<'_>,
) {
    let (below, start) = (level - 1, slot as u64 * span(level - 1));
    let within = pages.start.max(start) - start..pages.end.min(start + span(below)) - start;
    let Some(child) = node.child_mut(slot) else {
        return;
    };
    let before = child.counts;
    let after = if within == (0..span(below)) {
        visit_all(child, below, base + start, visit);
        TableCounts::default()
    } else if Query::Present.find(child, below, within.start).is_some_and(|at| at < within.end) {
        let child = unshare(child, means.funds);
        remove_below(child, below, base + start, within, means, visit);
        child.counts
    } else {
        before
    };
    node.settle(slot, &before, &after);
}

/// Tells of all entries below a node whose first page is `base`.
fn visit_all(node: &Arc<Node>, level: u8, base: u64, visit: &mut Visitor<'_>) {
    if let (Body::Zeros(_), Some(entry)) = (&node.body, node.entry(0)) {
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
