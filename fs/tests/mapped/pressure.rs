//! Mappings larger than the cache, and disks slower than the program.

use std::sync::Arc;
use std::time::Duration;

use braidfs::{MountOptions, Volume};
use braidfs_block::{BlockOperation, FaultyDevice, MemoryDevice};

use super::support::{MIB, content, create, make, put, quiet};
use super::{PAGE, grow, load_word, map, mechanisms, store_word};

const PAGES: usize = 2048;

/// Twice the cache, written twice, in sequence and at random, then read.
#[test]
fn a_mapping_larger_than_the_cache_is_written_back_as_it_goes() {
    for mechanism in mechanisms() {
        for background in [false, true] {
            let faulty = Arc::new(FaultyDevice::new(MemoryDevice::new(64 * MIB)));
            make(&faulty, 256);
            faulty.set_latency(BlockOperation::Write, Duration::from_micros(500));
            let options = MountOptions { cache_bytes: Some(4 * MIB), background, ..quiet() };
            let volume = Volume::mount(faulty.clone(), options).unwrap();
            let inode = create(&volume, "file").unwrap();
            grow(&volume, inode, PAGES);
            let mapping = map(&volume, inode, PAGES, mechanism);
            for at in 0..PAGES {
                store_word(&mapping, at * PAGE, at as u64);
            }
            for at in 0..PAGES {
                let page = at * 797 % PAGES;
                store_word(&mapping, page * PAGE + 8, page as u64 + 1);
            }
            for page in 0..PAGES {
                let words =
                    (load_word(&mapping, page * PAGE), load_word(&mapping, page * PAGE + 8));
                assert_eq!(words, (page as u64, page as u64 + 1), "{mechanism:?} {background}");
            }
            let cache = volume.statistics().cache;
            assert!(cache.frames_used <= cache.frames_total);
            assert!(cache.evictions as usize > PAGES / 2, "{mechanism:?}: {cache:?}");
            drop(mapping);
            let all = content(&volume, inode);
            let word = |at: usize| u64::from_ne_bytes(all[at..at + 8].try_into().unwrap());
            assert!((0..PAGES).all(|page| word(page * PAGE + 8) == page as u64 + 1));
            volume.unmount().unwrap();
        }
    }
}

/// A mapping that nobody touches gives its memory to those who read other files.
#[test]
fn cold_mapped_pages_make_room_for_others() {
    for mechanism in mechanisms() {
        let device = Arc::new(MemoryDevice::new(64 * MIB));
        make(&device, 256);
        let options = MountOptions { cache_bytes: Some(4 * MIB), ..quiet() };
        let volume = Volume::mount(device, options).unwrap();
        let mapped = put(&volume, "mapped", &vec![1; 900 * PAGE]);
        let other = put(&volume, "other", &vec![2; 900 * PAGE]);
        volume.syncfs().unwrap();
        let mapping = map(&volume, mapped, 900, mechanism);
        for page in 0..900 {
            assert_eq!(load_word(&mapping, page * PAGE), 0x0101_0101_0101_0101);
        }
        for _ in 0..3 {
            assert_eq!(content(&volume, other), vec![2; 900 * PAGE], "{mechanism:?}");
        }
        for page in 0..900 {
            assert_eq!(load_word(&mapping, page * PAGE), 0x0101_0101_0101_0101);
        }
    }
}
