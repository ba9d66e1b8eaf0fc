//! Random valid values of every type.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use braidfs_format::bitmap::BITMAP_BYTES;
use braidfs_format::geometry::{MAX_FILE_BLOCKS, MAX_VOLUME_BLOCKS, MIN_VOLUME_BLOCKS};
use braidfs_format::item::{
    MAX_ITEM_BYTES, MAX_TREE_INLINE_BYTES, MAX_XATTR_VALUE_BYTES, SharedRange,
};
use braidfs_format::node::MAX_LEVEL;
use braidfs_format::superblock::FORMAT_VERSION;
use braidfs_format::*;
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

pub fn uuid() -> impl Strategy<Value = Uuid> {
    any::<[u8; 16]>().prop_map(Uuid::from_bytes)
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (any::<i64>(), 0..1_000_000_000u32)
        .prop_map(|(seconds, nanoseconds)| Timestamp { seconds, nanoseconds })
}

fn file_kind() -> impl Strategy<Value = FileKind> {
    prop::sample::select(vec![
        FileKind::Fifo,
        FileKind::CharDevice,
        FileKind::Directory,
        FileKind::BlockDevice,
        FileKind::Regular,
        FileKind::Symlink,
        FileKind::Socket,
    ])
}

fn inode_record() -> impl Strategy<Value = InodeRecord> {
    let owner = any::<[u32; 5]>();
    let sizes = any::<[u64; 3]>();
    let times = [timestamp(), timestamp(), timestamp(), timestamp()];
    (file_kind(), 0..0o10000u32, owner, sizes, times).prop_map(
        |(kind, permissions, [uid, gid, links, generation, device], sizes, times)| InodeRecord {
            mode: kind.mode_bits() | permissions,
            uid,
            gid,
            links,
            generation,
            device,
            flags: 0,
            size: sizes[0],
            blocks: sizes[1],
            parent: sizes[2],
            accessed: times[0],
            modified: times[1],
            changed: times[2],
            created: times[3],
        },
    )
}

fn file_name() -> impl Strategy<Value = Box<[u8]>> {
    vec(any::<u8>().prop_filter("no NUL, no slash", |b| !matches!(b, 0 | b'/')), 1..=255)
        .prop_filter("not a dot name", |name| !matches!(name.as_slice(), b"." | b".."))
        .prop_map(Into::into)
}

fn dirent_bucket() -> impl Strategy<Value = DirentBucket> {
    let entry = (0..=127u8, file_kind(), 1..=u64::MAX, file_name());
    vec(entry, 1..6).prop_map(|entries| {
        let mut names = BTreeSet::new();
        let by_slot: BTreeMap<u8, DirentEntry> = entries
            .into_iter()
            .filter(|(.., name)| names.insert(name.clone()))
            .map(|(slot, kind, inode, name)| (slot, DirentEntry { slot, kind, inode, name }))
            .collect();
        DirentBucket { entries: by_slot.into_values().collect() }
    })
}

fn xattr_bucket() -> impl Strategy<Value = XattrBucket> {
    let name = vec(1..=255u8, 1..=255);
    let value = prop_oneof![
        8 => vec(any::<u8>(), 0..40),
        1 => vec(any::<u8>(), MAX_XATTR_VALUE_BYTES - 3..=MAX_XATTR_VALUE_BYTES),
    ];
    prop::collection::btree_map(name, value, 1..4)
        .prop_map(|entries| XattrBucket {
            entries: entries
                .into_iter()
                .map(|(name, value)| XattrEntry { name: name.into(), value: value.into() })
                .collect(),
        })
        .prop_filter("fits an item", |bucket| {
            Item::Xattr(bucket.clone()).encoded_bytes() <= MAX_ITEM_BYTES
        })
}

fn address() -> impl Strategy<Value = BlockAddress> {
    1..MAX_VOLUME_BLOCKS - (1 << 32)
}

/// An extent with at most `inline_limit` bytes of inline content.
pub fn extent(inline_limit: usize) -> impl Strategy<Value = Extent> {
    let blocks = (address(), any::<u64>(), vec(any::<u32>(), 1..=256)).prop_map(
        |(address, birth, checksums)| Extent {
            length: checksums.len() as u32,
            content: ExtentContent::Blocks { address, birth, checksums: checksums.into() },
        },
    );
    let unwritten = (address(), any::<u64>(), 1..=u32::MAX).prop_map(|(address, birth, length)| {
        Extent { length, content: ExtentContent::Unwritten { address, birth } }
    });
    let inline = vec(any::<u8>(), 1..=inline_limit).prop_map(|bytes| Extent {
        length: 1,
        content: ExtentContent::Inline { bytes: Arc::from(bytes) },
    });
    prop_oneof![blocks, unwritten, inline]
}

