//! The rules of superblocks, nodes, bitmap blocks and transaction headers are kept on both sides, and
//! an intact one that is not the one asked for is told from a damaged one.

use braidfs_format::FormatErrorKind::*;
use braidfs_format::checksum::seal;
use braidfs_format::geometry::{MAX_FILE_BLOCKS, MAX_VOLUME_BLOCKS};
use braidfs_format::item::{MAX_TREE_INLINE_BYTES, SharedRange};
use braidfs_format::node::MAX_LEVEL;
use braidfs_format::*;

use crate::samples;

#[test]
fn transaction_headers_that_contradict_themselves() {
    let refused = |change: fn(&mut TransactionHeader)| {
        let mut header = samples::transaction_header();
        change(&mut header);
        assert_eq!(TransactionHeader::decode(&header.encode()).unwrap_err().kind, BadField);
    };
    refused(|header| header.durable_through = header.delta);
    refused(|header| header.delta = 0);
    refused(|header| header.block_length = 0);
    refused(|header| header.block_length = 1);
    let mut bytes = samples::transaction_header().encode();
    bytes[127] = 1;
    seal(&mut bytes);
    assert_eq!(TransactionHeader::decode(&bytes).unwrap_err().offset, 127);
}

#[test]
fn nodes() {
    let refused = |sample: fn() -> Node, kind, change: fn(&mut Node)| {
        let mut node = sample();
        change(&mut node);
        assert_eq!(node.encode().unwrap_err().kind, kind);
    };
    let leaf = |entries: Vec<(Key, Item)>| NodeEntries::Leaf(entries);
    refused(samples::leaf, BadField, |node| node.level = 1);
    refused(samples::interior, BadField, |node| node.level = 0);
    refused(samples::interior, BadField, |node| node.level = MAX_LEVEL + 1);
    refused(samples::interior, BadField, |node| node.entries = NodeEntries::Interior(vec![]));
    refused(samples::interior, BadField, |node| node.birth = 0x1f);
    for address in [0, 2, MAX_VOLUME_BLOCKS, u64::MAX - 3] {
        let node = Node { address, ..samples::leaf() };
        assert_eq!(node.encode().unwrap_err().kind, BadField, "{address}");
    }
    let extent = |start, extent| (Key::extent(1, start), Item::Extent(extent));
    let shared = |address, extra_references| {
        let range = SharedRange { extra_references, ..samples::shared_range() };
        (Key::shared(address), Item::Shared(range))
    };
    let unwritten = samples::unwritten_extent;
    let long_inline = ExtentContent::Inline { bytes: vec![1; MAX_TREE_INLINE_BYTES + 1].into() };
    let cases = [
        (BadField, vec![(Key::inode(1), Item::Orphan)]),
        (BadField, vec![(Key::orphan(2), Item::Orphan), (Key::orphan(2), Item::Orphan)]),
        (BadField, vec![(Key::orphan(3), Item::Orphan), (Key::orphan(2), Item::Orphan)]),
        (BadField, vec![extent(0, samples::data_extent()), extent(1, unwritten())]),
        (BadField, vec![extent(MAX_FILE_BLOCKS - 1, unwritten())]),
        (BadField, vec![shared(0x1000, 1), shared(0x1000 + 0x3ff, 1)]),
        (BadField, vec![shared(MAX_VOLUME_BLOCKS - 1, 1)]),
        (BadField, vec![shared(0x1000, 0)]),
        (TooLarge, vec![extent(0, Extent { length: 1, content: long_inline })]),
        (TooLarge, (2..1000).map(|inode| (Key::orphan(inode), Item::Orphan)).collect()),
    ];
    for (kind, entries) in cases {
        let node = Node { entries: leaf(entries), ..samples::leaf() };
        assert_eq!(node.encode().unwrap_err().kind, kind, "{node:?}");
    }
}

#[test]
fn a_node_may_be_full_to_the_last_entry() {
    let most = Node::CAPACITY_BYTES / Node::leaf_entry_bytes(&Item::Orphan);
    let full = |count| {
        let entries = (1..=count as u64).map(|inode| (Key::orphan(inode), Item::Orphan)).collect();
        Node { entries: NodeEntries::Leaf(entries), ..samples::leaf() }
    };
    assert!(full(most).encode().is_ok());
    assert_eq!(full(most + 1).encode().unwrap_err().kind, TooLarge);
    assert!(full(0).encode().is_ok(), "the root of an empty tree");
}

#[test]
fn a_node_that_is_another_one() {
    let node = samples::leaf();
    let (bytes, checksum) = node.encode().unwrap();
    let pointer = NodePointer { address: node.address, birth: node.birth, checksum };
    let decode = |id, pointer: NodePointer, level| Node::decode(&bytes, id, &pointer, level);
    let id = samples::VOLUME_ID;
    assert_eq!(decode(id, pointer, 0), Ok(node));
    let kind = |result: Result<Node, FormatError>| result.unwrap_err().kind;
    assert_eq!(kind(decode(uuid::Uuid::nil(), pointer, 0)), Misplaced);
    assert_eq!(kind(decode(id, NodePointer { address: 0x208, ..pointer }, 0)), Misplaced);
    assert_eq!(kind(decode(id, NodePointer { birth: 0x20, ..pointer }, 0)), Misplaced);
    assert_eq!(kind(decode(id, NodePointer { checksum: !checksum, ..pointer }, 0)), Misplaced);
    assert_eq!(kind(decode(id, pointer, 1)), Misplaced);
}

