//! The shape of a table: its height, the way to a page, and what operations on it cost.

use std::ops::Range;
use std::sync::Arc;

use super::node::{Body, FULL_NODE_BYTES, Node};
use super::{EntryRef, MAX_PAGES, PageTable, Root, slot_of, span};
use crate::table_memory::Funds;
use crate::{FramePool, Page, TableError};

/// What an operation can cost at worst for each level of its way: a node that is new or copied or
/// split, the node of zeros it is split into, and the nodes it takes to make the tree higher.
const LEVEL_BYTES: usize = 2 * FULL_NODE_BYTES;

impl PageTable {
    /// Puts aside the node memory that it takes at worst to store, tag or remove each page of the
    /// range once, so that none of these can fail for want of it; until
    /// [`unreserve`](Self::unreserve), or until the table is forked again.
    pub fn reserve(&mut self, pages: Range<u64>) -> Result<(), TableError> {
        let Some(last) = pages.end.checked_sub(1).filter(|last| *last >= pages.start) else {
            return Ok(());
        };
        self.check_index(last)?;
        let levels = self.levels_to(last);
        let nodes = (0..levels).map(|level| last / span(level) - pages.start / span(level) + 1);
        let bytes = usize::try_from(nodes.sum::<u64>())
            .unwrap_or(usize::MAX)
            .saturating_mul(LEVEL_BYTES)
            .saturating_add(self.path_bytes(last));
        let mut funds = self.reserved.take().unwrap_or_default();
        let raised = funds.raise_to(bytes, self.pool.tables());
        self.reserved = Some(funds).filter(|funds| funds.bytes() > 0);
        raised
    }

    /// Gives back what [`reserve`](Self::reserve) put aside and nothing used.
    pub fn unreserve(&mut self) {
        self.reserved = None;
    }

    /// Bytes put aside, for tests.
    #[cfg(test)]
    pub(super) fn reserved_bytes(&self) -> usize {
        self.reserved.as_ref().map_or(0, Funds::bytes)
    }

    /// Refuses indexes no table has.
    pub(super) fn check_index(&self, index: u64) -> Result<(), TableError> {
        if index < MAX_PAGES { Ok(()) } else { Err(TableError::IndexTooLarge { index }) }
    }

    /// What it can cost at worst to change one entry.
    pub(super) fn path_bytes(&self, index: u64) -> usize {
        usize::from(self.levels_to(index)) * LEVEL_BYTES
    }

    /// Levels the table has when it covers the index.
    fn levels_to(&self, index: u64) -> u8 {
        level_for(index).max(self.root.as_ref().map_or(0, |root| root.level)) + 1
    }

    /// Runs an operation that costs so many bytes at worst, once they are put aside, and tidies the
    /// root up after it.
    pub(super) fn with_funds<R>(
        &mut self,
        bytes: usize,
        operation: impl FnOnce(&mut Option<Root>, &Arc<FramePool>, &mut Funds) -> R,
    ) -> Result<R, TableError> {
        let mut passing = Funds::default();
        let funds = self.reserved.as_mut().unwrap_or(&mut passing);
        funds.raise_to(bytes, self.pool.tables())?;
        let result = operation(&mut self.root, &self.pool, funds);
        Root::tidy(&mut self.root);
        Ok(result)
    }
}

impl Root {
    /// The root of a tree that covers the index: makes it higher where it does not.
    pub(super) fn covering<'a>(
        root: &'a mut Option<Self>,
        index: u64,
        pool: &Arc<FramePool>,
        funds: &mut Funds,
    ) -> &'a mut Self {
        let wanted = level_for(index);
        let root = root.get_or_insert_with(|| Self {
            node: Arc::new(Node::new(wanted, pool, funds)),
            level: wanted,
        });
        while root.level < wanted {
            root.level += 1;
            root.node = Arc::new(Node::above(Arc::clone(&root.node), root.level, pool, funds));
        }
        root
    }

    /// Drops an empty root, and levels that lead to a single first child only.
    fn tidy(place: &mut Option<Self>) {
        while let Some(root) = place {
            if root.node.counts.present() == 0 {
                *place = None;
                return;
            }
            match root.node.child(0) {
                Some(child) if child.counts.present() == root.node.counts.present() => {
                    root.node = Arc::clone(child);
                    root.level -= 1;
                }
                _ => return,
            }
        }
    }

    /// Whether an entry can be changed without any new node: the way there is unshared, and has
    /// room.
    pub(super) fn is_ready(&self, index: u64) -> bool {
        if index >= span(self.level) {
            return false;
        }
        let (mut node, mut level) = (&self.node, self.level);
        loop {
            let slot = slot_of(index, level);
            // Nobody but its parent can share a node whose parent is not shared, so 1 is no passing
            // state.
            if Arc::strong_count(node) != 1 || slot >= node.room() {
                return false;
            }
            match node.child(slot) {
                Some(child) => (node, level) = (child, level - 1),
                None => return matches!(node.body, Body::Leaf(_)),
            }
        }
    }

    /// The entry of a page.
    pub(super) fn get(&self, index: u64) -> Option<EntryRef<'_>> {
        if index >= span(self.level) {
            return None;
        }
        let (mut node, mut level) = (&self.node, self.level);
        while let Body::Interior(_) = node.body {
            node = node.child(slot_of(index, level))?;
            level -= 1;
        }
        node.entry(slot_of(index, level))
    }

    /// The page of an index, if nobody else can see its frame.
    pub(super) fn page_mut(&mut self, index: u64) -> Option<&mut Page> {
        if index >= span(self.level) {
            return None;
        }
        let mut level = self.level;
        let mut node = Arc::get_mut(&mut self.node)?;
        loop {
            let slot = slot_of(index, level);
            match &mut node.body {
                Body::Leaf(entries) => return entries.page_mut(slot),
                Body::Zeros(_) => return None,
                Body::Interior(children) => {
                    node = Arc::get_mut(children.get_mut(slot)?.as_mut()?)?;
                    level -= 1;
                }
            }
        }
    }
}

/// The lowest level whose nodes cover an index.
fn level_for(index: u64) -> u8 {
    let bits = u64::BITS - index.leading_zeros();
    // At most 7 levels of 9 bits in 64 bits, so the cast loses nothing.
    bits.div_ceil(super::LEVEL_BITS).saturating_sub(1) as u8
}
