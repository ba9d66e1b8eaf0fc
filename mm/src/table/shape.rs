//! The shape of a table: its height, the way to a page, and what operations on it cost.

use std::ops::Range;

use super::link::{Body, LinkMut, Node};
use super::node::{FULL_NODE_BYTES, Means};
use super::{EntryRef, MAX_PAGES, PageTable, slot_of, span};
use crate::table_memory::Funds;
use crate::{PageMut, TableError};

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
        level_for(index).max(self.root().map_or(0, Node::level)) + 1
    }

    /// Runs a change that costs so many bytes at worst, once they are put aside, and tidies the
    /// root up after it.
    pub(super) fn with_funds<R>(
        &mut self,
        bytes: usize,
        change: impl FnOnce(LinkMut<'_>, &mut Means<'_>) -> R,
    ) -> Result<R, TableError> {
        let mut passing = Funds::default();
        let Self { pool, root, reserved } = self;
        let funds = reserved.as_mut().unwrap_or(&mut passing);
        funds.raise_to(bytes, pool.tables())?;
        let mut root = root.link_mut();
        let result = change(root.reborrow(), &mut Means { pool, funds });
        root.tidy();
        Ok(result)
    }

    /// Whether an entry can be changed without any new node: the way there is unshared, and has
    /// room.
    pub(super) fn is_ready(&self, index: u64) -> bool {
        let Some(mut node) = self.root().filter(|root| index < span(root.level())) else {
            return false;
        };
        loop {
            let slot = slot_of(index, node.level());
            if !node.is_open(slot) {
                return false;
            }
            match node.child(slot) {
                Some(child) => node = child,
                None => return node.level() == 0,
            }
        }
    }

    /// The entry of a page.
    pub fn get(&self, index: u64) -> Option<EntryRef<'_>> {
        let mut node = self.root().filter(|root| index < span(root.level()))?;
        while let Body::Interior(_) = node.visible().body {
            node = node.child(slot_of(index, node.level()))?;
        }
        node.entry(slot_of(index, node.level()))
    }

    /// The bytes of a page, to write them in place: if it is in a frame that nobody but this table
    /// can see, neither through a fork nor through a [`Frame`](crate::Frame), and that no reader
    /// holds at this moment. Copies nothing and cannot fail; where it says `None`, put a frame of
    /// your own with [`insert`](Self::insert).
    pub fn page_mut(&mut self, index: u64) -> Option<PageMut<'_>> {
        if index >= self.root().map_or(0, |root| span(root.level())) {
            return None;
        }
        let mut node = self.root.link_mut().into_alone()?;
        loop {
            let level = node.node().level();
            let slot = slot_of(index, level);
            if level == 0 {
                return node.into_page_mut(slot);
            }
            node = node.into_link_mut(slot)?.into_alone()?;
        }
    }
}

/// Makes the tree below a root cover the index, and says at which level the root is then.
pub(super) fn cover(root: &mut LinkMut<'_>, index: u64, means: &mut Means<'_>) -> u8 {
    let wanted = level_for(index);
    while root.node().is_some_and(|node| node.level() < wanted) {
        root.raise(means);
    }
    root.node().map_or(wanted, Node::level)
}

/// The lowest level whose nodes cover an index.
fn level_for(index: u64) -> u8 {
    let bits = u64::BITS - index.leading_zeros();
    // At most 7 levels of 9 bits in 64 bits, so the cast loses nothing.
    bits.div_ceil(super::LEVEL_BITS).saturating_sub(1) as u8
}
