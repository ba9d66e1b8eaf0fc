//! What is larger than a delta, a log, or any window something is looked at through.

use std::time::{Duration, Instant};

use braidfs::{AccessTime, ROOT_INODE, SeekTarget, SetAttributes, Volume};

use super::support::{
    BLOCK, assert_clean, content, crash, create, device, fresh, mkdir, mount, names, put, quiet,
    remount, write,
};

/// Content that goes into the log whole.
fn small(tag: usize) -> Vec<u8> {
    vec![tag as u8 | 1; 900]
}

#[test]
fn small_files_that_exceed_the_log_are_staged_in_portions() {
    let (device, volume) = fresh(32);
    let inodes: Vec<u64> =
        (0..1500).map(|tag| put(&volume, &format!("file {tag}"), &small(tag))).collect();
    volume.syncfs().expect("1500 files do not fit one delta, but several");
    let volume = crash(&device, volume);
    for (tag, inode) in inodes.iter().enumerate() {
        assert_eq!(content(&volume, *inode), small(tag));
    }
    remount(&device, volume);
}

#[test]
fn one_file_whose_changes_exceed_the_log_is_staged_in_portions() {
    let (device, volume) = fresh(64);
    let inode = put(&volume, "file", &vec![1; 40 << 20]);
    volume.syncfs().expect("syncfs");
    let pages = 5000;
    for page in 0..pages {
        write(&volume, inode, 2 * page * BLOCK, &small(page as usize));
    }
    write(&volume, inode, 50 << 20, b"end");
    volume.fsync(inode, false).expect("fsync");
    let volume = crash(&device, volume);
    let found = content(&volume, inode);
    for page in 0..pages {
        let at = (2 * page * BLOCK) as usize;
        assert_eq!(found[at..at + 900], small(page as usize), "page {page}");
        assert_eq!(found[at + 900], u8::from(at + 900 < 40 << 20));
    }
    assert!(found.ends_with(b"end"));
    remount(&device, volume);
}

#[test]
fn a_file_cut_and_written_again_beyond_the_log_is_staged_in_portions() {
    let (device, volume) = fresh(64);
    let inode = put(&volume, "file", &vec![1; 30 << 20]);
    volume.syncfs().expect("syncfs");
    let cut = SetAttributes { size: Some(100), ..SetAttributes::default() };
    volume.setattr(inode, &cut).expect("cut");
    for page in 0..3000 {
        write(&volume, inode, 2 * page * BLOCK, &small(page as usize));
    }
    let expected = content(&volume, inode);
    volume.fsync(inode, false).expect("fsync");
    let volume = crash(&device, volume);
    assert!(content(&volume, inode) == expected);
    remount(&device, volume);
}

#[test]
fn deletions_by_forget_do_not_outgrow_a_delta() {
    let (device, volume) = fresh(32);
    let inodes: Vec<u64> =
        (0..6000).map(|tag| create(&volume, &format!("{tag}")).expect("create")).collect();
    for tag in 0..inodes.len() {
        volume.unlink(ROOT_INODE, format!("{tag}").as_bytes()).expect("unlink");
    }
    volume.syncfs().expect("syncfs");
    inodes.iter().for_each(|inode| volume.forget(*inode, 1));
    volume.syncfs().expect("syncfs");
    let volume = crash(&device, volume);
    assert_eq!(volume.statfs().inodes - volume.statfs().inodes_free, 1);
    remount(&device, volume);
}

#[test]
fn more_orphans_than_a_delta_holds_do_not_hinder_a_mount() {
    let (device, volume) = fresh(32);
    for tag in 0..6000 {
        let name = format!("{tag}");
        create(&volume, &name).expect("create");
        volume.unlink(ROOT_INODE, name.as_bytes()).expect("unlink");
    }
    volume.syncfs().expect("syncfs");
    let volume = crash(&device, volume);
    let volume = remount(&device, volume);
    assert_eq!(volume.statfs().inodes - volume.statfs().inodes_free, 1);
}

#[test]
fn access_times_do_not_outgrow_a_delta() {
    let (device, volume) = fresh(32);
    let inodes: Vec<u64> = (0..3000).map(|tag| put(&volume, &format!("{tag}"), b"x")).collect();
    inodes.iter().for_each(|inode| volume.forget(*inode, 1));
    volume.unmount().expect("unmount");
    let options = braidfs::MountOptions { access_time: AccessTime::Strict, ..quiet() };
    let volume = Volume::mount(device.clone(), options).expect("mount");
    for inode in inodes {
        assert_eq!(volume.read(inode, 0, &mut [0; 9]).expect("read"), 1);
    }
    volume.syncfs().expect("syncfs");
    volume.unmount().expect("unmount");
    assert_clean(&device);
}

#[test]
fn a_huge_hole_is_sought_through_at_once() {
    let (_device, volume) = fresh(16);
    let inode = put(&volume, "file", b"start");
    let size = i64::MAX as u64;
    volume.write(inode, size - 3, b"end", false).expect("write");
    volume.syncfs().expect("syncfs");
    let began = Instant::now();
    assert_eq!(volume.seek(inode, BLOCK, SeekTarget::Data).expect("seek"), (size - 3) & !4095);
    assert_eq!(volume.seek(inode, 0, SeekTarget::Hole).expect("seek"), BLOCK);
    let cut = SetAttributes { size: Some(size - BLOCK), ..SetAttributes::default() };
    volume.setattr(inode, &cut).expect("cut");
    assert_eq!(
        volume.seek(inode, BLOCK, SeekTarget::Data).expect_err("no data").errno(),
        libc::ENXIO
    );
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(volume.write(inode, size, b"x", false).expect_err("too far").errno(), libc::EFBIG);
}

#[test]
fn a_large_directory_that_is_not_staged_is_read_in_small_pieces() {
    let device = device(64);
    let volume = mount(&device);
    let directory = mkdir(&volume, "directory");
    let count = 1000;
    for tag in 0..count {
        super::support::create_in(&volume, directory, &format!("{tag}")).expect("create");
    }
    let (mut after, mut seen) = (0, 0);
    loop {
        let before = after;
        let mut left = 3;
        volume
            .readdir(directory, after, &mut |entry| {
                left -= 1;
                after = entry.cookie;
                seen += 1;
                left > 0
            })
            .expect("readdir");
        if after == before {
            break;
        }
    }
    assert_eq!(seen, count + 2);
    assert_eq!(names(&volume, directory).len(), count);
}