#[test]
fn a_bitmap_block_that_is_another_one() {
    let block = samples::bitmap_block();
    let bytes = block.encode();
    let decode = |id, group, address| BitmapBlock::decode(&bytes, id, group, address);
    assert!(decode(samples::VOLUME_ID, 5, 0x0d).is_ok());
    assert_eq!(decode(uuid::Uuid::nil(), 5, 0x0d).unwrap_err().kind, Misplaced);
    assert_eq!(decode(samples::VOLUME_ID, 6, 0x0d).unwrap_err().kind, Misplaced);
    assert_eq!(decode(samples::VOLUME_ID, 5, 0x0c).unwrap_err().kind, Misplaced);
    assert!(block.get(0) && !block.get(1) && block.get(7) && block.get(GROUP_BLOCKS - 1));
    assert!(block.get(GROUP_BLOCKS) && block.get(u64::MAX), "what is not there is not free");
}

/// The error of decoding the sample superblock after `change` and with a fitting checksum.
fn superblock_error(change: impl FnOnce(&mut Vec<u8>)) -> FormatError {
    let mut bytes = samples::superblock().encode().unwrap();
    change(&mut bytes);
    seal(&mut bytes);
    Superblock::decode(&bytes, 1).unwrap_err()
}

#[test]
fn superblocks() {
    let refused = |kind, change: fn(&mut Superblock)| {
        let mut superblock = samples::superblock();
        change(&mut superblock);
        assert_eq!(superblock.encode().unwrap_err().kind, kind);
    };
    refused(BadField, |it| it.format_version = 0);
    refused(Unsupported, |it| it.format_version = 2);
    refused(Unsupported, |it| it.incompat = IncompatFeatures::from_bits_retain(1 << 63));
    refused(BadGeometry, |it| it.geometry.block_count = 4095);
    refused(BadGeometry, |it| it.geometry.block_count = u64::MAX);
    refused(BadGeometry, |it| it.geometry.log_blocks = u64::MAX);
    refused(BadGeometry, |it| it.geometry.data_start += 4);
    refused(Misplaced, |it| it.own_address = 0);
    refused(Misplaced, |it| it.sequence += 1);
    refused(BadField, |it| it.root.address = 0);
    refused(BadField, |it| it.root.address += 1);
    refused(BadField, |it| it.root.address = it.geometry.block_count - 4);
    refused(BadField, |it| it.root.birth = it.unified_through + 1);
    refused(BadField, |it| it.root_level = MAX_LEVEL + 1);
    refused(BadField, |it| it.log_tail = it.geometry.log_blocks);
    refused(BadField, |it| it.next_inode = 1);
    refused(TooLarge, |it| it.label = "x".repeat(65));
    refused(BadField, |it| it.label = "a\0b".into());
}

#[test]
fn superblocks_from_elsewhere() {
    let bytes = samples::superblock().encode().unwrap();
    assert_eq!(Superblock::decode(&bytes, 0).unwrap_err().kind, Misplaced);
    assert_eq!(Superblock::decode(&[0; 4096], 0).unwrap_err().kind, BadMagic);
    assert_eq!(Superblock::decode(&bytes[..4095], 1).unwrap_err().kind, Truncated);
    assert!(!Superblock::sniff(&[0; 4096]) && !Superblock::sniff(b"BRAID"));
}

#[test]
fn superblocks_of_newer_code() {
    let newer = superblock_error(|bytes| bytes[12] = 2);
    assert_eq!((newer.kind, newer.offset), (Unsupported, 12));
    assert!(newer.to_string().contains("use a newer braidfs"), "{newer}");
    let feature = superblock_error(|bytes| bytes[71] = 0x80);
    assert_eq!((feature.kind, feature.offset), (Unsupported, 64));
    assert!(feature.to_string().contains("0x8000000000000000"), "{feature}");
    // A newer version may have moved every field but this one.
    assert_eq!(superblock_error(|bytes| bytes[12..].fill(0xee)).kind, Unsupported);
}

#[test]
fn superblocks_with_bytes_that_are_not_known() {
    assert_eq!(superblock_error(|bytes| bytes[4000] = 1).offset, 4000);
    assert_eq!(superblock_error(|bytes| bytes[209] = 2).offset, 209);
    assert_eq!(superblock_error(|bytes| bytes[215] = 1).offset, 215);
    assert_eq!(superblock_error(|bytes| bytes[120] = 1).kind, BadGeometry);
    assert_eq!(superblock_error(|bytes| bytes[232] = 0xff).offset, 232);
    assert_eq!(superblock_error(|bytes| bytes[234] = 0).kind, BadField);
}

#[test]
fn unknown_compatible_features_are_kept_and_may_use_reserved_bytes() {
    let mut superblock = samples::superblock();
    superblock.compat = CompatFeatures::from_bits_retain(1 << 40);
    let mut bytes = superblock.encode().unwrap();
    bytes[4000] = 1;
    seal(&mut bytes);
    assert_eq!(Superblock::decode(&bytes, 1).as_ref(), Ok(&superblock));
    assert!(!superblock.requires_read_only());
    superblock.read_only_compat = ReadOnlyCompatFeatures::from_bits_retain(1);
    let bytes = superblock.encode().unwrap();
    assert!(Superblock::decode(&bytes, 1).unwrap().requires_read_only());
}
