//! Reading the merged key space: what the layers say first, then the tree.

use std::ops::Range;

use braidfs_format::{Extent, InodeNumber, Item, Key, KeyKind};

use crate::error::StoreError;
use crate::layers::{Chunk, Mapped, Origin, View, successor};
use crate::range_map::slice;
use crate::store::Store;

/// Keys asked for at once, at least: a short answer to a caller costs as much as this many.
const MIN_CHUNK_KEYS: usize = 32;

impl Store {
    /// The item under `key`, as of the newest published delta.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let view = {
            let layers = self.layers.read();
            match layers.get(key) {
                Some(item) => return Ok(item),
                None => layers.view(),
            }
        };
        view.tree.get(key)
    }

    /// The items under `from..to_exclusive` in order, at most `limit` of them. Extents are left
    /// out: [`Store::map`] is for those.
    ///
    /// A range that is much longer than `limit` is read in pieces, each of them as of one delta.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn range(
        &self,
        from: Key,
        to_exclusive: Key,
        limit: usize,
    ) -> Result<Vec<(Key, Item)>, StoreError> {
        let mut out = Vec::new();
        let mut next = Some(from);
        while let Some(from) = next.filter(|from| *from < to_exclusive && out.len() < limit) {
            let wanted = (limit - out.len()).max(MIN_CHUNK_KEYS);
            let chunk = self.layers.read().chunk(from, to_exclusive, wanted);
            next = merge_chunk(chunk, from, wanted, &mut out)?;
        }
        out.truncate(limit);
        Ok(out)
    }

    /// What backs `blocks` of the file `inode`, clipped to them and in order; holes are left out.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn map(&self, inode: InodeNumber, blocks: Range<u64>) -> Result<Vec<Mapped>, StoreError> {
        if blocks.is_empty() {
            return Ok(Vec::new());
        }
        self.counters.map_lookups.add(1);
        let overlay = self.layers.read().map(inode, blocks);
        let mut below = Vec::new();
        for gap in overlay.gaps {
            map_tree(&overlay.view, inode, gap, &mut below)?;
        }
        let (pin, generation) = (overlay.view.pin, overlay.generation);
        let mapped = |logged| {
            let origin = Origin { logged, generation };
            let pin = &pin;
            move |(start, extent)| Mapped { start, extent, pin: pin.clone(), origin }
        };
        let logged = overlay.known.into_iter().map(mapped(true));
        let mut runs: Vec<Mapped> = logged.chain(below.into_iter().map(mapped(false))).collect();
        runs.sort_unstable_by_key(|mapped| mapped.start);
        Ok(runs)
    }
}

/// Appends what a chunk and the tree below it hold. Returns where to go on.
fn merge_chunk(
    chunk: Chunk,
    from: Key,
    limit: usize,
    out: &mut Vec<(Key, Item)>,
) -> Result<Option<Key>, StoreError> {
    let Chunk { mut items, mut end, hidden, view } = chunk;
    let mut below = view.tree.range(&from, &end, limit)?;
    if let Some((last, _)) = below.last().filter(|_| below.len() == limit) {
        let past = match last.kind {
            KeyKind::Extent => Key { offset: u64::MAX, ..*last },
            _ => *last,
        };
        let Some(past) = successor(past) else { return Ok(None) };
        items.truncate(items.partition_point(|(key, _)| *key < past));
        end = past;
    }
    below.retain(|(key, _)| {
        key.kind != KeyKind::Extent && hidden.binary_search(&key.inode).is_err()
    });
    merge(items, below, out);
    Ok(Some(end))
}

/// Merges two ordered lists; where both have a key, `above` wins.
fn merge(above: Vec<(Key, Option<Item>)>, below: Vec<(Key, Item)>, out: &mut Vec<(Key, Item)>) {
    let mut below = below.into_iter().peekable();
    for (key, item) in above {
        while let Some(older) = below.next_if(|(other, _)| *other < key) {
            out.push(older);
        }
        below.next_if(|(other, _)| *other == key);
        out.extend(item.map(|item| (key, item)));
    }
    out.extend(below);
}

/// Adds the extents that the tree has within `gap`, clipped to it.
fn map_tree(
    view: &View,
    inode: InodeNumber,
    gap: Range<u64>,
    runs: &mut Vec<(u64, Extent)>,
) -> Result<(), StoreError> {
    let first = Key::extent(inode, gap.start);
    let mut at = gap.start;
    if let Some((key, Item::Extent(extent))) = view.tree.last_at_or_before(&first)?
        && key.inode == inode
    {
        at = clip_extent(key.offset, &extent, &gap, runs).max(at);
    }
    if at >= gap.end {
        return Ok(());
    }
    let rest =
        view.tree.range(&Key::extent(inode, at), &Key::extent(inode, gap.end), usize::MAX)?;
    for (key, item) in rest {
        if let Item::Extent(extent) = item {
            clip_extent(key.offset, &extent, &gap, runs);
        }
    }
    Ok(())
}

/// Adds the part of an extent that lies within `gap`, if any. Returns where the extent ends.
fn clip_extent(
    start: u64,
    extent: &Extent,
    gap: &Range<u64>,
    runs: &mut Vec<(u64, Extent)>,
) -> u64 {
    let end = start.saturating_add(u64::from(extent.length));
    let from = start.max(gap.start);
    let to = end.min(gap.end);
    if from < to {
        runs.extend(slice(extent, from - start, to - from).map(|extent| (from, extent)));
    }
    end
}
