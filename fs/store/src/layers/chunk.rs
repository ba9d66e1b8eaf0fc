//! Merging the layers' items over a range of keys, a chunk at a time.

use std::collections::btree_map;
use std::iter::Peekable;
use std::ops::Bound;

use braidfs_format::{InodeNumber, Item, Key, KeyKind};

use super::{Layer, Layers, View};

/// What the layers say about the keys from the one asked for up to `end`, and the tree they lie
/// over.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// The newest item for each key that a layer mentions; `None` is a deletion.
    pub(crate) items: Vec<(Key, Option<Item>)>,
    /// The end of what `items` covers, exclusive.
    pub(crate) end: Key,
    /// Inodes of which everything in the tree is hidden, in order.
    pub(crate) hidden: Vec<InodeNumber>,
    pub(crate) view: View,
}

impl Layers {
    /// What the layers say about `from..to`, or about the first `limit` keys in it that they
    /// mention.
    pub(crate) fn chunk(&self, from: Key, to: Key, limit: usize) -> Chunk {
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        let mut merge = Merge::new(self.newest_first(), bounds);
        let mut items = Vec::new();
        let mut end = to;
        while let Some((key, item)) = merge.next_newest() {
            items.push((key, item.clone()));
            if items.len() == limit {
                end = successor(key).unwrap_or(to).min(to);
                break;
            }
        }
        Chunk { items, end, hidden: self.hidden(from, to), view: self.view() }
    }

    fn hidden(&self, from: Key, to: Key) -> Vec<InodeNumber> {
        let inodes = from.inode..=to.inode;
        let mut hidden: Vec<_> = self
            .newest_first()
            .flat_map(|layer| layer.removed().range(inodes.clone()).copied())
            .collect();
        hidden.sort_unstable();
        hidden.dedup();
        hidden
    }
}

/// The items of several layers in order of their keys, the newest first where keys are equal.
struct Merge<'a> {
    /// Newest first.
    sources: Vec<Source<'a>>,
}

struct Source<'a> {
    layer: &'a Layer,
    items: Peekable<btree_map::Range<'a, Key, Option<Item>>>,
}

impl<'a> Merge<'a> {
    fn new(layers: impl Iterator<Item = &'a Layer>, bounds: (Bound<Key>, Bound<Key>)) -> Self {
        let source = |layer: &'a Layer| Source { layer, items: layer.items_in(bounds).peekable() };
        Self { sources: layers.map(source).collect() }
    }

    /// The next key and the newest that is said about it.
    fn next_newest(&mut self) -> Option<(Key, &'a Option<Item>)> {
        loop {
            let peeked = self.sources.iter_mut().filter_map(|source| source.items.peek());
            let key = *peeked.map(|(key, _)| *key).min()?;
            let mut newest = None;
            let mut hidden = false;
            for source in &mut self.sources {
                let found = source.items.next_if(|(next, _)| **next == key);
                if let (Some((_, item)), None, false) = (found, newest, hidden) {
                    newest = Some(item);
                }
                hidden |= source.layer.removes(key.inode);
            }
            if let Some(item) = newest {
                return Some((key, item));
            }
        }
    }
}

/// The key that comes next in order; `None` behind the very last.
pub(crate) fn successor(key: Key) -> Option<Key> {
    if let Some(offset) = key.offset.checked_add(1) {
        return Some(Key { offset, ..key });
    }
    let kind = match key.kind {
        KeyKind::Inode => KeyKind::Xattr,
        KeyKind::Xattr => KeyKind::Dirent,
        KeyKind::Dirent => KeyKind::Extent,
        KeyKind::Extent => KeyKind::Orphan,
        KeyKind::Orphan => KeyKind::Shared,
        KeyKind::Shared => return key.inode.checked_add(1).map(Key::inode),
    };
    Some(Key { kind, offset: 0, ..key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successors_pass_through_all_kinds_in_order() {
        let end = |kind| Key { inode: 5, kind, offset: u64::MAX };
        assert_eq!(successor(Key::dirent(5, 7)), Some(Key::dirent(5, 8)));
        assert_eq!(successor(end(KeyKind::Inode)), Some(Key::xattr(5, 0)));
        assert_eq!(successor(end(KeyKind::Xattr)), Some(Key::dirent(5, 0)));
        assert_eq!(successor(end(KeyKind::Dirent)), Some(Key::extent(5, 0)));
        let orphans = Key { inode: 5, kind: KeyKind::Orphan, offset: 0 };
        assert_eq!(successor(end(KeyKind::Extent)), Some(orphans));
        assert_eq!(successor(end(KeyKind::Shared)), Some(Key::inode(6)));
        let last = Key { inode: u64::MAX, kind: KeyKind::Shared, offset: u64::MAX };
        assert_eq!(successor(last), None);
    }

    #[test]
    fn the_newest_layer_wins_and_a_removal_hides_what_is_below() {
        use braidfs_format::LogRecord;
        let orphan = |inode| LogRecord::Put { key: Key::orphan(inode), item: Item::Orphan };
        let put =
            |inode| LogRecord::Put { key: Key { inode, ..Key::orphan(inode) }, item: Item::Orphan };
        let old = Layer::from_records(vec![orphan(1), orphan(2), put(7), put(8)], 1, 9);
        let new =
            vec![LogRecord::Delete { key: Key::orphan(1) }, LogRecord::RemoveInode { inode: 7 }];
        let new = Layer::from_records(new, 2, 9);
        let all = (Bound::Unbounded, Bound::Unbounded);
        let mut merge = Merge::new([&new, &old].into_iter(), all);
        let merged: Vec<_> = std::iter::from_fn(|| merge.next_newest()).collect();
        let eight = Key { inode: 8, ..Key::orphan(8) };
        let expected = [
            (Key::orphan(1), &None),
            (Key::orphan(2), &Some(Item::Orphan)),
            (eight, &Some(Item::Orphan)),
        ];
        assert_eq!(merged, expected);
    }
}
