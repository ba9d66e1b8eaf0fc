//! The fixed regions of volumes of every size.

use braidfs_format::geometry::{MAX_VOLUME_BLOCKS, MIN_VOLUME_BLOCKS};
use braidfs_format::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn regions_follow_one_another(
        blocks in prop_oneof![
            MIN_VOLUME_BLOCKS..1 << 20,
            MIN_VOLUME_BLOCKS..=MAX_VOLUME_BLOCKS,
        ],
    ) {
        let it = Geometry::for_volume(blocks).unwrap();
        prop_assert_eq!(it.bitmap_start, 2);
        prop_assert_eq!(it.bitmap_address(it.group_count - 1, 1) + 1, it.log_start);
        prop_assert!(it.data_start.is_multiple_of(NODE_BLOCKS));
        prop_assert!(it.data_start - (it.log_start + it.log_blocks) < NODE_BLOCKS);
        prop_assert!(it.data_start < it.data_end());
        prop_assert_eq!(it.group_range(it.group_count - 1).end, blocks);
        prop_assert!(!it.group_range(it.group_count - 1).is_empty());
    }

    #[test]
    fn data_lies_between_the_fixed_regions(blocks in MIN_VOLUME_BLOCKS..1 << 20, address: u64, length: u64) {
        let it = Geometry::for_volume(blocks).unwrap();
        prop_assert!(it.holds_data(it.data_start, it.data_end() - it.data_start));
        prop_assert!(!it.holds_data(it.data_start - 1, 1));
        prop_assert!(!it.holds_data(it.data_end(), 1));
        let end = u128::from(address) + u128::from(length);
        let within = address >= it.data_start && end <= u128::from(it.data_end());
        prop_assert_eq!(it.holds_data(address, length), within);
    }

    #[test]
    fn hashes_of_names_are_hashes(key: [u8; 16], name in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(NameHasher::can_be_hash(NameHasher::new(key).hash(&name)));
    }
}

#[test]
fn sizes_that_make_no_sense() {
    for blocks in [0, 4095, MAX_VOLUME_BLOCKS + 1, u64::MAX] {
        let error = Geometry::for_volume(blocks).unwrap_err();
        assert_eq!(error.kind, FormatErrorKind::BadGeometry);
    }
    for log_blocks in [0, 63, 1025, u64::MAX] {
        let error = Geometry::with_log(4096, log_blocks).unwrap_err();
        assert_eq!(error.kind, FormatErrorKind::BadGeometry);
    }
    assert!(Geometry::with_log(4096, 64).is_ok() && Geometry::with_log(4096, 1024).is_ok());
}

#[test]
fn superblock_slots() {
    let it = Geometry::for_volume(5000).unwrap();
    assert_eq!(it.superblock_addresses(6), [0, 4998]);
    assert_eq!(it.superblock_addresses(7), [1, 4999]);
}
