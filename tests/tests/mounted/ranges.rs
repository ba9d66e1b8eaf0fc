//! Truncating, preallocating, punching, seeking, copying.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};

use braidfs_tests::mounted::{Mount, on_mount};
use rustix::fs::{FallocateFlags, SeekFrom, copy_file_range, fallocate, seek};
use rustix::io::Errno;

use crate::bytes;

const PAGE: u64 = 4096;

fn open(mount: &Mount, name: &str) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    options.open(mount.path(name)).unwrap()
}

fn content(mount: &Mount, name: &str) -> Vec<u8> {
    fs::read(mount.path(name)).unwrap()
}

#[test]
fn what_is_cut_off_reads_as_zeros_when_it_comes_back() {
    on_mount(|mount| {
        let file = open(mount, "file");
        let data = bytes(50_000, 1);
        for cut in [0, 1, 4095, 4096, 4097, 20_000] {
            file.write_all_at(&data, 0).unwrap();
            file.set_len(cut).unwrap();
            file.set_len(60_000).unwrap();
            let found = content(mount, "file");
            assert!(found[..cut as usize] == data[..cut as usize], "cut at {cut}");
            assert!(found[cut as usize..].iter().all(|byte| *byte == 0), "cut at {cut}");
            assert_eq!(found.len(), 60_000);
        }
        file.sync_all().unwrap();
        drop(file);
        mount.crash();
        assert!(content(mount, "file")[..20_000] == data[..20_000]);
    });
}

#[test]
fn preallocation_takes_space_and_reads_as_zeros() {
    on_mount(|mount| {
        let file = open(mount, "file");
        fallocate(&file, FallocateFlags::empty(), 0, 1 << 20).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 1 << 20);
        file.write_all_at(b"content", 500_000).unwrap();
        file.sync_all().unwrap();
        drop(file);
        mount.unmount();
        mount.start();
        let seen = fs::metadata(mount.path("file")).unwrap();
        assert!(seen.blocks() >= (1 << 20) / 512, "{} blocks", seen.blocks());
        let found = content(mount, "file");
        assert!(
            found[..500_000].iter().all(|byte| *byte == 0) && found[500_000..][..7] == *b"content"
        );
    });
}

#[test]
fn preallocation_beyond_the_end_can_keep_the_size() {
    on_mount(|mount| {
        let file = open(mount, "file");
        file.write_all_at(b"content", 0).unwrap();
        fallocate(&file, FallocateFlags::KEEP_SIZE, 0, 1 << 20).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 7);
        file.sync_all().unwrap();
        file.set_len(100_000).unwrap();
        assert!(content(mount, "file")[7..].iter().all(|byte| *byte == 0));
    });
}

#[test]
fn holes_are_punched_and_ranges_zeroed() {
    on_mount(|mount| {
        let file = open(mount, "file");
        let mut shadow = bytes(100_000, 1);
        file.write_all_at(&shadow, 0).unwrap();
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        for (offset, length) in [(0, 100), (4096, 8192), (20_001, 13_333), (99_000, 50_000)] {
            fallocate(&file, punch, offset, length).unwrap();
            let end = ((offset + length) as usize).min(shadow.len());
            shadow[offset as usize..end].fill(0);
            assert!(content(mount, "file") == shadow, "punched at {offset}");
        }
        fallocate(&file, FallocateFlags::ZERO_RANGE, 50_000, 60_000).unwrap();
        shadow[50_000..].fill(0);
        shadow.resize(110_000, 0);
        assert!(content(mount, "file") == shadow);
        file.sync_all().unwrap();
        drop(file);
        mount.crash();
        assert!(content(mount, "file") == shadow);
    });
}

