//! `docs/FORMAT.md` against the bytes that the code writes.
//!
//! A table below a `<!-- table: name -->` comment lists fields: they must follow one another without
//! a gap, and each must hold, in a sample of the structure, exactly the bytes of the value it names.
//! The table of constants and those below `<!-- numbers: name -->` are compared with the code.

use std::collections::BTreeMap;
use std::path::Path;

use braidfs_format::bitmap::{BITMAP_BYTES, BITMAP_HEADER_BYTES};
use braidfs_format::geometry::*;
use braidfs_format::item::*;
use braidfs_format::log::TRANSACTION_HEADER_BYTES;
use braidfs_format::node::{MAX_LEVEL, NODE_HEADER_BYTES};
use braidfs_format::superblock::{FORMAT_VERSION, LABEL_BYTES};
use braidfs_format::*;

use crate::samples::{self, item_bytes};

/// The cells of each row of the table that follows `marker`, without its two lines of heading.
fn table(marker: &str) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/FORMAT.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<_> = text
        .lines()
        .skip_while(|line| *line != marker)
        .skip(1)
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    assert!(!rows.is_empty(), "there is no table behind {marker:?}");
    rows
}

/// The first column, as numbers, of the table `name`.
fn numbers(name: &str) -> Vec<u8> {
    table(&format!("<!-- numbers: {name} -->")).iter().map(|row| row[0].parse().unwrap()).collect()
}

/// Checks the table `name` against `bytes`, in which each field has the bytes that `fields` says.
fn check(name: &str, bytes: &[u8], fields: &[(&str, &[u8])]) {
    let mut fields: BTreeMap<&str, &[u8]> = fields.iter().copied().collect();
    let mut end = 0;
    for row in table(&format!("<!-- table: {name} -->")) {
        let (offset, size): (usize, usize) = (row[0].parse().unwrap(), row[1].parse().unwrap());
        let field = row[2].as_str();
        assert_eq!(offset, end, "{name}: a gap or an overlap before {field}");
        end = offset + size;
        let found = &bytes[offset..end];
        if field == "reserved" {
            assert!(found.iter().all(|byte| *byte == 0), "{name}: {field} at {offset}");
        } else {
            let due = fields.remove(field).unwrap_or_else(|| panic!("{name}: {field} is unknown"));
            assert_eq!(found, due, "{name}: {field}");
        }
    }
    assert_eq!(end, bytes.len(), "{name}: the table ends elsewhere than the structure");
    assert!(fields.is_empty(), "{name}: the table lacks {:?}", fields.keys());
}

#[test]
fn constants() {
    let code = BTreeMap::from([
        ("BLOCK_SIZE", BLOCK_SIZE as u64),
        ("NODE_BLOCKS", NODE_BLOCKS),
        ("NODE_SIZE", NODE_SIZE as u64),
        ("GROUP_BLOCKS", GROUP_BLOCKS),
        ("MIN_VOLUME_BLOCKS", MIN_VOLUME_BLOCKS),
        ("MAX_VOLUME_BLOCKS", MAX_VOLUME_BLOCKS),
        ("MAX_FILE_BLOCKS", MAX_FILE_BLOCKS),
        ("NODE_HEADER_BYTES", NODE_HEADER_BYTES as u64),
        ("BITMAP_HEADER_BYTES", BITMAP_HEADER_BYTES as u64),
        ("TRANSACTION_HEADER_BYTES", TRANSACTION_HEADER_BYTES as u64),
        ("KEY_BYTES", Key::BYTES as u64),
        ("POINTER_BYTES", NodePointer::BYTES as u64),
        ("LEAF_ENTRY_HEADER_BYTES", Node::LEAF_ENTRY_HEADER_BYTES as u64),
        ("INTERIOR_ENTRY_BYTES", Node::INTERIOR_ENTRY_BYTES as u64),
        ("MAX_LEVEL", u64::from(MAX_LEVEL)),
        ("INODE_RECORD_BYTES", INODE_RECORD_BYTES as u64),
        ("DIRENT_HEADER_BYTES", DIRENT_HEADER_BYTES as u64),
        ("XATTR_HEADER_BYTES", XATTR_HEADER_BYTES as u64),
        ("EXTENT_HEADER_BYTES", EXTENT_HEADER_BYTES as u64),
        ("SHARED_RANGE_BYTES", SHARED_RANGE_BYTES as u64),
        ("MAX_ITEM_BYTES", MAX_ITEM_BYTES as u64),
        ("MAX_NAME_BYTES", MAX_NAME_BYTES as u64),
        ("MAX_XATTR_VALUE_BYTES", MAX_XATTR_VALUE_BYTES as u64),
        ("MAX_DIRENT_SLOT", u64::from(MAX_DIRENT_SLOT)),
        ("MAX_EXTENT_BLOCKS", u64::from(MAX_EXTENT_BLOCKS)),
        ("MAX_TREE_INLINE_BYTES", MAX_TREE_INLINE_BYTES as u64),
        ("MAX_LINKS", u64::from(MAX_LINKS)),
        ("LABEL_BYTES", LABEL_BYTES as u64),
        ("FORMAT_VERSION", u64::from(FORMAT_VERSION)),
    ]);
    let rows = table("## Constants");
    let document: BTreeMap<&str, u64> =
        rows.iter().map(|row| (row[0].as_str(), row[1].parse().unwrap())).collect();
    assert_eq!(document, code);
}

