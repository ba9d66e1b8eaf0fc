//! Mapped files that grow and shrink.

use braidfs::SetAttributes;

use super::support::{content, create, find, fresh, put, remount, write};
use super::{PAGE, grow, load, map, mechanisms, store};

#[test]
fn a_mapping_may_reach_beyond_the_end_and_is_there_when_the_file_grows() {
    for mechanism in mechanisms() {
        let (_, volume) = fresh(32);
        let inode = create(&volume, "file").unwrap();
        let mapping = map(&volume, inode, 8, mechanism);
        grow(&volume, inode, 1);
        store(&mapping, 0, &[1]);
        write(&volume, inode, (3 * PAGE) as u64, &[4; 10]);
        assert_eq!(load(&mapping, 3 * PAGE, 12)[8..], [4, 4, 0, 0]);
        store(&mapping, 2 * PAGE, &[3]);
        let mode = braidfs::FallocateMode::Allocate { keep_size: false };
        volume.fallocate(inode, mode, 0, (8 * PAGE) as u64).unwrap();
        store(&mapping, 7 * PAGE, &[8]);
        let all = content(&volume, inode);
        let firsts: Vec<u8> = all.iter().step_by(PAGE).copied().collect();
        assert_eq!(firsts, [1, 0, 3, 4, 0, 0, 0, 8], "{mechanism:?}");
    }
}

#[test]
fn what_was_cut_off_does_not_come_back() {
    for mechanism in mechanisms() {
        let (device, volume) = fresh(32);
        let inode = put(&volume, "file", &[1; 8 * PAGE]);
        let mapping = map(&volume, inode, 8, mechanism);
        store(&mapping, 0, &[2; 8 * PAGE]);
        mapping.snapshot().unwrap();
        store(&mapping, 3 * PAGE, &[3; PAGE]);
        let cut = SetAttributes { size: Some((3 * PAGE + 10) as u64), ..Default::default() };
        volume.setattr(inode, &cut).unwrap();
        let mut expected = vec![2; 3 * PAGE];
        expected.extend([3; 10]);
        assert_eq!(content(&volume, inode), expected, "{mechanism:?}");
        grow(&volume, inode, 8);
        expected.resize(8 * PAGE, 0);
        assert_eq!(load(&mapping, 0, 8 * PAGE), expected, "{mechanism:?}");
        store(&mapping, 6 * PAGE, &[6]);
        expected[6 * PAGE] = 6;
        drop(mapping);
        let volume = remount(&device, volume);
        assert_eq!(content(&volume, find(&volume, "file").unwrap()), expected, "{mechanism:?}");
    }
}

/// POSIX lets programs store behind the end of a file, in its last page; it is not kept.
#[test]
fn stores_behind_the_end_are_not_kept() {
    for mechanism in mechanisms() {
        for grows_while_mapped in [true, false] {
            let (device, volume) = fresh(32);
            let inode = put(&volume, "file", &[1; 100]);
            let mapping = map(&volume, inode, 1, mechanism);
            store(&mapping, 90, &[2; 50]);
            mapping.sync().unwrap();
            store(&mapping, 95, &[3; 50]);
            if grows_while_mapped {
                write(&volume, inode, 200, &[4]);
                drop(mapping);
            } else {
                drop(mapping);
                write(&volume, inode, 200, &[4]);
            }
            let mut expected = vec![1; 201];
            expected[90..95].fill(2);
            expected[95..100].fill(3);
            expected[100..200].fill(0);
            expected[200] = 4;
            assert_eq!(content(&volume, inode), expected, "{mechanism:?}");
            let volume = remount(&device, volume);
            assert_eq!(content(&volume, find(&volume, "file").unwrap()), expected);
        }
    }
}

#[test]
fn a_copy_to_a_mapped_file_is_seen_there() {
    for mechanism in mechanisms() {
        let (_, volume) = fresh(32);
        let source = put(&volume, "source", &[5; 40 * PAGE]);
        volume.fsync(source, false).unwrap();
        let target = put(&volume, "target", &[1; 21 * PAGE]);
        let mapping = map(&volume, target, 64, mechanism);
        store(&mapping, 0, &[2; 21 * PAGE]);
        // Within the file, where extents can be shared, and beyond its end.
        let length = (20 * PAGE) as u64;
        assert_eq!(volume.copy_file_range(source, 0, target, 4096, length).unwrap(), length);
        assert_eq!(load(&mapping, 0, PAGE + 1)[PAGE - 1..], [2, 5], "{mechanism:?}");
        store(&mapping, PAGE, &[6]);
        assert_eq!(volume.copy_file_range(source, 0, target, length, length).unwrap(), length);
        assert_eq!(load(&mapping, 39 * PAGE, PAGE), [5; PAGE], "{mechanism:?}");
        let all = content(&volume, target);
        assert_eq!((all.len(), all[0], all[PAGE], all[PAGE + 1]), (40 * PAGE, 2, 6, 5));
        assert_eq!(content(&volume, source), vec![5; 40 * PAGE], "{mechanism:?}");
    }
}
