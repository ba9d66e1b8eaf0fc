//! Keys, items and records in words and as JSON.

use braidfs_format::{Extent, ExtentContent, Item, Key, KeyKind, LogRecord, MapChange, Timestamp};
use serde_json::{Value, json};

use crate::cli::time::utc;

/// A name, which need not be text.
fn name(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// The name of a kind of key.
pub fn kind_name(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Inode => "inode",
        KeyKind::Xattr => "xattr",
        KeyKind::Dirent => "dirent",
        KeyKind::Extent => "extent",
        KeyKind::Orphan => "orphan",
        KeyKind::Shared => "shared",
    }
}

/// A key in words.
pub fn key_text(key: &Key) -> String {
    format!("{} {} {}", key.inode, kind_name(key.kind), key.offset)
}

/// A key as JSON.
pub fn key_json(key: &Key) -> Value {
    json!({ "inode": key.inode, "kind": kind_name(key.kind), "offset": key.offset })
}

/// An item as JSON.
pub fn item_json(item: &Item) -> Value {
    match item {
        Item::Inode(record) => json!({
            "mode": format!("{:o}", record.mode),
            "uid": record.uid,
            "gid": record.gid,
            "links": record.links,
            "generation": record.generation,
            "device": record.device,
            "size": record.size,
            "blocks": record.blocks,
            "parent": record.parent,
            "accessed": time(record.accessed),
            "modified": time(record.modified),
            "changed": time(record.changed),
            "created": time(record.created),
        }),
        Item::Dirent(bucket) => bucket
            .entries
            .iter()
            .map(|entry| {
                json!({
                    "name": name(&entry.name),
                    "inode": entry.inode,
                    "kind": format!("{:?}", entry.kind).to_lowercase(),
                    "slot": entry.slot,
                })
            })
            .collect(),
        Item::Xattr(bucket) => bucket
            .entries
            .iter()
            .map(|entry| json!({ "name": name(&entry.name), "value": name(&entry.value) }))
            .collect(),
        Item::Extent(extent) => extent_json(extent),
        Item::Orphan => Value::Null,
        Item::Shared(range) => json!({
            "length": range.length,
            "extra_references": range.extra_references,
        }),
    }
}

/// An extent as JSON; of inline content the length.
pub fn extent_json(extent: &Extent) -> Value {
    let length = extent.length;
    match &extent.content {
        ExtentContent::Blocks { address, birth, checksums } => json!({
            "type": "blocks",
            "length": length,
            "address": address,
            "birth": birth,
            "checksums": **checksums,
        }),
        ExtentContent::Unwritten { address, birth } => {
            json!({ "type": "unwritten", "length": length, "address": address, "birth": birth })
        }
        ExtentContent::Inline { bytes } => {
            json!({ "type": "inline", "length": length, "bytes": bytes.len() })
        }
    }
}

/// A record of the log as JSON.
pub fn record_json(record: &LogRecord) -> Value {
    match record {
        LogRecord::Put { key, item } => {
            json!({ "put": key_json(key), "item": item_json(item) })
        }
        LogRecord::Delete { key } => json!({ "delete": key_json(key) }),
        LogRecord::RemoveInode { inode } => json!({ "remove_inode": inode }),
        LogRecord::Map { inode, change } => {
            json!({ "map": inode, "change": change_json(change) })
        }
    }
}

/// A change of a map as JSON.
fn change_json(change: &MapChange) -> Value {
    json!({
        "start": change.start,
        "length": change.length,
        "extent": change.extent.as_ref().map(extent_json),
    })
}

/// Numbers in a row that are shown to people; of more, as of checksums, only how many there are.
const NUMBERS_SHOWN: usize = 4;

/// A value in one line for people: JSON without the quotes around names.
pub fn compact(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let parts: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name} {}", compact(value))).collect();
            parts.join(", ")
        }
        Value::Array(values)
            if values.len() > NUMBERS_SHOWN && values.iter().all(Value::is_number) =>
        {
            format!("[{} numbers]", values.len())
        }
        Value::Array(values) => {
            let parts: Vec<String> = values.iter().map(compact).collect();
            format!("[{}]", parts.join("; "))
        }
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn time(time: Timestamp) -> String {
    utc(time.seconds).replace(" UTC", &format!(".{:09} UTC", time.nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_in_words() {
        let key = Key::inode(5);
        assert_eq!(key_text(&key), "5 inode 0");
        let record = LogRecord::Delete { key };
        assert_eq!(compact(&record_json(&record)), "delete inode 5, kind inode, offset 0");
        let extent = Extent {
            length: 2,
            content: ExtentContent::Blocks { address: 9, birth: 3, checksums: [1, 2].into() },
        };
        let change = MapChange { start: 0, length: 2, extent: Some(extent) };
        let text = compact(&record_json(&LogRecord::Map { inode: 7, change }));
        assert!(text.contains("address 9") && text.contains("checksums [1; 2]"), "{text}");
    }

    #[test]
    fn names_need_not_be_text() {
        assert_eq!(name(b"a\xff\n"), "a\\xff\\n");
    }
}
