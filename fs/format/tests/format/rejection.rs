//! The rules of items, keys and records are kept on both sides: what breaks one is neither written
//! nor read.

use std::sync::Arc;

use braidfs_format::FormatErrorKind::*;
use braidfs_format::geometry::{MAX_FILE_BLOCKS, MAX_VOLUME_BLOCKS};
use braidfs_format::item::MAX_XATTR_VALUE_BYTES;
use braidfs_format::*;

use crate::samples;

/// The kind of error that encoding gives.
fn refused(item: Item) -> FormatErrorKind {
    let mut out = vec![1, 2, 3];
    let error = item.encode_into(&mut out).unwrap_err();
    assert_eq!(out, [1, 2, 3], "a failed encoding leaves the buffer alone");
    error.kind
}

/// Changes the sample with `change` and expects that encoding refuses it.
fn bad<T>(sample: fn() -> T, wrap: fn(T) -> Item, change: impl FnOnce(&mut T)) {
    let mut value = sample();
    change(&mut value);
    assert_eq!(refused(wrap(value)), BadField);
}

/// The error of decoding the sample's bytes after `change`.
fn decoding(item: &Item, change: impl FnOnce(&mut Vec<u8>)) -> FormatError {
    let mut bytes = samples::item_bytes(item);
    change(&mut bytes);
    Item::decode(item.kind(), &bytes).unwrap_err()
}

#[test]
fn inode_records() {
    let bad = |change: fn(&mut InodeRecord)| bad(samples::inode_record, Item::Inode, change);
    bad(|record| record.mode = 0o644);
    bad(|record| record.mode |= 1 << 16);
    bad(|record| record.mode = 0xf000);
    bad(|record| record.flags = 1);
    bad(|record| record.accessed.nanoseconds = 1_000_000_000);
    bad(|record| record.created.nanoseconds = u32::MAX);
}

#[test]
fn inode_record_errors_name_record_and_offset() {
    let sample = Item::Inode(samples::inode_record());
    let nanoseconds = decoding(&sample, |bytes| bytes[75] = 0xff);
    assert_eq!(
        (nanoseconds.kind, nanoseconds.record, nanoseconds.offset),
        (BadField, "inode record", 72)
    );
    let truncated = decoding(&sample, |bytes| bytes.truncate(98));
    assert_eq!((truncated.kind, truncated.offset), (Truncated, 96));
    let trailing = decoding(&sample, |bytes| bytes.push(0));
    assert_eq!((trailing.kind, trailing.offset), (BadField, 100));
    assert_eq!(
        decoding(&sample, |bytes| bytes[24] = 4).to_string(),
        "inode record at byte 24: the flags 0x4 are unknown"
    );
}

#[test]
fn directory_entries() {
    let bad = |change: fn(&mut DirentBucket)| bad(samples::dirent_bucket, Item::Dirent, change);
    bad(|bucket| bucket.entries.clear());
    bad(|bucket| bucket.entries[0].inode = 0);
    bad(|bucket| bucket.entries[1].slot = 128);
    bad(|bucket| bucket.entries[1].slot = 0);
    bad(|bucket| bucket.entries.swap(0, 1));
    bad(|bucket| bucket.entries[1].name = bucket.entries[0].name.clone());
    bad(|bucket| bucket.entries[0].name = vec![b'x'; 256].into());
    for name in [b"".as_slice(), b".", b"..", b"a/b", b"a\0b", b"/"] {
        let mut bucket = samples::dirent_bucket();
        bucket.entries[0].name = name.into();
        assert_eq!(refused(Item::Dirent(bucket)), BadField, "{name:?}");
    }
    let sample = Item::Dirent(samples::dirent_bucket());
    assert_eq!(decoding(&sample, |bytes| bytes[9] = 3).offset, 9);
    assert_eq!(decoding(&sample, |bytes| bytes[16 + 8] = 200).offset, 16 + 8);
    assert_eq!(decoding(&sample, |bytes| bytes[16 + 10] = 5).kind, Truncated);
}

#[test]
fn extended_attributes() {
    let bad = |change: fn(&mut XattrBucket)| bad(samples::xattr_bucket, Item::Xattr, change);
    bad(|bucket| bucket.entries.clear());
    bad(|bucket| bucket.entries[0].name = [].into());
    bad(|bucket| bucket.entries[0].name = (*b"user.\0").into());
    bad(|bucket| bucket.entries[0].name = vec![b'x'; 256].into());
    bad(|bucket| bucket.entries[0].value = vec![0; MAX_XATTR_VALUE_BYTES + 1].into());
    bad(|bucket| bucket.entries.push(bucket.entries[0].clone()));
}

