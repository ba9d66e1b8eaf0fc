//! Stores and deltas: what is frozen, what is forked, who waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use braidfs::{MountOptions, Volume};
use braidfs_block::{BlockDevice, BlockOperation, FaultyDevice, MemoryDevice};
use braidfs_pagecache::WritebackPolicy;

use super::support::{MIB, assert_clean, content, create, find, fresh, make, put, quiet, write};
use super::{PAGE, grow, load, map, mechanisms, store};

#[test]
fn a_page_faults_once_a_delta() {
    for mechanism in mechanisms() {
        let (_, volume) = fresh(32);
        let inode = put(&volume, "file", &[1; 64 * PAGE]);
        let mapping = map(&volume, inode, 64, mechanism);
        let faults = || volume.statistics().cache.mapped_faults;
        for delta in 0..3_u8 {
            let at_start = faults();
            // Not in sequence, so that each page faults by itself.
            for page in [40, 7, 33] {
                store(&mapping, page * PAGE, &[delta]);
            }
            let before = faults();
            assert!(before >= at_start + 3, "{mechanism:?}: protected by the delta before");
            for page in [40, 7, 33] {
                store(&mapping, page * PAGE + 1, &[delta]);
            }
            assert_eq!(faults(), before, "{mechanism:?}: writable until the delta ends");
            mapping.sync().unwrap();
            assert_eq!(load(&mapping, 7 * PAGE, 2), [delta; 2]);
            assert_eq!(faults(), before, "{mechanism:?}: readable all the time");
        }
    }
}

/// A store to a page that is being written goes on, and what is written is what was frozen.
#[test]
fn a_store_does_not_wait_for_a_disk_that_hangs() {
    for mechanism in mechanisms() {
        let faulty = Arc::new(FaultyDevice::new(MemoryDevice::new(32 * MIB)));
        make(&faulty, 64);
        let volume = Volume::mount(faulty.clone(), quiet()).unwrap();
        let inode = create(&volume, "file").unwrap();
        grow(&volume, inode, 8);
        let mapping = map(&volume, inode, 8, mechanism);
        store(&mapping, 0, &[1; 8 * PAGE]);
        let forks = volume.statistics().cache.forks;
        faulty.set_latency(BlockOperation::Flush, Duration::from_millis(700));
        std::thread::scope(|scope| {
            let sync = scope.spawn(|| mapping.sync().unwrap());
            std::thread::sleep(Duration::from_millis(200));
            let started = Instant::now();
            store(&mapping, 0, &[2; 4 * PAGE]);
            // A write(2) to a mapped page does the same.
            volume.write(inode, 5 * 4096, &[3; 9], false).unwrap();
            assert!(started.elapsed() < Duration::from_millis(400), "{mechanism:?}: it waited");
            assert!(!sync.is_finished(), "the disk was meant to hang");
        });
        assert!(volume.statistics().cache.forks >= forks + 5, "{mechanism:?}");
        faulty.heal();
        assert_eq!(load(&mapping, 0, 1), [2]);
        drop(mapping);
        // The crash: what was not synced is gone.
        drop(volume);
        let device: Arc<dyn BlockDevice> = faulty.clone();
        let volume = Volume::mount(device.clone(), quiet()).unwrap();
        let all = content(&volume, find(&volume, "file").unwrap());
        assert_eq!(all, [1; 8 * PAGE], "{mechanism:?}");
        volume.unmount().unwrap();
        drop(volume);
        assert_clean(&device);
    }
}

#[test]
fn every_policy_keeps_what_was_frozen() {
    for mechanism in mechanisms() {
        for policy in WritebackPolicy::ALL {
            let device: Arc<dyn BlockDevice> = Arc::new(MemoryDevice::new(32 * MIB));
            make(&device, 64);
            let options = MountOptions { policy, ..quiet() };
            let volume = Volume::mount(device.clone(), options).unwrap();
            let inode = create(&volume, "file").unwrap();
            grow(&volume, inode, 32);
            let mapping = map(&volume, inode, 32, mechanism);
            std::thread::scope(|scope| {
                let syncs = scope.spawn(|| (0..20).for_each(|_| mapping.sync().unwrap()));
                let mut round = 0;
                while !syncs.is_finished() {
                    round += 1;
                    for page in 0..32 {
                        store(&mapping, page * PAGE, &[round]);
                    }
                    round %= 200;
                }
                (0..32).for_each(|page| store(&mapping, page * PAGE, &[201]));
            });
            mapping.sync().unwrap();
            (0..32).for_each(|page| store(&mapping, page * PAGE, &[202]));
            drop(mapping);
            drop(volume);
            let volume = Volume::mount(device.clone(), quiet()).unwrap();
            let all = content(&volume, find(&volume, "file").unwrap());
            let firsts: Vec<u8> = all.iter().step_by(PAGE).copied().collect();
            assert_eq!(firsts, [201; 32], "{mechanism:?} {policy}");
        }
    }
}

