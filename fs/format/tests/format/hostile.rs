//! Bytes that nobody sane wrote: no decoder panics, what a checksum covers is refused when it
//! changed, and what is accepted encodes to the same bytes again.

use braidfs_format::*;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::strategies;

/// Flips one bit.
fn flip(bytes: &mut [u8], bit: Index) {
    let bit = bit.index(bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
}

/// Bytes that are now and then zeros or small, so that lengths and kinds are often valid.
fn noise(limit: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => Just(0u8), 3 => 0..13u8, 2 => any::<u8>()];
    prop::collection::vec(byte, 0..limit)
}

fn kinds() -> impl Strategy<Value = KeyKind> {
    (1..=5u8).prop_map(|number| KeyKind::from_u8(number).unwrap())
}

/// Whether these bytes are refused as an item, or are the one encoding of it.
fn item_is_canonical(kind: KeyKind, bytes: &[u8]) -> bool {
    let Ok(item) = Item::decode(kind, bytes) else {
        return true;
    };
    let mut again = Vec::new();
    item.encode_into(&mut again).unwrap();
    again == bytes
}

/// Whether these bytes are refused as log records, or are the one encoding of them.
fn records_are_canonical(payload: &[u8], count: u32) -> bool {
    let Ok(records) = LogRecord::decode_all(payload, count) else {
        return true;
    };
    let mut again = Vec::new();
    for record in &records {
        record.encode_into(&mut again).unwrap();
    }
    again == payload
}

/// Whether these bytes, given the right checksum, are refused as a node or are the one encoding.
fn node_is_canonical(mut bytes: Vec<u8>, node: &Node) -> bool {
    let checksum = checksum::seal(&mut bytes);
    let pointer = NodePointer { address: node.address, birth: node.birth, checksum };
    let Ok(decoded) = Node::decode(&bytes, node.volume_id, &pointer, node.level) else {
        return true;
    };
    decoded.encode() == Ok((bytes, checksum))
}

