//! One layer over the tree: the changes of one delta, or of several merged.
//!
//! Invariants: an item of an inode that the layer removed was put after the removal; what the layer
//! does not mention is answered by what lies below, unless it removed the inode.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use braidfs_format::{DeltaNumber, Extent, InodeNumber, Item, Key, KeyKind, LogRecord};

use crate::footprint::Footprint;
use crate::range_map::RangeMap;
use crate::space::BlockRun;

/// Changes in memory, ready to be asked and to be folded into the tree.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layer {
    items: BTreeMap<Key, Option<Item>>,
    removed: BTreeSet<InodeNumber>,
    maps: BTreeMap<InodeNumber, RangeMap>,
    /// The newest delta in it.
    through: DeltaNumber,
    /// The next inode number to hand out after that delta.
    next_inode: InodeNumber,
    /// How many inodes it adds to those below it.
    inode_change: i64,
    footprint: Footprint,
    /// Blocks that its extents held until its newest delta replaced them.
    superseded: Vec<BlockRun>,
}

impl Layer {
    /// A layer without changes, as of `through`.
    pub(crate) fn empty(through: DeltaNumber, next_inode: InodeNumber) -> Self {
        Self { through, next_inode, ..Self::default() }
    }

    /// The layer of `delta`, from the records of its transaction.
    pub(crate) fn from_records(
        records: Vec<LogRecord>,
        delta: DeltaNumber,
        next_inode: InodeNumber,
    ) -> Self {
        let mut layer = Self::empty(delta, next_inode);
        for record in records {
            layer.apply(record);
        }
        layer
    }

    /// Puts `newer` on top of this layer.
    pub(crate) fn merge(&mut self, newer: Layer) {
        self.through = newer.through;
        self.next_inode = newer.next_inode;
        self.inode_change += newer.inode_change;
        self.superseded.extend(newer.superseded);
        for inode in newer.removed {
            self.remove_inode(inode);
        }
        if self.items.is_empty() {
            self.footprint += items_footprint(&newer.items);
            self.items = newer.items;
        } else {
            newer.items.into_iter().for_each(|(key, item)| self.insert(key, item));
        }
        for (inode, map) in newer.maps {
            self.merge_map(inode, map);
        }
    }

    /// Takes the blocks that its extents held until its newest delta, or the last merge, replaced
    /// them.
    pub(crate) fn take_superseded(&mut self) -> Vec<BlockRun> {
        std::mem::take(&mut self.superseded)
    }

    fn apply(&mut self, record: LogRecord) {
        match record {
            LogRecord::Put { key, item } => self.insert(key, Some(item)),
            LogRecord::Delete { key } => self.insert(key, None),
            LogRecord::RemoveInode { inode } => self.remove_inode(inode),
            LogRecord::Map { inode, change } => {
                self.change_map(inode, |map| map.replace(change));
            }
        }
    }

    fn insert(&mut self, key: Key, item: Option<Item>) {
        self.footprint += Footprint::of_item(item.as_ref());
        if let Some(old) = self.items.insert(key, item) {
            self.footprint -= Footprint::of_item(old.as_ref());
        }
    }

    fn remove_inode(&mut self, inode: InodeNumber) {
        let keys: Vec<Key> = self.items.range(keys_of(inode)).map(|(key, _)| *key).collect();
        for key in keys {
            if let Some(old) = self.items.remove(&key) {
                self.footprint -= Footprint::of_item(old.as_ref());
            }
        }
        if let Some(map) = self.maps.remove(&inode) {
            self.footprint -= map.footprint();
            let extents = map.into_changes().into_iter().filter_map(|change| change.extent);
            self.superseded.extend(extents.filter_map(|extent| run_of(&extent)));
        }
        if self.removed.insert(inode) {
            self.footprint += Footprint::REMOVED_INODE;
        }
    }

