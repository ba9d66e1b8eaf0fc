//! Reading below any node, stored or dirty: what snapshots and edits have in common.

use braidfs_format::{Item, Key};

use super::cursor::Cursor;
use super::node_store::NodeStore;
use super::view::Place;
use crate::error::StoreError;

/// A node and what is below it.
#[derive(Clone, Copy)]
pub(super) struct Subtree<'a> {
    pub(super) store: &'a NodeStore,
    pub(super) place: Place<'a>,
    pub(super) level: u8,
}

impl<'a> Subtree<'a> {
    /// The subtree below one of this one's children.
    ///
    /// An interior node is above level 0, as the decoder sees to, so the level never wraps.
    pub(super) fn below(self, place: Place<'a>) -> Self {
        Self { place, level: self.level.saturating_sub(1), ..self }
    }

    /// The item under `key`.
    pub(super) fn get(mut self, key: &Key) -> Result<Option<Item>, StoreError> {
        loop {
            let view = self.place.load(self.store, self.level)?;
            if let Some(leaf) = view.leaf() {
                let found = leaf.binary_search_by(|(candidate, _)| candidate.cmp(key)).ok();
                return Ok(found.and_then(|index| leaf.get(index)).map(|(_, item)| item.clone()));
            }
            match view.child(view.child_index(key)) {
                Some(place) => self = self.below(place),
                None => return Ok(None),
            }
        }
    }

    /// The entry with the largest key that is not above `key`.
    pub(super) fn last_at_or_before(self, key: &Key) -> Result<Option<(Key, Item)>, StoreError> {
        let view = self.place.load(self.store, self.level)?;
        if let Some(leaf) = view.leaf() {
            let above = leaf.partition_point(|(candidate, _)| candidate <= key);
            return Ok(above.checked_sub(1).and_then(|index| leaf.get(index)).cloned());
        }
        // The first child asked has such a key unless its key in this node is a mere lower bound.
        for index in (0..=view.child_index(key)).rev() {
            let Some(place) = view.child(index) else {
                break;
            };
            if let Some(found) = self.below(place).last_at_or_before(key)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first `limit` entries from `from` to below `to_exclusive`.
    pub(super) fn range(
        self,
        from: &Key,
        to_exclusive: &Key,
        limit: usize,
    ) -> Result<Vec<(Key, Item)>, StoreError> {
        let mut found = Vec::new();
        if limit == 0 || from >= to_exclusive {
            return Ok(found);
        }
        let mut cursor = self.cursor(from)?;
        while let Some((key, item)) = cursor.next()? {
            if key >= *to_exclusive {
                break;
            }
            found.push((key, item.clone()));
            if found.len() >= limit {
                break;
            }
        }
        Ok(found)
    }

    /// Whether there is any key from `from` to below `to_exclusive`.
    pub(super) fn holds_any(self, from: &Key, to_exclusive: &Key) -> Result<bool, StoreError> {
        let mut cursor = self.cursor(from)?;
        Ok(cursor.next()?.is_some_and(|(key, _)| key < *to_exclusive))
    }

    /// A cursor before the first key that is not below `from`.
    pub(super) fn cursor(self, from: &Key) -> Result<Cursor<'a>, StoreError> {
        Cursor::seek(self, from)
    }
}