proptest! {
    #[test]
    fn noise_is_no_structure(bytes in noise(NODE_SIZE + 1), level in any::<u8>(), count in any::<u32>()) {
        let id = uuid::Uuid::nil();
        let pointer = NodePointer { address: 0, birth: 0, checksum: 0 };
        prop_assert!(Superblock::decode(&bytes, 0).is_err());
        prop_assert!(Node::decode(&bytes, id, &pointer, level).is_err());
        prop_assert!(BitmapBlock::decode(&bytes, id, 0, 2).is_err());
        prop_assert!(TransactionHeader::decode(&bytes).is_err());
        prop_assert!(records_are_canonical(&bytes, count));
    }

    #[test]
    fn noise_behind_the_right_magic_and_checksum(bytes in noise(BLOCK_SIZE), level in 0..3u8) {
        let dressed = |magic: &[u8; 8], length: usize| {
            let mut structure = bytes.clone();
            structure.resize(length, 0);
            structure[..8].copy_from_slice(magic);
            checksum::seal(&mut structure);
            structure
        };
        let id = uuid::Uuid::nil();
        let node = dressed(&node::NODE_MAGIC, NODE_SIZE);
        let pointer = NodePointer { address: 0, birth: 0, checksum: checksum::seal(&mut node.clone()) };
        let _ = Node::decode(&node, id, &pointer, level);
        let _ = Superblock::decode(&dressed(&superblock::SUPERBLOCK_MAGIC, BLOCK_SIZE), 0);
        let _ = BitmapBlock::decode(&dressed(&bitmap::BITMAP_MAGIC, BLOCK_SIZE), id, 0, 0);
        let _ = TransactionHeader::decode(&dressed(&log::TRANSACTION_MAGIC, 128));
    }

    #[test]
    fn noise_as_an_item(kind in kinds(), bytes in noise(300)) {
        prop_assert!(item_is_canonical(kind, &bytes));
    }

    #[test]
    fn a_changed_item((key, item) in strategies::entry(), bits in prop::collection::vec(any::<Index>(), 1..4)) {
        let mut bytes = Vec::new();
        item.encode_into(&mut bytes).unwrap();
        if !bytes.is_empty() {
            bits.into_iter().for_each(|bit| flip(&mut bytes, bit));
        }
        prop_assert!(item_is_canonical(key.kind, &bytes));
    }

    #[test]
    fn a_truncated_item((key, item) in strategies::entry(), cut in any::<Index>()) {
        let mut bytes = Vec::new();
        item.encode_into(&mut bytes).unwrap();
        if !bytes.is_empty() {
            bytes.truncate(cut.index(bytes.len()));
        }
        prop_assert!(item_is_canonical(key.kind, &bytes));
    }

    #[test]
    fn changed_and_truncated_records(
        records in prop::collection::vec(strategies::log_record(), 1..6),
        bit in any::<Index>(),
        cut in any::<Index>(),
    ) {
        let mut payload = Vec::new();
        records.iter().for_each(|record| record.encode_into(&mut payload).unwrap());
        let count = records.len() as u32;
        prop_assert!(LogRecord::decode_all(&payload[..cut.index(payload.len())], count).is_err());
        prop_assert!(LogRecord::decode_all(&payload, count + 1).is_err());
        prop_assert!(LogRecord::decode_all(&payload, count - 1).is_err());
        flip(&mut payload, bit);
        prop_assert!(records_are_canonical(&payload, count));
    }

    #[test]
    fn a_changed_or_truncated_superblock(superblock in strategies::superblock(), bit in any::<Index>(), cut in any::<Index>()) {
        let mut bytes = superblock.encode().unwrap();
        let address = superblock.own_address;
        prop_assert!(Superblock::decode(&bytes[..cut.index(BLOCK_SIZE)], address).is_err());
        flip(&mut bytes, bit);
        prop_assert!(Superblock::decode(&bytes, address).is_err());
        // With a checksum that fits the change it may pass, but only as what it says.
        checksum::seal(&mut bytes);
        if let Ok(changed) = Superblock::decode(&bytes, address)
            && changed.compat.is_empty()
            && changed.read_only_compat.is_empty()
        {
            prop_assert_eq!(changed.encode(), Ok(bytes));
        }
    }

    #[test]
    fn a_changed_or_truncated_node(node in strategies::node(), bit in any::<Index>(), cut in any::<Index>()) {
        let (mut bytes, checksum) = node.encode().unwrap();
        let pointer = NodePointer { address: node.address, birth: node.birth, checksum };
        let refused = |bytes: &[u8]| Node::decode(bytes, node.volume_id, &pointer, node.level).is_err();
        prop_assert!(refused(&bytes[..cut.index(NODE_SIZE)]));
        flip(&mut bytes, bit);
        prop_assert!(refused(&bytes));
        prop_assert!(node_is_canonical(bytes, &node));
    }

    #[test]
    fn a_node_with_a_changed_header_or_first_entry(node in strategies::node(), bit in 0..(64 + 40) * 8usize) {
        let (mut bytes, _) = node.encode().unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(node_is_canonical(bytes, &node));
    }

    #[test]
    fn a_changed_or_truncated_bitmap_block(block in strategies::bitmap_block(), bit in any::<Index>(), cut in any::<Index>()) {
        let mut bytes = block.encode();
        let refused = |bytes: &[u8]| BitmapBlock::decode(bytes, block.volume_id, block.group, block.address).is_err();
        prop_assert!(refused(&bytes[..cut.index(BLOCK_SIZE)]));
        flip(&mut bytes, bit);
        prop_assert!(refused(&bytes));
    }

    #[test]
    fn a_changed_or_truncated_transaction_header(header in strategies::transaction_header(), bit in any::<Index>(), cut in any::<Index>()) {
        let mut bytes = header.encode();
        prop_assert!(TransactionHeader::decode(&bytes[..cut.index(bytes.len())]).is_err());
        flip(&mut bytes, bit);
        prop_assert!(TransactionHeader::decode(&bytes).is_err());
    }

    #[test]
    fn the_offset_of_an_error_is_within_the_input(bytes in noise(200), kind in kinds(), count in 0..8u32) {
        if let Err(error) = Item::decode(kind, &bytes) {
            prop_assert!(error.offset <= bytes.len(), "{}", error);
        }
        if let Err(error) = LogRecord::decode_all(&bytes, count) {
            prop_assert!(error.offset <= bytes.len(), "{}", error);
        }
    }
}