fn name_hash() -> impl Strategy<Value = u64> {
    2..1u64 << NameHasher::BITS
}

/// A key and an item that may stand under it, but no extent.
pub fn plain_entry() -> impl Strategy<Value = (Key, Item)> {
    let inode = || 1..=u64::MAX;
    prop_oneof![
        (inode(), inode_record()).prop_map(|(ino, record)| (Key::inode(ino), Item::Inode(record))),
        (inode(), name_hash(), xattr_bucket())
            .prop_map(|(ino, hash, bucket)| (Key::xattr(ino, hash), Item::Xattr(bucket))),
        (inode(), name_hash(), dirent_bucket())
            .prop_map(|(ino, hash, bucket)| (Key::dirent(ino, hash), Item::Dirent(bucket))),
        inode().prop_map(|ino| (Key::orphan(ino), Item::Orphan)),
    ]
}

/// A key and an item that may stand under it in the tree.
pub fn entry() -> impl Strategy<Value = (Key, Item)> {
    let start = 0..MAX_FILE_BLOCKS - u64::from(u32::MAX);
    let extent = (1..=u64::MAX, start, extent(MAX_TREE_INLINE_BYTES))
        .prop_map(|(ino, start, extent)| (Key::extent(ino, start), Item::Extent(extent)));
    // Far apart, so that no two of them overlap in a node.
    let shared = (1..1u64 << 11, 1..=u32::MAX, 1..=u32::MAX).prop_map(
        |(place, length, extra_references)| {
            (Key::shared(place << 32), Item::Shared(SharedRange { length, extra_references }))
        },
    );
    prop_oneof![4 => plain_entry(), 2 => extent, 1 => shared]
}

pub fn key() -> impl Strategy<Value = Key> {
    let kind = prop::sample::select(vec![
        KeyKind::Inode,
        KeyKind::Xattr,
        KeyKind::Dirent,
        KeyKind::Extent,
        KeyKind::Orphan,
        KeyKind::Shared,
    ]);
    (any::<u64>(), kind, any::<u64>()).prop_map(|(inode, kind, offset)| Key { inode, kind, offset })
}

fn node_address() -> impl Strategy<Value = BlockAddress> {
    (1..MAX_VOLUME_BLOCKS / NODE_BLOCKS).prop_map(|quad| quad * NODE_BLOCKS)
}

/// As many of the entries, in the order of their keys, as fit a node.
fn leaf(entries: Vec<(Key, Item)>) -> NodeEntries {
    let mut room = Node::CAPACITY_BYTES;
    let entries: BTreeMap<Key, Item> = entries
        .into_iter()
        .filter(|(_, item)| match room.checked_sub(Node::leaf_entry_bytes(item)) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        })
        .collect();
    NodeEntries::Leaf(entries.into_iter().collect())
}

fn interior(birth: u64) -> impl Strategy<Value = NodeEntries> {
    let pointer = (node_address(), 0..=birth, any::<u32>())
        .prop_map(|(address, birth, checksum)| NodePointer { address, birth, checksum });
    prop::collection::btree_map(key(), pointer, 1..60)
        .prop_map(|entries| NodeEntries::Interior(entries.into_iter().collect()))
}

pub fn node() -> impl Strategy<Value = Node> {
    let leaves = (Just(0), any::<u64>(), vec(entry(), 0..24).prop_map(leaf));
    let interiors = (1..=MAX_LEVEL, any::<u64>())
        .prop_flat_map(|(level, birth)| (Just(level), Just(birth), interior(birth)));
    (uuid(), node_address(), prop_oneof![leaves, interiors]).prop_map(
        |(volume_id, address, (level, birth, entries))| Node {
            volume_id,
            address,
            birth,
            level,
            entries,
        },
    )
}

pub fn bitmap_block() -> impl Strategy<Value = BitmapBlock> {
    (uuid(), any::<[u64; 3]>(), vec(any::<u8>(), BITMAP_BYTES)).prop_map(
        |(volume_id, [group, address, sequence], bits)| BitmapBlock {
            volume_id,
            group,
            address,
            sequence,
            bits: bits.into_boxed_slice().try_into().unwrap(),
        },
    )
}

