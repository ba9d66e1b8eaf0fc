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

#[cfg(test)]
mod tests {
    use braidfs_format::{ExtentContent, MapChange};

    use super::*;

    fn map(inode: u64, start: u64, address: u64, length: u32) -> LogRecord {
        let content = ExtentContent::Unwritten { address, birth: 1 };
        let extent = Some(Extent { length, content });
        LogRecord::Map { inode, change: MapChange { start, length: length.into(), extent } }
    }

    fn orphan(inode: u64) -> LogRecord {
        LogRecord::Put { key: Key::orphan(inode), item: Item::Orphan }
    }

    fn layer(records: Vec<LogRecord>, delta: u64) -> Layer {
        Layer::from_records(records, delta, 10 + delta)
    }

    #[test]
    fn what_a_delta_supersedes_of_its_own_is_told() {
        let mut layer = layer(vec![map(2, 0, 100, 4), map(2, 1, 200, 2)], 1);
        assert_eq!(layer.take_superseded(), [BlockRun::new(101, 2)]);
        assert!(layer.take_superseded().is_empty());
        let runs: Vec<_> = layer.runs().collect();
        let expected = [BlockRun::new(100, 1), BlockRun::new(200, 2), BlockRun::new(103, 1)];
        assert_eq!(runs, expected);
    }

    #[test]
    fn merging_keeps_the_newer_and_tells_what_it_replaced() {
        let mut old = layer(vec![orphan(2), orphan(3), map(2, 0, 100, 4), map(3, 0, 200, 4)], 1);
        let newer = vec![
            LogRecord::RemoveInode { inode: 3 },
            LogRecord::Delete { key: Key::orphan(3) },
            map(2, 2, 300, 4),
        ];
        old.merge(layer(newer, 2));
        assert_eq!(old.take_superseded(), [BlockRun::new(200, 4), BlockRun::new(102, 2)]);
        assert_eq!(old.get(&Key::orphan(2)), Some(&Some(Item::Orphan)));
        assert_eq!(old.get(&Key::orphan(3)), Some(&None));
        assert!(old.removes(3) && !old.removes(2) && old.map(3).is_none());
        assert_eq!((old.through(), old.next_inode()), (2, 12));
    }

    #[test]
    fn a_footprint_is_the_same_however_the_layer_came_to_be() {
        let first =
            vec![orphan(2), orphan(3), map(2, 0, 100, 4), LogRecord::RemoveInode { inode: 5 }];
        let second = vec![
            LogRecord::Delete { key: Key::orphan(3) },
            LogRecord::RemoveInode { inode: 5 },
            map(2, 0, 300, 4),
            map(5, 0, 400, 1),
        ];
        let mut merged = Layer::empty(0, 2);
        merged.merge(layer(first.clone(), 1));
        merged.merge(layer(second.clone(), 2));
        let at_once = layer(first.into_iter().chain(second).collect(), 2);
        assert_eq!(merged.footprint(), at_once.footprint());
        let kept = [orphan(2), LogRecord::Delete { key: Key::orphan(3) }]
            .iter()
            .chain(&[LogRecord::RemoveInode { inode: 5 }, map(2, 0, 300, 4), map(5, 0, 400, 1)])
            .fold(Footprint::default(), |sum, record| sum + Footprint::of_record(record));
        assert_eq!(merged.footprint(), kept);
    }
}
