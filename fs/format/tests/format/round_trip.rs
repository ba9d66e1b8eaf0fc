//! What is encoded is decoded as it was, and sizes are as announced.

use braidfs_format::log::TRANSACTION_HEADER_BYTES;
use braidfs_format::*;
use proptest::prelude::*;

use crate::strategies;

proptest! {
    #[test]
    fn key(key in strategies::key()) {
        let mut bytes = Vec::new();
        key.encode_into(&mut bytes);
        prop_assert_eq!(bytes.len(), Key::BYTES);
        prop_assert_eq!(Key::decode(&bytes), Ok(key));
    }

    #[test]
    fn item((key, item) in strategies::entry()) {
        let mut bytes = vec![7];
        item.encode_into(&mut bytes).unwrap();
        prop_assert_eq!(bytes.len(), 1 + item.encoded_bytes());
        prop_assert_eq!(key.kind, item.kind());
        prop_assert_eq!(Item::decode(key.kind, &bytes[1..]), Ok(item));
    }

    #[test]
    fn log_inline_extent(extent in strategies::extent(BLOCK_SIZE)) {
        let item = Item::Extent(extent);
        let mut bytes = Vec::new();
        item.encode_into(&mut bytes).unwrap();
        prop_assert_eq!(Item::decode(KeyKind::Extent, &bytes), Ok(item));
    }

    #[test]
    fn node(node in strategies::node()) {
        let (bytes, checksum) = node.encode().unwrap();
        let pointer = NodePointer { address: node.address, birth: node.birth, checksum };
        prop_assert_eq!(bytes.len(), NODE_SIZE);
        prop_assert_eq!(Node::decode(&bytes, node.volume_id, &pointer, node.level), Ok(node));
    }

    #[test]
    fn bitmap_block(block in strategies::bitmap_block(), index in 0..GROUP_BLOCKS) {
        let bytes = block.encode();
        prop_assert_eq!(bytes.len(), BLOCK_SIZE);
        let decoded =
            BitmapBlock::decode(&bytes, block.volume_id, block.group, block.address).unwrap();
        let bit = block.bits[index as usize / 8] >> (index % 8) & 1;
        prop_assert_eq!(decoded.get(index), bit == 1);
        prop_assert_eq!(decoded, block);
    }

    #[test]
    fn transaction_header(header in strategies::transaction_header()) {
        let bytes = header.encode();
        prop_assert_eq!(bytes.len(), TRANSACTION_HEADER_BYTES);
        let (decoded, checksum) = TransactionHeader::decode(&bytes).unwrap();
        prop_assert_eq!(&bytes[8..12], checksum.to_le_bytes());
        prop_assert_eq!(decoded, header);
    }

    #[test]
    fn a_transaction_header_is_found_at_the_start_of_its_block(
        header in strategies::transaction_header(),
        rest in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut block = header.encode();
        block.extend(rest);
        prop_assert_eq!(TransactionHeader::decode(&block).unwrap().0, header);
    }

    #[test]
    fn log_records(records in prop::collection::vec(strategies::log_record(), 0..20)) {
        let mut payload = Vec::new();
        for record in &records {
            let before = payload.len();
            record.encode_into(&mut payload).unwrap();
            prop_assert_eq!(payload.len() - before, record.encoded_bytes());
        }
        prop_assert_eq!(LogRecord::decode_all(&payload, records.len() as u32), Ok(records));
    }

    #[test]
    fn superblock(superblock in strategies::superblock()) {
        let bytes = superblock.encode().unwrap();
        prop_assert_eq!(bytes.len(), BLOCK_SIZE);
        prop_assert!(Superblock::sniff(&bytes));
        prop_assert_eq!(Superblock::decode(&bytes, superblock.own_address), Ok(superblock));
    }

    #[test]
    fn a_slice_of_an_extent_keeps_addresses_and_checksums(
        extent in strategies::extent(BLOCK_SIZE),
        skip in 0..300u32,
        length in 0..300u32,
    ) {
        let Some(part) = extent.slice(skip, length) else {
            prop_assert!(length == 0 || skip + length > extent.length);
            return Ok(());
        };
        prop_assert_eq!(part.length, length);
        let shifted = extent.blocks().map(|(address, _)| (address + u64::from(skip), u64::from(length)));
        prop_assert_eq!(part.blocks(), shifted);
        prop_assert!(Item::Extent(part).encode_into(&mut Vec::new()).is_ok());
    }
}

#[test]
fn every_mode_has_the_kind_that_made_it() {
    for number in 0..=u8::MAX {
        let Some(kind) = FileKind::from_u8(number) else {
            continue;
        };
        assert_eq!(kind as u8, number);
        assert_eq!(FileKind::from_mode(kind.mode_bits() | 0o7777), Some(kind));
    }
    assert_eq!(FileKind::from_mode(0o644), None);
    assert_eq!(FileKind::from_mode(0x1_0000 | FileKind::Regular.mode_bits()), None);
    assert_eq!(FileKind::from_mode(u32::MAX), None);
}

#[test]
fn blocks_for_a_payload() {
    assert_eq!(TransactionHeader::blocks_for(0), 1);
    assert_eq!(TransactionHeader::blocks_for(4096 - 128), 1);
    assert_eq!(TransactionHeader::blocks_for(4096 - 127), 2);
    assert_eq!(TransactionHeader::blocks_for(u32::MAX), (1 << 20) + 1);
}