#[test]
fn a_punched_hole_gives_its_space_back() {
    on_mount(|mount| {
        let file = open(mount, "file");
        file.write_all_at(&bytes(8 << 20, 1), 0).unwrap();
        file.sync_all().unwrap();
        let available = || rustix::fs::statvfs(mount.root()).unwrap().f_bavail;
        let before = available();
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&file, punch, 0, 8 << 20).unwrap();
        for _ in 0..100 {
            mount.sync();
            if available() >= before + 1900 {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("{before} blocks were available, now {}", available());
    });
}

#[test]
fn what_can_not_be_done_is_refused() {
    on_mount(|mount| {
        let file = open(mount, "file");
        file.write_all_at(&bytes(50_000, 1), 0).unwrap();
        let collapse = fallocate(&file, FallocateFlags::COLLAPSE_RANGE, 0, PAGE);
        assert_eq!(collapse, Err(Errno::OPNOTSUPP));
        let insert = fallocate(&file, FallocateFlags::INSERT_RANGE, 0, PAGE);
        assert_eq!(insert, Err(Errno::OPNOTSUPP));
        assert_eq!(fallocate(&file, FallocateFlags::empty(), 0, 0), Err(Errno::INVAL));
        let reader = File::open(mount.path("file")).unwrap();
        assert_eq!(fallocate(&reader, FallocateFlags::empty(), 0, 10), Err(Errno::BADF));
        // More than there is: refused at once, with nothing taken.
        let available = || rustix::fs::statvfs(mount.root()).unwrap().f_bavail;
        let before = available();
        assert_eq!(fallocate(&file, FallocateFlags::empty(), 0, 1 << 40), Err(Errno::NOSPC));
        assert!(before.abs_diff(available()) < 64);
    });
}

#[test]
fn data_and_holes_are_found() {
    on_mount(|mount| {
        let file = open(mount, "file");
        file.write_all_at(&bytes(8192, 1), 1 << 20).unwrap();
        file.write_all_at(&bytes(8192, 2), 3 << 20).unwrap();
        file.set_len(5 << 20).unwrap();
        let check = || {
            let data = |offset| seek(&file, SeekFrom::Data(offset));
            let hole = |offset| seek(&file, SeekFrom::Hole(offset));
            assert_eq!(data(0), Ok(1 << 20));
            assert_eq!(hole(0), Ok(0));
            assert_eq!(hole(1 << 20), Ok((1 << 20) + 8192));
            assert_eq!(data((1 << 20) + 5000), Ok((1 << 20) + 5000));
            assert_eq!(data((1 << 20) + 8192), Ok(3 << 20));
            assert_eq!(data((3 << 20) + 8192), Err(Errno::NXIO));
            assert_eq!(hole((3 << 20) + 9000), Ok((3 << 20) + 9000));
            assert_eq!(hole(5 << 20), Err(Errno::NXIO));
        };
        // Before and after the data has reached the volume.
        check();
        file.sync_all().unwrap();
        check();
    });
}

#[test]
fn ranges_are_copied_within_and_between_files() {
    on_mount(|mount| {
        let (from, to) = (open(mount, "from"), open(mount, "to"));
        let data = bytes(1_000_000, 1);
        from.write_all_at(&data, 0).unwrap();
        let copy = |from: &File, mut start: u64, to: &File, mut target: u64, length: usize| {
            let mut left = length;
            while left > 0 {
                match copy_file_range(from, Some(&mut start), to, Some(&mut target), left) {
                    Ok(0) => break,
                    Ok(count) => left -= count,
                    Err(error) => panic!("copy_file_range: {error}"),
                }
            }
            length - left
        };
        assert_eq!(copy(&from, 1234, &to, 777, 500_000), 500_000);
        assert!(content(mount, "to")[777..] == data[1234..501_234]);
        assert_eq!(copy(&from, 999_000, &to, 0, 5000), 1000);
        assert_eq!(copy(&from, 0, &from, 1_000_000, 1_000_000), 1_000_000);
        assert!(content(mount, "from") == [&data[..], &data[..]].concat());
        to.sync_all().unwrap();
        drop((from, to));
        mount.unmount();
        mount.start();
        assert!(content(mount, "to")[..1000] == data[999_000..]);
    });
}
