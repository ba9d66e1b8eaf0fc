//! All that the tree and the log have about one inode.

use std::io::{self, Write};

use braidfs_format::{
    InodeNumber, Item, Key, KeyKind, LogRecord, NodeEntries, NodePointer, Superblock,
};
use serde_json::{Value, json};

use super::item::{compact, item_json, key_json, key_text, record_json};
use super::log::LogWalk;
use super::tree::read_node;
use crate::cli::error::{CliError, CliResult};
use crate::cli::output::{done, json as print_json};
use crate::cli::raw::RawImage;

/// Dumps the items of inode `number`: those in the tree, then what the log changes about them.
pub fn dump(image: &RawImage, number: InodeNumber, json: bool) -> CliResult {
    let superblock = image.superblock()?;
    let items = items_of(image, &superblock, number)?;
    let records = records_of(image, &superblock, number)?;
    if items.is_empty() && records.is_empty() {
        return Err(CliError::new(format!(
            "there is no inode {number}; the root directory is 1, and `ls -i` shows the others"
        )));
    }
    if json {
        return print_json(&to_json(&items, &records));
    }
    let mut out = io::stdout().lock();
    done(write(&mut out, &items, &records))
}

/// The items in the tree. The nodes that may have any form a range on each level.
fn items_of(
    image: &RawImage,
    superblock: &Superblock,
    number: InodeNumber,
) -> CliResult<Vec<(Key, Item)>> {
    let mut pointers = vec![superblock.root];
    for level in (1..=superblock.root_level).rev() {
        let mut below = Vec::new();
        for pointer in &pointers {
            let node = read_node(image, superblock, pointer, level)?;
            if let NodeEntries::Interior(children) = node.entries {
                below.extend(children_with(&children, number));
            }
        }
        pointers = below;
    }
    let mut items = Vec::new();
    for pointer in &pointers {
        let node = read_node(image, superblock, pointer, 0)?;
        if let NodeEntries::Leaf(entries) = node.entries {
            items.extend(entries.into_iter().filter(|(key, _)| is_about(key, number)));
        }
    }
    Ok(items)
}

/// The children that may hold keys about inode `number`: its own, and its orphan record, which
/// stands under inode 0.
fn children_with(children: &[(Key, NodePointer)], number: InodeNumber) -> Vec<NodePointer> {
    let own = [(number, KeyKind::Inode, 0), (number, KeyKind::Shared, u64::MAX)];
    let orphan = [(0, KeyKind::Orphan, number), (0, KeyKind::Orphan, number)];
    let place = |key: &Key| (key.inode, key.kind, key.offset);
    let overlaps = |index: usize, [first, last]: [(u64, KeyKind, u64); 2]| {
        let starts_in_time = children.get(index).is_some_and(|(key, _)| place(key) <= last);
        let ends_before = children.get(index + 1).is_some_and(|(key, _)| place(key) <= first);
        starts_in_time && !ends_before
    };
    children
        .iter()
        .enumerate()
        .filter(|(index, _)| overlaps(*index, own) || overlaps(*index, orphan))
        .map(|(_, (_, pointer))| *pointer)
        .collect()
}

fn is_about(key: &Key, number: InodeNumber) -> bool {
    key.inode == number || (key.kind == KeyKind::Orphan && key.offset == number)
}

/// The records in the log, each with its delta.
fn records_of(
    image: &RawImage,
    superblock: &Superblock,
    number: InodeNumber,
) -> CliResult<Vec<(u64, LogRecord)>> {
    let mut walk = LogWalk::new(image, superblock);
    let mut found = Vec::new();
    while let Some(transaction) = walk.step()? {
        let delta = transaction.header.delta;
        let about = transaction.records.into_iter().filter(|record| match record {
            LogRecord::Put { key, .. } | LogRecord::Delete { key } => is_about(key, number),
            LogRecord::RemoveInode { inode } | LogRecord::Map { inode, .. } => *inode == number,
        });
        found.extend(about.map(|record| (delta, record)));
    }
    Ok(found)
}

fn to_json(items: &[(Key, Item)], records: &[(u64, LogRecord)]) -> Value {
    let tree: Vec<Value> = items
        .iter()
        .map(|(key, item)| json!({ "key": key_json(key), "item": item_json(item) }))
        .collect();
    let log: Vec<Value> = records
        .iter()
        .map(|(delta, record)| json!({ "delta": delta, "record": record_json(record) }))
        .collect();
    json!({ "tree": tree, "log": log })
}

fn write(
    out: &mut impl Write,
    items: &[(Key, Item)],
    records: &[(u64, LogRecord)],
) -> io::Result<()> {
    for (key, item) in items {
        writeln!(out, "{}: {}", key_text(key), compact(&item_json(item)))?;
    }
    for (delta, record) in records {
        writeln!(out, "delta {delta}: {}", compact(&record_json(record)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_found_by_the_keys_between_them() {
        let child = |key: Key, address: u64| (key, NodePointer { address, birth: 1, checksum: 0 });
        let children = [
            child(Key::MIN, 0),
            child(Key::orphan(50), 4),
            child(Key::inode(10), 8),
            child(Key::extent(20, 100), 12),
            child(Key::extent(20, 900), 16),
            child(Key::inode(21), 20),
        ];
        let found = |number| {
            let pointers = children_with(&children, number);
            pointers.iter().map(|pointer| pointer.address).collect::<Vec<_>>()
        };
        assert_eq!(found(20), [0, 8, 12, 16]);
        assert_eq!(found(21), [0, 20]);
        assert_eq!(found(60), [4, 20]);
    }
}
