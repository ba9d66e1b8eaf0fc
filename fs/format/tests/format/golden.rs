//! The bytes of fixed values, made by a second implementation of `docs/FORMAT.md`. When one of these
//! fails, existing volumes are no longer readable.

use braidfs_format::*;

use crate::samples::{self, item_bytes};

#[test]
fn superblock() {
    let bytes = samples::superblock().encode().unwrap();
    let expected = concat!(
        "4252414944465300661fbb5b0100000000112233445566778899aabbccddeeff",
        "0100000000000000110000000000000000000000000000000000000000000000",
        "0100000000000000001000000000000001000000000000000200000000000000",
        "0400000000000000000100000000000004010000000000000010000000400000",
        "00020000000000002100000000000000d4c3b2a1887766550300000000000000",
        "0500000000000000200100000000000022000000000000003300000000000000",
        "4400000000000000f0debc9a7856341201010000000000003031323334353637",
        "3839616263646566627261696400000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
    );
    assert_eq!(samples::hex(&bytes[..320]), expected);
    assert_eq!(bytes.len(), 4096);
    assert!(bytes[320..].iter().all(|byte| *byte == 0));
}

#[test]
fn transaction_header() {
    let expected = concat!(
        "42524149444c4f4740e363ae0403020100112233445566778899aabbccddeeff",
        "3300000000000000220000000000000020000000000000004400000000000000",
        "00ffeeddccbbaa99f0debc9a7856341202000000001000000400000008070605",
        "0000000000000000000000000000000000000000000000000000000000000000",
    );
    assert_eq!(samples::hex(&samples::transaction_header().encode()), expected);
}

#[test]
fn leaf() {
    let (bytes, checksum) = samples::leaf().encode().unwrap();
    let expected = concat!(
        "42524149444e4f44833d46780000060000112233445566778899aabbccddeeff",
        "0402000000000000210000000000000030010000000000000000000000000000",
        "0000000000000000050900000000000000000001000000000000000100000000",
        "000000006400a4810000e8030000e90300000200000001000000000000000000",
        "0000341200000000000002000000000000000000000000000000ffffffffffff",
        "ffffffc99a3b0000000001000000010000000200000000000000030000000400",
        "00000000000005000000010000000000000003efcdab00000000001f00420000",
        "000000000000080564656c74614300000000000000030404666f726b01000000",
        "0000000004000000000000000020000100000002000000210300000000000007",
        "0000000000000022221111444433330100000000000000040200000000000000",
        "0d000300000001000000736d616c6c0200000000000000027700000000000000",
        "0e00060500757365722e6176616c756500000000000000000000000000000000",
    );
    assert_eq!(samples::hex(&bytes[..384]), expected);
    assert_eq!((bytes.len(), checksum), (16384, 0x78463d83));
    assert!(bytes[384..].iter().all(|byte| *byte == 0));
}

#[test]
fn interior_node() {
    let (bytes, checksum) = samples::interior().encode().unwrap();
    let expected = concat!(
        "42524149444e4f4414c1bec90100020000112233445566778899aabbccddeeff",
        "000200000000000021000000000000004a000000000000000000000000000000",
        "0000000000000000010000000000000000040200000000000020000000000000",
        "00bbbbaaaa090000000000000001000000000000000008020000000000002000",
        "000000000000ddddcccc00000000000000000000000000000000000000000000",
    );
    assert_eq!(samples::hex(&bytes[..160]), expected);
    assert_eq!((bytes.len(), checksum), (16384, 0xc9bec114));
    assert!(bytes[160..].iter().all(|byte| *byte == 0));
}

#[test]
fn bitmap_block() {
    let bytes = samples::bitmap_block().encode();
    let expected = concat!(
        "42524149444d4150cfc6c6230000000000112233445566778899aabbccddeeff",
        "0d00000000000000110000000000000005000000000000000000000000000000",
        "8100000000000000000000000000000000000000000000000000000000000000",
    );
    assert_eq!(samples::hex(&bytes[..96]), expected);
    assert!(bytes[96..4095].iter().all(|byte| *byte == 0));
    assert_eq!((bytes.len(), bytes[4095]), (4096, 0xff));
}

#[test]
fn inode_item() {
    let expected = concat!(
        "a4810000e8030000e90300000200000001000000000000000000000034120000",
        "0000000002000000000000000000000000000000ffffffffffffffffffc99a3b",
        "0000000001000000010000000200000000000000030000000400000000000000",
        "05000000",
    );
    assert_eq!(samples::hex(&item_bytes(&Item::Inode(samples::inode_record()))), expected);
}

#[test]
fn dirent_item() {
    let expected = "420000000000000000080564656c74614300000000000000030404666f726b";
    assert_eq!(samples::hex(&item_bytes(&Item::Dirent(samples::dirent_bucket()))), expected);
}

#[test]
fn xattr_item() {
    let expected = "060500757365722e6176616c7565";
    assert_eq!(samples::hex(&item_bytes(&Item::Xattr(samples::xattr_bucket()))), expected);
}

#[test]
fn data_extent() {
    let expected = "0100000002000000210300000000000007000000000000002222111144443333";
    assert_eq!(samples::hex(&item_bytes(&Item::Extent(samples::data_extent()))), expected);
}

#[test]
fn unwritten_extent() {
    let expected = "02000000e803000000040000000000000800000000000000";
    assert_eq!(samples::hex(&item_bytes(&Item::Extent(samples::unwritten_extent()))), expected);
}

#[test]
fn inline_extent() {
    let expected = "0300000001000000736d616c6c";
    assert_eq!(samples::hex(&item_bytes(&Item::Extent(samples::inline_extent()))), expected);
}

#[test]
fn orphan_item() {
    assert!(item_bytes(&Item::Orphan).is_empty());
}

#[test]
fn shared_item() {
    let bytes = item_bytes(&Item::Shared(samples::shared_range()));
    assert_eq!(samples::hex(&bytes), "0004000002000000");
}

#[test]
fn log_records() {
    let expected = concat!(
        "0101000000000000000100000000000000006400a4810000e8030000e9030000",
        "0200000001000000000000000000000034120000000000000200000000000000",
        "0000000000000000ffffffffffffffffffc99a3b000000000100000001000000",
        "0200000000000000030000000400000000000000050000000201000000000000",
        "0003050000000000000003070000000000000004080000000000000009000000",
        "0000000002000000000000002000010000000200000021030000000000000700",
        "00000000000022221111444433330408000000000000000b0000000000000003",
        "000000000000000000",
    );
    assert_eq!(samples::hex(&samples::log_payload()), expected);
}

#[test]
fn name_hashes() {
    let hasher = NameHasher::new(*b"0123456789abcdef");
    assert_eq!(hasher.hash(b"a"), 0x009272dcffeb9130);
    assert_eq!(hasher.hash(b"delta"), 0x009f819e6630748c);
    assert_eq!(hasher.hash(b"a longer name.txt"), 0x00c25bae9950ad1f);
}