#[test]
fn unmapping_keeps_what_is_being_written() {
    for mechanism in mechanisms() {
        let faulty = Arc::new(FaultyDevice::new(MemoryDevice::new(32 * MIB)));
        make(&faulty, 64);
        let volume = Volume::mount(faulty.clone(), quiet()).unwrap();
        let inode = create(&volume, "file").unwrap();
        grow(&volume, inode, 8);
        let mapping = map(&volume, inode, 8, mechanism);
        store(&mapping, 0, &[1; 8 * PAGE]);
        faulty.set_latency(BlockOperation::Write, Duration::from_millis(150));
        std::thread::scope(|scope| {
            let volume = &volume;
            let sync = scope.spawn(move || volume.fsync(inode, false).unwrap());
            std::thread::sleep(Duration::from_millis(50));
            store(&mapping, 0, &[2]);
            drop(mapping);
            volume.write(inode, 4096, &[3; PAGE], false).unwrap();
            sync.join().unwrap();
        });
        assert_eq!(content(&volume, inode)[..PAGE + 1][PAGE - 1..], [1, 3]);
        drop(volume);
        let volume = Volume::mount(faulty.clone(), quiet()).unwrap();
        let all = content(&volume, find(&volume, "file").unwrap());
        assert_eq!(all, [1; 8 * PAGE], "{mechanism:?}");
    }
}

#[test]
fn a_file_without_a_name_stays_while_it_is_mapped() {
    for mechanism in mechanisms() {
        let (device, volume) = fresh(32);
        let inode = put(&volume, "file", &[1; 2 * PAGE]);
        let mapping = map(&volume, inode, 2, mechanism);
        volume.unlink(braidfs::ROOT_INODE, b"file").unwrap();
        volume.forget(inode, u64::MAX);
        store(&mapping, 1, &[2]);
        assert_eq!(load(&mapping, 0, 3), [1, 2, 1], "{mechanism:?}");
        drop(mapping);
        assert!(volume.getattr(inode).is_err(), "{mechanism:?}: nobody needs it any more");
        volume.unmount().unwrap();
        drop(volume);
        assert_clean(&device);
    }
}

/// A program stores to one file, then to the other: a full delta has both as of one moment.
#[test]
fn a_full_delta_has_all_mapped_files_as_of_one_moment() {
    for mechanism in mechanisms() {
        let device = super::support::device(32);
        for round in 0..6 {
            let volume = Volume::mount(device.clone(), quiet()).unwrap();
            if round == 0 {
                for name in ["one", "between", "other"] {
                    put(&volume, name, &[0; PAGE]);
                }
            }
            // Files are staged in the order of their numbers: this one keeps the stager busy after
            // the first, so that the second would be frozen much later than the first.
            let between = find(&volume, "between").unwrap();
            let [one, other] = ["one", "other"].map(|name| {
                let inode = find(&volume, name).unwrap();
                let word: [u8; 8] = content(&volume, inode)[..8].try_into().unwrap();
                (map(&volume, inode, 1, mechanism), u64::from_ne_bytes(word))
            });
            assert!(
                one.1 >= other.1 && one.1 - other.1 <= 1,
                "{mechanism:?}: {} {}",
                one.1,
                other.1
            );
            let ends = std::sync::atomic::AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    for number in one.1 + 1.. {
                        super::store_word(&one.0, 0, number);
                        super::store_word(&other.0, 0, number);
                        if ends.load(std::sync::atomic::Ordering::Relaxed) {
                            break;
                        }
                    }
                });
                for sync in 0..4 {
                    write(&volume, between, 0, &vec![sync; MIB as usize]);
                    volume.syncfs().unwrap();
                }
                ends.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            // The crash: nothing is unmounted.
        }
    }
}
