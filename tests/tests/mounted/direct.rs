//! O_DIRECT beside the cache and mappings of the same file, and from one region of a file to another.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use braidfs_tests::mapped::SharedMapping;
use braidfs_tests::mounted::{Mount, on_mount_with};

use crate::bytes;

const PAGE: usize = 4096;
const POLICIES: [&str; 3] = ["fork", "wait", "copy"];

/// The same file twice: through the cache, and past it.
fn open(mount: &Mount) -> (File, File) {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    let cached = options.open(mount.path("file")).unwrap();
    let direct = options.custom_flags(libc::O_DIRECT).open(mount.path("file")).unwrap();
    (cached, direct)
}

fn read(file: &File, page: usize, pages: usize) -> Vec<u8> {
    let mut found = vec![0xee; pages * PAGE];
    file.read_exact_at(&mut found, (page * PAGE) as u64).unwrap();
    found
}

fn under_each_policy(test: impl Fn(&mut Mount)) {
    for policy in POLICIES {
        on_mount_with(&["--writeback-policy", policy], |mount| test(mount));
    }
}

#[test]
fn direct_writes_over_dirty_cached_and_mapped_pages_win() {
    under_each_policy(|mount| {
        let (cached, direct) = open(mount);
        cached.write_all_at(&bytes(16 * PAGE, 1), 0).unwrap();
        let mut map = SharedMapping::new(&cached).unwrap();
        map[2 * PAGE..6 * PAGE].copy_from_slice(&bytes(4 * PAGE, 2));
        let second = bytes(4 * PAGE, 3);
        direct.write_all_at(&second, 4 * PAGE as u64).unwrap();
        assert!(read(&cached, 4, 4) == second, "through the cache");
        assert!(map[4 * PAGE..8 * PAGE] == second[..], "through the mapping");
        assert!(read(&direct, 2, 2) == bytes(4 * PAGE, 2)[..2 * PAGE], "what was mapped beside it");
        direct.sync_all().unwrap();
        drop((map, cached, direct));
        mount.crash();
        let found = std::fs::read(mount.path("file")).unwrap();
        assert!(found[4 * PAGE..8 * PAGE] == second[..]);
        assert!(found[2 * PAGE..4 * PAGE] == bytes(4 * PAGE, 2)[..2 * PAGE]);
    });
}

#[test]
fn direct_reads_see_what_is_only_in_the_cache_or_a_mapping() {
    under_each_policy(|mount| {
        let (cached, direct) = open(mount);
        cached.write_all_at(&bytes(8 * PAGE, 1), 0).unwrap();
        let mut map = SharedMapping::new(&cached).unwrap();
        map[PAGE..2 * PAGE].copy_from_slice(&bytes(PAGE, 2));
        assert!(read(&direct, 0, 1) == bytes(8 * PAGE, 1)[..PAGE]);
        assert!(read(&direct, 1, 1) == bytes(PAGE, 2));
    });
}

/// The source of a direct write is a mapping of the same file: the pages that are read for it are those that
/// the kernel drops from its cache beneath the write.
#[test]
fn a_direct_write_from_a_mapping_of_another_region_of_the_same_file() {
    under_each_policy(|mount| {
        let (cached, direct) = open(mount);
        let first = bytes(16 * PAGE, 1);
        cached.write_all_at(&first, 0).unwrap();
        let map = SharedMapping::new(&cached).unwrap();
        // To a region of its own.
        direct.write_all_at(&map[..4 * PAGE], 8 * PAGE as u64).unwrap();
        assert!(read(&cached, 8, 4) == first[..4 * PAGE]);
        assert!(map[8 * PAGE..12 * PAGE] == first[..4 * PAGE]);
        assert!(read(&direct, 0, 8) == first[..8 * PAGE], "the source is as it was");
    });
}

#[test]
fn a_direct_write_from_a_mapping_of_an_overlapping_region_writes_the_source_as_it_was() {
    under_each_policy(|mount| {
        let (cached, direct) = open(mount);
        let first = bytes(16 * PAGE, 1);
        cached.write_all_at(&first, 0).unwrap();
        let map = SharedMapping::new(&cached).unwrap();
        // Upwards, downwards, and onto itself; each within one request to the server.
        let mut shadow = first;
        for (from, to, pages) in [(0, 2, 6), (9, 7, 5), (3, 3, 4)] {
            let source = shadow[from * PAGE..(from + pages) * PAGE].to_vec();
            direct
                .write_all_at(&map[from * PAGE..(from + pages) * PAGE], (to * PAGE) as u64)
                .unwrap();
            shadow[to * PAGE..(to + pages) * PAGE].copy_from_slice(&source);
            assert!(map[..] == shadow[..], "{from} to {to}, mapped");
            assert!(read(&direct, 0, 16) == shadow, "{from} to {to}, direct");
        }
        direct.sync_all().unwrap();
        drop((map, cached, direct));
        mount.crash();
        assert!(std::fs::read(mount.path("file")).unwrap() == shadow);
    });
}

#[test]
fn a_direct_read_into_a_mapping_of_an_overlapping_region_of_the_same_file() {
    under_each_policy(|mount| {
        let (cached, direct) = open(mount);
        let first = bytes(16 * PAGE, 1);
        cached.write_all_at(&first, 0).unwrap();
        let mut map = SharedMapping::new(&cached).unwrap();
        let mut shadow = first;
        for (from, to, pages) in [(0, 8, 4), (4, 5, 3)] {
            let into = &mut map[to * PAGE..(to + pages) * PAGE];
            direct.read_exact_at(into, (from * PAGE) as u64).unwrap();
            let source = shadow[from * PAGE..(from + pages) * PAGE].to_vec();
            shadow[to * PAGE..(to + pages) * PAGE].copy_from_slice(&source);
            assert!(map[..] == shadow[..], "{from} to {to}");
        }
        map.sync().unwrap();
        assert!(read(&direct, 0, 16) == shadow, "what was read into the mapping is in the file");
    });
}

/// A holder of pages (a direct read or write under way) stalls no commit, and no commit stalls it.
#[test]
fn direct_io_goes_on_while_the_file_is_written_back_all_the_time() {
    under_each_policy(|mount| {
        let (cached, direct) = open(mount);
        direct.write_all_at(&bytes(64 * PAGE, 0), 0).unwrap();
        std::thread::scope(|scope| {
            let syncing = scope.spawn(|| (0..50).for_each(|_| cached.sync_all().unwrap()));
            for round in 1..100u64 {
                let page = (round * 7 % 60) as usize;
                let data = bytes(4 * PAGE, round);
                direct.write_all_at(&data, (page * PAGE) as u64).unwrap();
                assert!(read(&direct, page, 4) == data);
                assert!(read(&cached, page, 4) == data);
            }
            syncing.join().unwrap();
        });
    });
}