    fn merge_map(&mut self, inode: InodeNumber, newer: RangeMap) {
        self.change_map(inode, |map| {
            if map.is_empty() {
                *map = newer;
                return Vec::new();
            }
            newer.into_changes().into_iter().flat_map(|change| map.replace(change)).collect()
        });
    }

    fn change_map(
        &mut self,
        inode: InodeNumber,
        change: impl FnOnce(&mut RangeMap) -> Vec<Extent>,
    ) {
        let map = self.maps.entry(inode).or_default();
        self.footprint -= map.footprint();
        self.superseded.extend(change(map).iter().filter_map(run_of));
        self.footprint += map.footprint();
    }

    /// The newest delta in it.
    pub(crate) fn through(&self) -> DeltaNumber {
        self.through
    }

    /// The next inode number to hand out.
    pub(crate) fn next_inode(&self) -> InodeNumber {
        self.next_inode
    }

    /// How many inodes it adds to those below it.
    pub(crate) fn inode_change(&self) -> i64 {
        self.inode_change
    }

    /// Notes how many inodes it adds to those below it, which only who knows those can tell.
    pub(crate) fn set_inode_change(&mut self, change: i64) {
        self.inode_change = change;
    }

    /// The inodes that it puts or takes away, each once, and whether they are there afterwards.
    pub(crate) fn inodes(&self) -> impl Iterator<Item = (InodeNumber, bool)> + '_ {
        let records = self.items.iter().filter(|(key, _)| key.kind == KeyKind::Inode);
        let removed = self.removed.iter().filter(|inode| self.get(&Key::inode(**inode)).is_none());
        records
            .map(|(key, item)| (key.inode, item.is_some()))
            .chain(removed.map(|inode| (*inode, false)))
    }

    /// What folding it into the tree may cost.
    pub(crate) fn footprint(&self) -> Footprint {
        self.footprint
    }

    /// What it says about `key`: `Some(None)` is a deletion.
    pub(crate) fn get(&self, key: &Key) -> Option<&Option<Item>> {
        self.items.get(key)
    }

    /// Whether everything below it of `inode` is hidden.
    pub(crate) fn removes(&self, inode: InodeNumber) -> bool {
        self.removed.contains(&inode)
    }

    /// The inodes it removes, in order.
    pub(crate) fn removed(&self) -> &BTreeSet<InodeNumber> {
        &self.removed
    }

    /// All its items, in order.
    pub(crate) fn items(&self) -> &BTreeMap<Key, Option<Item>> {
        &self.items
    }

    /// Its items between two bounds.
    pub(crate) fn items_in(
        &self,
        bounds: (Bound<Key>, Bound<Key>),
    ) -> std::collections::btree_map::Range<'_, Key, Option<Item>> {
        self.items.range(bounds)
    }

    /// The changes it makes to the map of `inode`.
    pub(crate) fn map(&self, inode: InodeNumber) -> Option<&RangeMap> {
        self.maps.get(&inode)
    }

    /// The blocks on disk of all its extents.
    pub(crate) fn runs(&self) -> impl Iterator<Item = BlockRun> + '_ {
        let segments = self.maps.values().flat_map(RangeMap::segments);
        segments.filter_map(|(_, segment)| segment.extent.as_ref().and_then(run_of))
    }

    /// All maps it changes, by inode.
    pub(crate) fn maps(&self) -> &BTreeMap<InodeNumber, RangeMap> {
        &self.maps
    }
}

fn items_footprint(items: &BTreeMap<Key, Option<Item>>) -> Footprint {
    let mut sum = Footprint::default();
    items.values().for_each(|item| sum += Footprint::of_item(item.as_ref()));
    sum
}

/// Every key of `inode`.
pub(crate) fn keys_of(inode: InodeNumber) -> std::ops::RangeInclusive<Key> {
    Key::inode(inode)..=Key { inode, kind: KeyKind::Orphan, offset: u64::MAX }
}

/// The blocks on disk of an extent.
pub(crate) fn run_of(extent: &Extent) -> Option<BlockRun> {
    extent.blocks().map(|(start, length)| BlockRun { start, length })
}