#[test]
fn three_of_the_longest_items_fit_a_node() {
    let entry = Node::LEAF_ENTRY_HEADER_BYTES + MAX_ITEM_BYTES;
    assert!(3 * entry <= Node::CAPACITY_BYTES);
}

#[test]
fn superblock() {
    let it = samples::superblock();
    let bytes = it.encode().unwrap();
    let mut label = it.label.clone().into_bytes();
    label.resize(LABEL_BYTES, 0);
    let long = u64::to_le_bytes;
    let word = u32::to_le_bytes;
    check(
        "superblock",
        &bytes,
        &[
            ("magic", b"BRAIDFS\0"),
            ("checksum", &bytes[8..12]),
            ("format_version", &word(1)),
            ("volume_id", it.volume_id.as_bytes()),
            ("own_address", &long(it.own_address)),
            ("sequence", &long(it.sequence)),
            ("compat", &long(it.compat.bits())),
            ("read_only_compat", &long(it.read_only_compat.bits())),
            ("incompat", &long(it.incompat.bits())),
            ("block_count", &long(it.geometry.block_count)),
            ("group_count", &long(it.geometry.group_count)),
            ("bitmap_start", &long(it.geometry.bitmap_start)),
            ("log_start", &long(it.geometry.log_start)),
            ("log_blocks", &long(it.geometry.log_blocks)),
            ("data_start", &long(it.geometry.data_start)),
            ("block_bytes", &word(4096)),
            ("node_bytes", &word(16384)),
            ("root_address", &long(it.root.address)),
            ("root_birth", &long(it.root.birth)),
            ("root_checksum", &word(it.root.checksum)),
            ("log_previous_checksum", &word(it.log_previous_checksum)),
            ("node_count", &long(it.node_count)),
            ("inode_count", &long(it.inode_count)),
            ("used_blocks", &long(it.used_blocks)),
            ("unified_through", &long(it.unified_through)),
            ("log_tail", &long(it.log_tail)),
            ("next_inode", &long(it.next_inode)),
            ("created_at_ns", &long(it.created_at_ns)),
            ("root_level", &[it.root_level]),
            ("state", &[1]),
            ("hash_key", &it.hash_key),
            ("label", &label),
        ],
    );
}

#[test]
fn key_and_pointer() {
    let mut key = Vec::new();
    Key::dirent(0x0102, 0x0304).encode_into(&mut key);
    check(
        "key",
        &key,
        &[
            ("inode", &0x0102u64.to_le_bytes()),
            ("kind", &[3]),
            ("offset", &0x0304u64.to_le_bytes()),
        ],
    );
    let (node, _) = samples::interior().encode().unwrap();
    let entry = &node[NODE_HEADER_BYTES..][..Node::INTERIOR_ENTRY_BYTES];
    check(
        "interior entry",
        entry,
        &[("key", &entry[..Key::BYTES]), ("pointer", &entry[Key::BYTES..])],
    );
    check(
        "pointer",
        &entry[Key::BYTES..],
        &[
            ("address", &0x204u64.to_le_bytes()),
            ("birth", &0x20u64.to_le_bytes()),
            ("checksum", &0xaaaa_bbbbu32.to_le_bytes()),
        ],
    );
}