pub fn transaction_header() -> impl Strategy<Value = TransactionHeader> {
    let deltas = (1..=u64::MAX).prop_flat_map(|delta| (Just(delta), 0..delta));
    let lengths = any::<u32>().prop_flat_map(|payload_bytes| {
        (Just(payload_bytes), TransactionHeader::blocks_for(payload_bytes)..=u32::MAX)
    });
    (uuid(), deltas, lengths, any::<[u64; 4]>(), any::<[u32; 3]>()).prop_map(
        |(volume_id, (delta, durable_through), (payload_bytes, block_length), longs, words)| {
            TransactionHeader {
                volume_id,
                delta,
                ring_position: longs[0],
                block_length,
                payload_bytes,
                record_count: words[0],
                payload_checksum: words[1],
                previous_checksum: words[2],
                durable_through,
                next_inode: longs[1],
                mount_id: longs[2],
                written_at_ns: longs[3],
            }
        },
    )
}

pub fn log_record() -> impl Strategy<Value = LogRecord> {
    let inode = || 1..=u64::MAX;
    let start = || 0..MAX_FILE_BLOCKS - u64::from(u32::MAX);
    prop_oneof![
        plain_entry().prop_map(|(key, item)| LogRecord::Put { key, item }),
        plain_entry().prop_map(|(key, _)| LogRecord::Delete { key }),
        inode().prop_map(|inode| LogRecord::RemoveInode { inode }),
        (inode(), start(), extent(BLOCK_SIZE)).prop_map(|(inode, start, extent)| {
            let length = u64::from(extent.length);
            let change = MapChange { start, length, extent: Some(extent) };
            LogRecord::Map { inode, change }
        }),
        (inode(), start(), 1..=u64::from(u32::MAX)).prop_map(|(inode, start, length)| {
            LogRecord::Map { inode, change: MapChange { start, length, extent: None } }
        }),
    ]
}

fn geometry() -> impl Strategy<Value = Geometry> {
    (MIN_VOLUME_BLOCKS..=MAX_VOLUME_BLOCKS)
        .prop_flat_map(|blocks| (Just(blocks), 64..=blocks / 4))
        .prop_map(|(blocks, log_blocks)| Geometry::with_log(blocks, log_blocks).unwrap())
}

fn label() -> impl Strategy<Value = String> {
    vec(any::<char>().prop_filter("no NUL", |c| *c != '\0'), 0..=16)
        .prop_map(|label| label.into_iter().collect())
}

pub fn superblock() -> impl Strategy<Value = Superblock> {
    let bits = (any::<u64>(), any::<u64>(), any::<bool>());
    let root = (any::<u64>(), any::<u64>(), any::<u32>(), 0..=MAX_LEVEL);
    let names = (uuid(), label(), any::<[u8; 16]>());
    let numbers = (any::<[u64; 5]>(), 2..=u64::MAX, any::<u64>(), any::<u32>(), any::<bool>());
    (geometry(), bits, root, names, numbers).prop_map(|(geometry, bits, root, names, numbers)| {
        let quads = (geometry.data_end() - geometry.data_start) / NODE_BLOCKS;
        let (longs, next_inode, tail, log_previous_checksum, clean) = numbers;
        Superblock {
            format_version: FORMAT_VERSION,
            compat: CompatFeatures::from_bits_retain(bits.0),
            read_only_compat: ReadOnlyCompatFeatures::from_bits_retain(bits.1),
            incompat: if bits.2 { IncompatFeatures::all() } else { IncompatFeatures::empty() },
            volume_id: names.0,
            label: names.1,
            sequence: longs[0],
            own_address: geometry.superblock_addresses(longs[0])[usize::from(clean)],
            geometry,
            hash_key: names.2,
            created_at_ns: longs[1],
            root: NodePointer {
                address: geometry.data_start + root.0 % quads * NODE_BLOCKS,
                birth: root.1 / 2,
                checksum: root.2,
            },
            root_level: root.3,
            node_count: longs[2],
            inode_count: longs[3],
            used_blocks: longs[4],
            unified_through: root.1,
            log_tail: tail % geometry.log_blocks,
            log_previous_checksum,
            next_inode,
            clean,
        }
    })
}
