//! Finding pages: the next with an entry, without one, with a tag, without it; and iterators over
//! them.

use std::ops::Range;

use super::link::Node;
use super::{EntryRef, MAX_PAGES, PageTable, SLOTS, TableCounts, Tag, slot_of, span};

impl PageTable {
    /// The first page from `from` on that has an entry of any kind.
    pub fn next_present(&self, from: u64) -> Option<u64> {
        self.next(from, Query::Present)
    }

    /// The first page from `from` on that has no entry; [`MAX_PAGES`] if there is none below it.
    pub fn next_gap(&self, from: u64) -> u64 {
        self.next_without(from, Query::Present)
    }

    /// The first page from `from` on that has the tag.
    pub fn next_tagged(&self, from: u64, tag: Tag) -> Option<u64> {
        self.next(from, Query::Tagged(tag))
    }

    /// The first page from `from` on that does not have the tag, be there an entry or not;
    /// [`MAX_PAGES`] if there is none below it.
    pub fn next_untagged(&self, from: u64, tag: Tag) -> u64 {
        self.next_without(from, Query::Tagged(tag))
    }

    /// The entries of a range, in order, with their indexes.
    pub fn entries(&self, pages: Range<u64>) -> EntryIter<'_> {
        EntryIter { table: self, query: Query::Present, pages }
    }

    /// The entries of a range that have the tag, in order, with their indexes.
    pub fn tagged(&self, tag: Tag, pages: Range<u64>) -> EntryIter<'_> {
        EntryIter { table: self, query: Query::Tagged(tag), pages }
    }

    /// The runs of consecutive pages in a range that have the tag, in order, each as long as can
    /// be.
    pub fn tagged_runs(&self, tag: Tag, pages: Range<u64>) -> TaggedRuns<'_> {
        TaggedRuns { table: self, tag, pages }
    }

    /// Entries that lie in nodes which other tables share: all of them right after a fork, fewer
    /// with each leaf that is broken. Exact, and looks at the nodes which are not shared only, at
    /// none of their entries. A frame of a leaf that was broken counts as not shared, though the
    /// other table's leaf may still name it.
    pub fn shared_entries(&self) -> u64 {
        self.root().map_or(0, shared_below)
    }

    fn next(&self, from: u64, query: Query) -> Option<u64> {
        let root = self.root()?;
        (from < span(root.level())).then(|| query.find(root, root.level(), from))?
    }

    fn next_without(&self, from: u64, query: Query) -> u64 {
        let Some(root) = self.root().filter(|root| from < span(root.level())) else {
            return from.min(MAX_PAGES);
        };
        let level = root.level();
        query.find_without(root, level, from).unwrap_or(span(level)).min(MAX_PAGES)
    }
}

/// Entries below a node in nodes that are shared.
fn shared_below(node: &Node) -> u64 {
    if !node.is_alone() {
        return node.counts().present();
    }
    if node.level() == 0 {
        return 0;
    }
    (0..node.room()).filter_map(|slot| node.child(slot)).map(shared_below).sum()
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Query {
    /// Pages with an entry.
    Present,
    /// Pages with that tag.
    Tagged(Tag),
}

impl Query {
    /// The first page of a node, from `from` on, that has what is looked for. Indexes count from
    /// the node's first page.
    pub(super) fn find(self, node: &Node, level: u8, from: u64) -> Option<u64> {
        let below = span(level) / SLOTS as u64;
        let mut start = from;
        loop {
            let slot = self.next_slot(node, slot_of(start, level))?;
            start = start.max(slot as u64 * below);
            let found = match node.child(slot) {
                Some(child) => self.find(child, level - 1, start % below),
                None => Some(start % below),
            };
            if let Some(found) = found {
                return Some(slot as u64 * below + found);
            }
            start = (slot as u64 + 1) * below;
            if start == span(level) {
                return None;
            }
        }
    }

    /// The first page of a node, from `from` on, that does not have what is looked for.
    fn find_without(self, node: &Node, level: u8, from: u64) -> Option<u64> {
        match self.amount(node.counts()) {
            0 => return Some(from),
            amount if amount == span(level) => return None,
            _ => {}
        }
        let below = span(level) / SLOTS as u64;
        let mut start = from;
        while start < span(level) {
            let slot = slot_of(start, level);
            let found = match node.child(slot) {
                Some(child) => self.find_without(child, level - 1, start % below),
                None => (!self.has(node, slot)).then_some(start % below),
            };
            if let Some(found) = found {
                return Some(slot as u64 * below + found);
            }
            start = (slot as u64 + 1) * below;
        }
        None
    }

    /// The first slot from `slot` on that has what is looked for, or below which some page has it.
    fn next_slot(self, node: &Node, slot: usize) -> Option<usize> {
        match self {
            Self::Present => node.next_used(slot),
            Self::Tagged(tag) => node.tagged(tag).next_set(slot),
        }
    }

    /// Whether a slot without a child has what is looked for.
    fn has(self, node: &Node, slot: usize) -> bool {
        match self {
            Self::Present => node.is_used(slot),
            Self::Tagged(tag) => node.tagged(tag).get(slot),
        }
    }

    /// How many pages have what is looked for.
    fn amount(self, counts: &TableCounts) -> u64 {
        match self {
            Self::Present => counts.present(),
            Self::Tagged(tag) => counts.tagged(tag),
        }
    }
}

/// Iterator over entries; see [`PageTable::entries`] and [`PageTable::tagged`].
#[derive(Debug, Clone)]
pub struct EntryIter<'a> {
    table: &'a PageTable,
    query: Query,
    pages: Range<u64>,
}

impl<'a> Iterator for EntryIter<'a> {
    type Item = (u64, EntryRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.table.next(self.pages.start, self.query).unwrap_or(u64::MAX);
        if found >= self.pages.end {
            self.pages.start = self.pages.end;
            return None;
        }
        self.pages.start = found + 1;
        Some((found, self.table.get(found)?))
    }
}

/// Iterator over runs of tagged pages; see [`PageTable::tagged_runs`].
#[derive(Debug, Clone)]
pub struct TaggedRuns<'a> {
    table: &'a PageTable,
    tag: Tag,
    pages: Range<u64>,
}

impl Iterator for TaggedRuns<'_> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        let first = self.table.next_tagged(self.pages.start, self.tag).unwrap_or(u64::MAX);
        if first >= self.pages.end {
            self.pages.start = self.pages.end;
            return None;
        }
        let end = self.table.next_untagged(first, self.tag).min(self.pages.end);
        self.pages.start = end;
        Some(first..end)
    }
}
