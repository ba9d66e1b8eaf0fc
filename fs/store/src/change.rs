//! The changes of one delta.

use std::collections::{BTreeMap, BTreeSet};

use braidfs_format::{Geometry, InodeNumber, Item, Key, KeyKind, LogRecord, MapChange};

use crate::error::{StoreError, StoreErrorKind};

/// Everything one delta changes. Inodes are removed first, then items are put and deleted, then
/// maps are changed, each in the order it has here.
///
/// The blocks of every extent in it must have been written for this delta and be referenced
/// nowhere else, or have been shared by [`Store::share`](crate::Store::share).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeSet {
    /// Items by key; `None` deletes. Never of the kind [`KeyKind::Extent`]: those go by `maps`.
    pub items: BTreeMap<Key, Option<Item>>,
    /// Inodes of which every item and extent goes.
    pub removed_inodes: BTreeSet<InodeNumber>,
    /// Changes of the maps of files, in the order they are to be made.
    pub maps: BTreeMap<InodeNumber, Vec<MapChange>>,
    /// The next inode number to hand out once this delta is in force.
    pub next_inode: InodeNumber,
}

impl ChangeSet {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.removed_inodes.is_empty() && self.maps.is_empty()
    }

    /// The records of the transaction that commits it, in the order they apply.
    pub(crate) fn into_records(self) -> Vec<LogRecord> {
        let maps: usize = self.maps.values().map(Vec::len).sum();
        let mut records = Vec::with_capacity(self.removed_inodes.len() + self.items.len() + maps);
        records
            .extend(self.removed_inodes.into_iter().map(|inode| LogRecord::RemoveInode { inode }));
        records.extend(self.items.into_iter().map(|(key, item)| match item {
            Some(item) => LogRecord::Put { key, item },
            None => LogRecord::Delete { key },
        }));
        for (inode, changes) in self.maps {
            records.extend(changes.into_iter().map(|change| LogRecord::Map { inode, change }));
        }
        records
    }
}

/// Refuses a record that the key space of a volume with `geometry` cannot hold. What the record
/// says by itself is checked where it is encoded and decoded.
pub(crate) fn check_record(record: &LogRecord, geometry: &Geometry) -> Result<(), StoreError> {
    let bad = |kind, detail: String| Err(StoreError::new(kind, "checking a change", detail));
    match record {
        LogRecord::Put { key, .. } | LogRecord::Delete { key } if key.kind == KeyKind::Extent => {
            bad(StoreErrorKind::Invalid, format!("an extent is put as an item: {key:?}"))
        }
        LogRecord::Put { key, .. } | LogRecord::Delete { key } if key.kind == KeyKind::Shared => {
            bad(StoreErrorKind::Invalid, format!("only a unify counts shared blocks: {key:?}"))
        }
        LogRecord::Map { change, inode } => {
            match change.extent.as_ref().and_then(|extent| extent.blocks()) {
                Some((address, length)) if !geometry.holds_data(address, length) => {
                    let detail = format!("an extent of {length} blocks lies where no data can be");
                    bad(StoreErrorKind::Corrupt, detail)
                        .map_err(|error| error.at_block(address).of_inode(*inode))
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_in_the_order_in_which_they_apply() {
        let mut changes = ChangeSet::default();
        assert!(changes.is_empty());
        let hole = |start| MapChange { start, length: 1, extent: None };
        changes.maps.insert(4, vec![hole(9), hole(2)]);
        changes.items.insert(Key::orphan(7), None);
        changes.items.insert(Key::orphan(6), Some(Item::Orphan));
        changes.removed_inodes.insert(5);
        assert!(!changes.is_empty());
        let expected = [
            LogRecord::RemoveInode { inode: 5 },
            LogRecord::Put { key: Key::orphan(6), item: Item::Orphan },
            LogRecord::Delete { key: Key::orphan(7) },
            LogRecord::Map { inode: 4, change: hole(9) },
            LogRecord::Map { inode: 4, change: hole(2) },
        ];
        assert_eq!(changes.into_records(), expected);
    }
}