#[test]
fn an_item_has_a_longest_length() {
    let entry = |name: &[u8]| XattrEntry { name: name.into(), value: vec![1; 3000].into() };
    let bucket = XattrBucket { entries: vec![entry(b"one"), entry(b"two")] };
    let item = Item::Xattr(bucket);
    assert_eq!(refused(item.clone()), TooLarge);
    let long = vec![0; item.encoded_bytes()];
    assert_eq!(Item::decode(KeyKind::Xattr, &long).unwrap_err().kind, TooLarge);
}

#[test]
fn extents() {
    let data = |change: fn(&mut Extent)| bad(samples::data_extent, Item::Extent, change);
    data(|extent| extent.length = 0);
    data(|extent| extent.length = 1);
    data(|extent| extent.length = 3);
    let blocks = |address, length: u32| Extent {
        length,
        content: ExtentContent::Blocks {
            address,
            birth: 1,
            checksums: vec![0; length as usize].into(),
        },
    };
    assert_eq!(refused(Item::Extent(blocks(9, 257))), BadField);
    assert_eq!(refused(Item::Extent(blocks(0, 1))), BadField);
    assert_eq!(refused(Item::Extent(blocks(MAX_VOLUME_BLOCKS, 1))), BadField);
    assert_eq!(refused(Item::Extent(blocks(u64::MAX, 1))), BadField);
    let unwritten = |change: fn(&mut Extent)| bad(samples::unwritten_extent, Item::Extent, change);
    unwritten(|extent| extent.length = 0);
    unwritten(|extent| extent.content = ExtentContent::Unwritten { address: u64::MAX, birth: 0 });
    let inline = |change: fn(&mut Extent)| bad(samples::inline_extent, Item::Extent, change);
    inline(|extent| extent.length = 2);
    inline(|extent| extent.content = ExtentContent::Inline { bytes: Arc::from([]) });
    inline(|extent| extent.content = ExtentContent::Inline { bytes: vec![1; 4097].into() });
    let sample = Item::Extent(samples::data_extent());
    assert_eq!(decoding(&sample, |bytes| bytes[0] = 4).offset, 0);
    assert_eq!(decoding(&sample, |bytes| bytes[2] = 4).offset, 2);
    assert_eq!(decoding(&sample, |bytes| bytes.truncate(30)).kind, BadField);
}

#[test]
fn an_orphan_record_is_empty() {
    assert_eq!(Item::decode(KeyKind::Orphan, &[0]).unwrap_err().record, "orphan record");
}

#[test]
fn keys() {
    for number in [0, 7, 255] {
        let mut bytes = Vec::new();
        Key::inode(1).encode_into(&mut bytes);
        bytes[8] = number;
        assert_eq!(Key::decode(&bytes).unwrap_err().offset, 8);
    }
    assert_eq!(Key::decode(&[1; 16]).unwrap_err().kind, Truncated);
    assert_eq!(Key::decode(&[1; 18]).unwrap_err().kind, BadField);
    let impossible = [
        Key::MIN,
        Key { inode: 1, kind: KeyKind::Inode, offset: 1 },
        Key::xattr(0, 5),
        Key::dirent(1, 1),
        Key::dirent(1, 1 << 56),
        Key::xattr(1, u64::MAX),
        Key::orphan(0),
        Key { inode: 1, kind: KeyKind::Orphan, offset: 1 },
        Key::shared(0),
        Key::shared(7),
        Key { inode: 1, kind: KeyKind::Shared, offset: 1 },
        Key::extent(1, 0),
    ];
    for key in impossible {
        let record = LogRecord::Delete { key };
        assert_eq!(record.encode_into(&mut Vec::new()).unwrap_err().kind, BadField, "{key:?}");
    }
}

#[test]
fn log_records() {
    let map = |start, length, extent| LogRecord::Map {
        inode: 1,
        change: MapChange { start, length, extent },
    };
    let inode_item = Item::Inode(samples::inode_record());
    let bad = [
        LogRecord::Put { key: Key::inode(1), item: Item::Orphan },
        LogRecord::Put { key: Key::extent(1, 0), item: Item::Extent(samples::data_extent()) },
        LogRecord::Put { key: Key::inode(0), item: inode_item },
        LogRecord::Put { key: Key::dirent(1, 5), item: Item::Dirent(DirentBucket::default()) },
        LogRecord::RemoveInode { inode: 0 },
        LogRecord::Map { inode: 0, change: MapChange { start: 0, length: 1, extent: None } },
        map(0, 0, None),
        map(MAX_FILE_BLOCKS, 1, None),
        map(u64::MAX, 1, None),
        map(0, 1, Some(samples::data_extent())),
    ];
    for record in bad {
        let mut out = vec![5];
        assert_eq!(record.encode_into(&mut out).unwrap_err().kind, BadField, "{record:?}");
        assert_eq!(out, [5]);
    }
    assert_eq!(LogRecord::decode_all(&[9], 1).unwrap_err().offset, 0);
    assert_eq!(LogRecord::decode_all(&[], u32::MAX).unwrap_err().kind, Truncated);
}