#[test]
fn node() {
    let it = samples::leaf();
    let (bytes, checksum) = it.encode().unwrap();
    let NodeEntries::Leaf(entries) = &it.entries else { panic!("the sample is a leaf") };
    let entry_bytes: usize = entries.iter().map(|(_, item)| Node::leaf_entry_bytes(item)).sum();
    check(
        "node",
        &bytes[..NODE_HEADER_BYTES],
        &[
            ("magic", b"BRAIDNOD"),
            ("checksum", &checksum.to_le_bytes()),
            ("level", &[0]),
            ("entry_count", &(entries.len() as u16).to_le_bytes()),
            ("volume_id", it.volume_id.as_bytes()),
            ("own_address", &it.address.to_le_bytes()),
            ("birth", &it.birth.to_le_bytes()),
            ("entry_bytes", &(entry_bytes as u32).to_le_bytes()),
        ],
    );
    // The first entry is an orphan, whose item is empty; the second an inode.
    let second = &bytes[NODE_HEADER_BYTES + Node::LEAF_ENTRY_HEADER_BYTES..];
    check(
        "leaf entry",
        &second[..Node::LEAF_ENTRY_HEADER_BYTES],
        &[
            ("key", &[1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
            ("item_bytes", &100u16.to_le_bytes()),
        ],
    );
}

#[test]
fn inode_record() {
    let it = samples::inode_record();
    let bytes = item_bytes(&Item::Inode(it.clone()));
    let time = |time: Timestamp| {
        [time.seconds.to_le_bytes().as_slice(), &time.nanoseconds.to_le_bytes()].concat()
    };
    let word = u32::to_le_bytes;
    let long = u64::to_le_bytes;
    check(
        "inode record",
        &bytes,
        &[
            ("mode", &word(it.mode)),
            ("uid", &word(it.uid)),
            ("gid", &word(it.gid)),
            ("links", &word(it.links)),
            ("generation", &word(it.generation)),
            ("device", &word(it.device)),
            ("flags", &word(it.flags)),
            ("size", &long(it.size)),
            ("blocks", &long(it.blocks)),
            ("parent", &long(it.parent)),
            ("accessed", &time(it.accessed)),
            ("modified", &time(it.modified)),
            ("changed", &time(it.changed)),
            ("created", &time(it.created)),
        ],
    );
    check(
        "time",
        &time(it.accessed),
        &[
            ("seconds", &it.accessed.seconds.to_le_bytes()),
            ("nanoseconds", &word(it.accessed.nanoseconds)),
        ],
    );
}

/// The rows of a table with sizes of letters, where letters stand for `lengths`.
fn check_with_lengths(name: &str, due: &[(&str, &str, &str)]) {
    let rows = table(&format!("<!-- table: {name} -->"));
    let found: Vec<_> =
        rows.iter().map(|row| (row[0].as_str(), row[1].as_str(), row[2].as_str())).collect();
    assert_eq!(found, due, "{name}");
}

#[test]
fn buckets() {
    check_with_lengths(
        "directory entry",
        &[
            ("0", "8", "inode"),
            ("8", "1", "slot"),
            ("9", "1", "type"),
            ("10", "1", "name_bytes"),
            ("11", "n", "name"),
        ],
    );
    let entries = item_bytes(&Item::Dirent(samples::dirent_bucket()));
    let second = &entries[DIRENT_HEADER_BYTES + 5..];
    assert_eq!(second[..8], 0x43u64.to_le_bytes());
    assert_eq!((second[8], second[9], second[10], &second[11..]), (3, 4, 4, b"fork".as_slice()));
    check_with_lengths(
        "extended attribute",
        &[
            ("0", "1", "name_bytes"),
            ("1", "2", "value_bytes"),
            ("3", "n", "name"),
            ("3+n", "m", "value"),
        ],
    );
    let entry = item_bytes(&Item::Xattr(samples::xattr_bucket()));
    assert_eq!(entry, b"\x06\x05\x00user.avalue");
}

#[test]
fn extent() {
    let sample = samples::unwritten_extent();
    let bytes = item_bytes(&Item::Extent(sample.clone()));
    check(
        "extent",
        &bytes[..EXTENT_HEADER_BYTES],
        &[("type", &[2]), ("length", &sample.length.to_le_bytes())],
    );
    let types = [samples::data_extent(), samples::unwritten_extent(), samples::inline_extent()]
        .map(|extent| item_bytes(&Item::Extent(extent))[0]);
    assert_eq!(numbers("extents"), types);
}

#[test]
fn shared_range() {
    let sample = samples::shared_range();
    check(
        "shared range",
        &item_bytes(&Item::Shared(sample)),
        &[
            ("length", &sample.length.to_le_bytes()),
            ("extra_references", &sample.extra_references.to_le_bytes()),
        ],
    );
}

#[test]
fn bitmap_block() {
    let it = samples::bitmap_block();
    let bytes = it.encode();
    check(
        "bitmap block",
        &bytes,
        &[
            ("magic", b"BRAIDMAP"),
            ("checksum", &bytes[8..12]),
            ("volume_id", it.volume_id.as_bytes()),
            ("own_address", &it.address.to_le_bytes()),
            ("sequence", &it.sequence.to_le_bytes()),
            ("group", &it.group.to_le_bytes()),
            ("bits", it.bits.as_slice()),
        ],
    );
    assert_eq!(BITMAP_BYTES as u64 * 8, GROUP_BLOCKS);
}

#[test]
fn transaction_header() {
    let it = samples::transaction_header();
    let bytes = it.encode();
    let word = u32::to_le_bytes;
    let long = u64::to_le_bytes;
    check(
        "transaction header",
        &bytes,
        &[
            ("magic", b"BRAIDLOG"),
            ("checksum", &bytes[8..12]),
            ("payload_checksum", &word(it.payload_checksum)),
            ("volume_id", it.volume_id.as_bytes()),
            ("ring_position", &long(it.ring_position)),
            ("delta", &long(it.delta)),
            ("durable_through", &long(it.durable_through)),
            ("next_inode", &long(it.next_inode)),
            ("mount_id", &long(it.mount_id)),
            ("written_at_ns", &long(it.written_at_ns)),
            ("block_length", &word(it.block_length)),
            ("payload_bytes", &word(it.payload_bytes)),
            ("record_count", &word(it.record_count)),
            ("previous_checksum", &word(it.previous_checksum)),
        ],
    );
}

#[test]
fn numbers_of_kinds_types_and_records() {
    let kinds: Vec<u8> = (0..=u8::MAX).filter(|n| KeyKind::from_u8(*n).is_some()).collect();
    assert_eq!(numbers("kinds"), kinds);
    let types: Vec<u8> = (0..=u8::MAX).filter(|n| FileKind::from_u8(*n).is_some()).collect();
    assert_eq!(numbers("types"), types);
    for row in table("<!-- numbers: types -->") {
        let mode = u32::from_str_radix(&row[2], 8).unwrap();
        assert_eq!(FileKind::from_mode(mode).map(|kind| kind as u8), row[0].parse().ok());
    }
    let mut records: Vec<u8> = samples::log_records()
        .iter()
        .map(|record| {
            let mut bytes = Vec::new();
            record.encode_into(&mut bytes).unwrap();
            bytes[0]
        })
        .collect();
    records.dedup();
    assert_eq!(numbers("records"), records);
}

#[test]
fn feature_flags() {
    let compat = CompatFeatures::all().iter_names().map(|(name, it)| ("compat", name, it.bits()));
    let read_only = ReadOnlyCompatFeatures::all()
        .iter_names()
        .map(|(name, it)| ("read_only_compat", name, it.bits()));
    let incompat =
        IncompatFeatures::all().iter_names().map(|(name, it)| ("incompat", name, it.bits()));
    let code: Vec<_> = compat.chain(read_only).chain(incompat).collect();
    let rows = table("<!-- flags -->");
    let document: Vec<_> = rows
        .iter()
        .map(|row| (row[0].as_str(), row[2].as_str(), 1 << row[1].parse::<u32>().unwrap()))
        .collect();
    assert_eq!(document, code);
}
