//! One fixed value of every type, for tests that change it or pin its bytes.

use braidfs_format::item::SharedRange;
use braidfs_format::superblock::FORMAT_VERSION;
use braidfs_format::*;
use uuid::Uuid;

pub const VOLUME_ID: Uuid = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);

pub fn superblock() -> Superblock {
    let geometry = Geometry::for_volume(4096).unwrap();
    Superblock {
        format_version: FORMAT_VERSION,
        compat: CompatFeatures::empty(),
        read_only_compat: ReadOnlyCompatFeatures::empty(),
        incompat: IncompatFeatures::INLINE_EXTENTS,
        volume_id: VOLUME_ID,
        label: "braid".into(),
        sequence: 0x11,
        own_address: 1,
        geometry,
        hash_key: *b"0123456789abcdef",
        created_at_ns: 0x1234_5678_9abc_def0,
        root: NodePointer { address: 0x200, birth: 0x21, checksum: 0xa1b2_c3d4 },
        root_level: 1,
        node_count: 3,
        inode_count: 5,
        used_blocks: 0x120,
        unified_through: 0x22,
        log_tail: 0x33,
        log_previous_checksum: 0x5566_7788,
        next_inode: 0x44,
        clean: true,
    }
}

pub fn inode_record() -> InodeRecord {
    let time = |seconds, nanoseconds| Timestamp { seconds, nanoseconds };
    InodeRecord {
        mode: FileKind::Regular.mode_bits() | 0o644,
        uid: 1000,
        gid: 1001,
        links: 2,
        generation: 1,
        device: 0,
        flags: 0,
        size: 0x1234,
        blocks: 2,
        parent: 0,
        accessed: time(-1, 999_999_999),
        modified: time(0x0001_0000_0000, 1),
        changed: time(2, 3),
        created: time(4, 5),
    }
}

pub fn dirent_bucket() -> DirentBucket {
    let entry =
        |slot, kind, inode, name: &[u8]| DirentEntry { slot, kind, inode, name: name.into() };
    DirentBucket {
        entries: vec![
            entry(0, FileKind::Regular, 0x42, b"delta"),
            entry(3, FileKind::Directory, 0x43, b"fork"),
        ],
    }
}

pub fn xattr_bucket() -> XattrBucket {
    let entry = XattrEntry { name: (*b"user.a").into(), value: (*b"value").into() };
    XattrBucket { entries: vec![entry] }
}

pub fn data_extent() -> Extent {
    Extent {
        length: 2,
        content: ExtentContent::Blocks {
            address: 0x321,
            birth: 7,
            checksums: [0x1111_2222, 0x3333_4444].into(),
        },
    }
}

pub fn unwritten_extent() -> Extent {
    Extent { length: 1000, content: ExtentContent::Unwritten { address: 0x400, birth: 8 } }
}

pub fn inline_extent() -> Extent {
    Extent { length: 1, content: ExtentContent::Inline { bytes: (*b"small").into() } }
}

pub fn shared_range() -> SharedRange {
    SharedRange { length: 0x400, extra_references: 2 }
}

pub fn leaf() -> Node {
    let entries = vec![
        (Key::orphan(9), Item::Orphan),
        (Key::inode(1), Item::Inode(inode_record())),
        (Key::dirent(1, 0x00ab_cdef), Item::Dirent(dirent_bucket())),
        (Key::extent(1, 0), Item::Extent(data_extent())),
        (Key::extent(1, 2), Item::Extent(inline_extent())),
        (Key::xattr(2, 0x77), Item::Xattr(xattr_bucket())),
    ];
    Node {
        volume_id: VOLUME_ID,
        address: 0x204,
        birth: 0x21,
        level: 0,
        entries: NodeEntries::Leaf(entries),
    }
}

pub fn interior() -> Node {
    let child = |address, checksum| NodePointer { address, birth: 0x20, checksum };
    Node {
        volume_id: VOLUME_ID,
        address: 0x200,
        birth: 0x21,
        level: 1,
        entries: NodeEntries::Interior(vec![
            (Key::MIN, child(0x204, 0xaaaa_bbbb)),
            (Key::inode(9), child(0x208, 0xcccc_dddd)),
        ]),
    }
}

pub fn bitmap_block() -> BitmapBlock {
    let mut bits = Box::new([0; bitmap::BITMAP_BYTES]);
    bits[0] = 0b1000_0001;
    bits[bitmap::BITMAP_BYTES - 1] = 0xff;
    BitmapBlock { volume_id: VOLUME_ID, group: 5, address: 0x0d, sequence: 0x11, bits }
}

pub fn transaction_header() -> TransactionHeader {
    TransactionHeader {
        volume_id: VOLUME_ID,
        delta: 0x22,
        ring_position: 0x33,
        block_length: 2,
        payload_bytes: 0x1000,
        record_count: 4,
        payload_checksum: 0x0102_0304,
        previous_checksum: 0x0506_0708,
        durable_through: 0x20,
        next_inode: 0x44,
        mount_id: 0x99aa_bbcc_ddee_ff00,
        written_at_ns: 0x1234_5678_9abc_def0,
    }
}

/// The bytes of `item`.
pub fn item_bytes(item: &Item) -> Vec<u8> {
    let mut bytes = Vec::new();
    item.encode_into(&mut bytes).unwrap();
    bytes
}

/// Bytes as hex, the form the golden tests compare.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One record of each type.
pub fn log_records() -> Vec<LogRecord> {
    let map = |start, length, extent| LogRecord::Map {
        inode: 8,
        change: MapChange { start, length, extent },
    };
    vec![
        LogRecord::Put { key: Key::inode(1), item: Item::Inode(inode_record()) },
        LogRecord::Delete { key: Key::dirent(1, 5) },
        LogRecord::RemoveInode { inode: 7 },
        map(9, 2, Some(data_extent())),
        map(11, 3, None),
    ]
}

/// The bytes of [`log_records`].
pub fn log_payload() -> Vec<u8> {
    let mut payload = Vec::new();
    log_records().iter().for_each(|record| record.encode_into(&mut payload).unwrap());
    payload
}
