//! One file, seen through memory, through reads and writes, and by others.

use std::sync::atomic::Ordering;

use braidfs::{FallocateMode, MapOptions};

use super::support::{BLOCK, content, create, find, fresh, put, remount, write};
use super::{PAGE, grow, load, map, mechanisms, store};

#[test]
fn what_one_side_writes_the_other_reads() {
    for mechanism in mechanisms() {
        let (device, volume) = fresh(32);
        let inode = put(&volume, "file", &[1; 3 * PAGE]);
        let mapping = map(&volume, inode, 3, mechanism);
        assert_eq!(load(&mapping, 0, 3 * PAGE), [1; 3 * PAGE]);
        // Before the page is in its place, and after.
        store(&mapping, PAGE - 1, &[2, 2]);
        write(&volume, inode, 5, &[3; 2]);
        write(&volume, inode, (2 * PAGE) as u64, &[4; PAGE]);
        let mut expected = vec![1; 3 * PAGE];
        expected[PAGE - 1..=PAGE].fill(2);
        expected[5..7].fill(3);
        expected[2 * PAGE..].fill(4);
        assert_eq!(content(&volume, inode), expected, "{mechanism:?}");
        assert_eq!(load(&mapping, 0, 3 * PAGE), expected, "{mechanism:?}");
        mapping.sync().unwrap();
        drop(mapping);
        assert_eq!(content(&volume, inode), expected, "{mechanism:?}: not mapped any more");
        let volume = remount(&device, volume);
        let inode = find(&volume, "file").unwrap();
        assert_eq!(content(&volume, inode), expected, "{mechanism:?}: after a remount");
    }
}

#[test]
fn holes_read_as_zeros_and_stay_holes() {
    for mechanism in mechanisms() {
        let (device, volume) = fresh(32);
        let inode = create(&volume, "file").unwrap();
        grow(&volume, inode, 256);
        let mapping = map(&volume, inode, 256, mechanism);
        for page in 0..256 {
            assert_eq!(load(&mapping, page * PAGE, 8), [0; 8]);
        }
        store(&mapping, 100 * PAGE, &[1]);
        drop(mapping);
        let volume = remount(&device, volume);
        let attributes = volume.getattr(find(&volume, "file").unwrap()).unwrap();
        assert!(attributes.blocks_512 <= 8, "{mechanism:?}: {} sectors", attributes.blocks_512);
    }
}

#[test]
fn a_punched_range_reads_as_zeros() {
    for mechanism in mechanisms() {
        let (_, volume) = fresh(32);
        let inode = put(&volume, "file", &[7; 8 * PAGE]);
        let mapping = map(&volume, inode, 8, mechanism);
        store(&mapping, 0, &[9; 8 * PAGE]);
        volume.fallocate(inode, FallocateMode::PunchHole, BLOCK + 100, 3 * BLOCK).unwrap();
        let mut expected = vec![9; 8 * PAGE];
        expected[PAGE + 100..4 * PAGE + 100].fill(0);
        assert_eq!(load(&mapping, 0, 8 * PAGE), expected, "{mechanism:?}");
        store(&mapping, 2 * PAGE, &[5]);
        expected[2 * PAGE] = 5;
        assert_eq!(content(&volume, inode), expected, "{mechanism:?}");
    }
}

#[test]
fn overlapping_mappings_show_the_same() {
    for mechanism in mechanisms() {
        let (_, volume) = fresh(32);
        let inode = put(&volume, "file", &[1; 10 * PAGE]);
        let first = map(&volume, inode, 6, mechanism);
        let options = MapOptions { mechanism, read_only: false };
        let second = volume.map(inode, 4 * BLOCK..10 * BLOCK, options).unwrap();
        let read_only =
            volume.map(inode, 0..10 * BLOCK, MapOptions { read_only: true, ..options }).unwrap();
        store(&first, 5 * PAGE, &[2]);
        assert_eq!(load(&second, PAGE, 2), [2, 1]);
        store(&second, PAGE + 1, &[3]);
        assert_eq!(load(&first, 5 * PAGE, 3), [2, 3, 1]);
        first.sync().unwrap();
        store(&second, PAGE + 2, &[4]);
        assert_eq!(load(&read_only, 5 * PAGE, 4), [2, 3, 4, 1], "{mechanism:?}");
        drop(first);
        store(&second, 0, &[6]);
        assert_eq!(load(&read_only, 4 * PAGE, 2), [6, 1]);
        drop(second);
        assert_eq!(load(&read_only, 5 * PAGE, 4), [2, 3, 4, 1]);
        drop(read_only);
        assert_eq!(content(&volume, inode)[5 * PAGE..5 * PAGE + 4], [2, 3, 4, 1]);
    }
}

#[test]
fn mapped_memory_can_be_read_into_and_written_from() {
    for mechanism in mechanisms() {
        let (_, volume) = fresh(32);
        let inode = put(&volume, "file", &[1; 4 * PAGE]);
        let mut mapping = map(&volume, inode, 4, mechanism);
        volume.fsync(inode, false).unwrap();
        // SAFETY-free: the slices are made where the library promises what they need.
        let memory = mapping.memory_mut();
        super::signals::with_slice(memory, |bytes| {
            bytes[0] = 5;
            // Out of untouched pages into others of the same file, and back.
            volume.write(inode, 2 * BLOCK, &bytes[..PAGE], false).unwrap();
            volume.read(inode, 2 * BLOCK, &mut bytes[PAGE..2 * PAGE]).unwrap();
        });
        let all = content(&volume, inode);
        assert_eq!((all[PAGE], all[2 * PAGE], all[3 * PAGE]), (5, 5, 1), "{mechanism:?}");
    }
}

#[test]
fn threads_count_without_losing_anything() {
    for mechanism in mechanisms() {
        let (device, volume) = fresh(32);
        let inode = create(&volume, "file").unwrap();
        grow(&volume, inode, 64);
        let mapping = map(&volume, inode, 64, mechanism);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (mapping, volume) = (&mapping, &volume);
                scope.spawn(move || {
                    for round in 0..40 {
                        for page in 0..64 {
                            let word = mapping.memory().word(page * PAGE + 8).unwrap();
                            word.fetch_add(1, Ordering::Relaxed);
                        }
                        match (thread, round % 8) {
                            (0, 0) => mapping.sync().unwrap(),
                            (1, 1) => mapping.snapshot().unwrap(),
                            (2, _) => write(volume, inode, (round * PAGE) as u64, &[thread; 8]),
                            (3, 3) => volume.syncfs().unwrap(),
                            _ => {}
                        }
                    }
                });
            }
        });
        for page in 0..64 {
            assert_eq!(load(&mapping, page * PAGE + 8, 8), 160_u64.to_ne_bytes(), "{mechanism:?}");
        }
        drop(mapping);
        let volume = remount(&device, volume);
        let all = content(&volume, find(&volume, "file").unwrap());
        assert!((0..64).all(|page| all[page * PAGE + 8..][..8] == 160_u64.to_ne_bytes()));
    }
}
