//! Reading and writing: buffered, direct, mapped, sparse.

use std::fs::{self, File, OpenOptions};
use std::io::{IoSlice, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};

use braidfs_tests::mapped::SharedMapping;
use braidfs_tests::mounted::{Mount, on_mount};

use crate::bytes;

const PAGE: usize = 4096;

fn open(mount: &Mount, name: &str) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    options.open(mount.path(name)).unwrap()
}

fn read(file: &File, offset: u64, length: usize) -> Vec<u8> {
    let mut found = vec![0; length];
    file.read_exact_at(&mut found, offset).unwrap();
    found
}

#[test]
fn reads_end_at_the_end_of_the_file() {
    on_mount(|mount| {
        let file = open(mount, "file");
        file.write_all_at(&bytes(5000, 1), 0).unwrap();
        let mut buffer = [0; 4096];
        assert_eq!(file.read_at(&mut buffer, 4096).unwrap(), 904);
        assert_eq!(file.read_at(&mut buffer, 5000).unwrap(), 0);
        assert_eq!(file.read_at(&mut buffer, 1 << 40).unwrap(), 0);
        assert_eq!(file.write_at(b"", 1 << 30).unwrap(), 0);
        assert_eq!(file.metadata().unwrap().len(), 5000);
    });
}

#[test]
fn writes_at_odd_places_meet() {
    on_mount(|mount| {
        let file = open(mount, "file");
        let mut shadow = vec![0; 200_000];
        for (number, offset) in (0..190_000).step_by(7919).enumerate() {
            let data = bytes(9973, number as u64 + 1);
            file.write_all_at(&data, offset as u64).unwrap();
            shadow[offset..offset + data.len()].copy_from_slice(&data);
        }
        shadow.truncate(file.metadata().unwrap().len() as usize);
        assert!(read(&file, 0, shadow.len()) == shadow);
        drop(file);
        mount.unmount();
        mount.start();
        assert!(fs::read(mount.path("file")).unwrap() == shadow);
    });
}

#[test]
fn several_buffers_are_written_as_one() {
    on_mount(|mount| {
        let mut file = open(mount, "file");
        let parts = [bytes(3000, 1), bytes(0, 2), bytes(5000, 3)];
        let slices = [&parts[0], &parts[1], &parts[2]].map(|part| IoSlice::new(part));
        assert_eq!(file.write_vectored(&slices).unwrap(), 8000);
        assert!(read(&file, 0, 8000) == parts.concat());
    });
}

#[test]
fn a_sparse_file_takes_the_space_of_its_data() {
    on_mount(|mount| {
        let file = open(mount, "file");
        let far = 1 << 41;
        file.write_all_at(&bytes(PAGE, 1), 0).unwrap();
        file.write_all_at(&bytes(PAGE, 2), far).unwrap();
        file.sync_all().unwrap();
        let seen = file.metadata().unwrap();
        assert_eq!(seen.len(), far + PAGE as u64);
        assert!(seen.blocks() <= 64, "{} blocks of 512 bytes", seen.blocks());
        assert!(read(&file, 1 << 30, 3 * PAGE).iter().all(|byte| *byte == 0));
        assert!(read(&file, far, PAGE) == bytes(PAGE, 2));
    });
}

#[test]
fn zeros_take_no_space() {
    on_mount(|mount| {
        let file = open(mount, "file");
        file.write_all_at(&vec![0; 4 << 20], 0).unwrap();
        file.sync_all().unwrap();
        // The kernel may have asked for the size in blocks before.
        drop(file);
        mount.unmount();
        mount.start();
        let seen = fs::metadata(mount.path("file")).unwrap();
        assert_eq!((seen.len(), seen.blocks()), (4 << 20, 0));
    });
}

#[test]
fn direct_io_sees_and_is_seen_by_the_cache() {
    on_mount(|mount| {
        let file = open(mount, "file");
        let direct = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_DIRECT)
            .open(mount.path("file"))
            .unwrap();
        let first = bytes(16 * PAGE, 1);
        file.write_all_at(&first, 0).unwrap();
        assert!(read(&direct, 0, first.len()) == first);
        let second = bytes(4 * PAGE, 2);
        direct.write_all_at(&second, 2 * PAGE as u64).unwrap();
        assert!(read(&file, 2 * PAGE as u64, second.len()) == second);
        assert!(read(&file, 6 * PAGE as u64, PAGE) == first[6 * PAGE..7 * PAGE]);
        // From one region of the file to another, one of them cached.
        let third = read(&file, 0, 4 * PAGE);
        direct.write_all_at(&third, 10 * PAGE as u64).unwrap();
        assert!(read(&file, 10 * PAGE as u64, 4 * PAGE) == third);
        direct.sync_all().unwrap();
    });
}

#[test]
fn direct_writes_extend_a_file() {
    on_mount(|mount| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).custom_flags(libc::O_DIRECT);
        let direct = options.open(mount.path("file")).unwrap();
        for number in 0..8 {
            let data = bytes(3 * PAGE, number + 1);
            direct.write_all_at(&data, number * 3 * PAGE as u64).unwrap();
        }
        let expected: Vec<u8> = (0..8).flat_map(|number| bytes(3 * PAGE, number + 1)).collect();
        assert!(fs::read(mount.path("file")).unwrap() == expected);
    });
}

#[test]
fn a_shared_mapping_reads_and_writes_the_file() {
    on_mount(|mount| {
        let file = open(mount, "file");
        file.write_all_at(&bytes(8 * PAGE, 1), 0).unwrap();
        let mut map = SharedMapping::new(&file).unwrap();
        assert!(map[..] == bytes(8 * PAGE, 1));
        map[PAGE..2 * PAGE].copy_from_slice(&bytes(PAGE, 2));
        assert!(read(&file, PAGE as u64, PAGE) == bytes(PAGE, 2));
        file.write_all_at(b"by write", 3 * PAGE as u64).unwrap();
        assert_eq!(&map[3 * PAGE..3 * PAGE + 8], b"by write");
        map.sync().unwrap();
        drop((map, file));
        mount.crash();
        let found = fs::read(mount.path("file")).unwrap();
        assert!(found[PAGE..2 * PAGE] == bytes(PAGE, 2) && found[3 * PAGE..][..8] == *b"by write");
    });
}

#[test]
fn a_mapping_of_a_hole_can_be_written() {
    on_mount(|mount| {
        let file = open(mount, "file");
        file.set_len(100 * PAGE as u64).unwrap();
        let mut map = SharedMapping::new(&file).unwrap();
        assert!(map.iter().all(|byte| *byte == 0));
        for page in (0..100).step_by(7) {
            map[page * PAGE + 5] = page as u8 + 1;
        }
        drop(map);
        drop(file);
        mount.unmount();
        mount.start();
        let found = fs::read(mount.path("file")).unwrap();
        for (at, byte) in found.iter().enumerate() {
            let (page, within) = (at / PAGE, at % PAGE);
            let expected = if page % 7 == 0 && within == 5 { page as u8 + 1 } else { 0 };
            assert_eq!(*byte, expected, "at {at}");
        }
    });
}

#[test]
fn what_is_larger_than_the_cache_goes_through_it() {
    braidfs_tests::mounted::on_mount_with(&["--cache-size", "4M"], |mount| {
        let content = bytes(40 << 20, 1);
        fs::write(mount.path("file"), &content).unwrap();
        assert!(fs::read(mount.path("file")).unwrap() == content);
        mount.unmount();
        mount.start();
        assert!(fs::read(mount.path("file")).unwrap() == content);
    });
}
