//! Sizes, holes, preallocation and copies, with the blocks that they take and give back.

use braidfs::{FallocateMode, SeekTarget, SetAttributes, Volume};

use super::support::{BLOCK, content, create, fresh, mkdir, put, remount, write};

const KEEP: FallocateMode = FallocateMode::Allocate { keep_size: true };
const GROW: FallocateMode = FallocateMode::Allocate { keep_size: false };

fn resize(volume: &Volume, inode: u64, size: u64) {
    let wanted = SetAttributes { size: Some(size), ..SetAttributes::default() };
    volume.setattr(inode, &wanted).expect("resize");
}

fn blocks(volume: &Volume, inode: u64) -> u64 {
    volume.getattr(inode).expect("getattr").blocks_512 / 8
}

#[test]
fn preallocation_past_the_end_goes_with_a_cut_to_the_same_size_and_stays_when_the_file_grows() {
    let (device, volume) = fresh(16);
    for staged in [false, true] {
        let inode = put(&volume, &format!("file {staged}"), b"content");
        volume.fallocate(inode, KEEP, 0, 64 * BLOCK).unwrap();
        if staged {
            volume.syncfs().unwrap();
        }
        assert!((64..=65).contains(&blocks(&volume, inode)), "{}", blocks(&volume, inode));
        assert_eq!(volume.getattr(inode).unwrap().size, 7);
        resize(&volume, inode, 10);
        volume.syncfs().unwrap();
        assert_eq!(blocks(&volume, inode), 64);
        resize(&volume, inode, 10);
        volume.syncfs().unwrap();
        assert_eq!(blocks(&volume, inode), 1);
        assert_eq!(content(&volume, inode), b"content\0\0\0");
    }
    remount(&device, volume);
}

#[test]
fn allocating_what_is_there_needs_no_space() {
    let (device, volume) = fresh(16);
    let inode = put(&volume, "file", &vec![1; 5 << 20]);
    volume.syncfs().unwrap();
    let free = volume.statfs().blocks_available;
    let filler = create(&volume, "filler").unwrap();
    volume.fallocate(filler, GROW, 0, (free - 50) * BLOCK).unwrap();
    volume.fallocate(inode, GROW, 0, 5 << 20).unwrap();
    volume.fallocate(inode, FallocateMode::PunchHole, BLOCK, 4 << 20).unwrap();
    volume.syncfs().unwrap();
    assert_eq!(blocks(&volume, inode), (1 << 20) / BLOCK);
    let too_much = volume.fallocate(inode, GROW, 0, 1 << 62).unwrap_err();
    assert_eq!(too_much.errno(), libc::ENOSPC);
    remount(&device, volume);
}

#[test]
fn a_cut_and_a_punch_leave_zeros() {
    let (device, volume) = fresh(16);
    let inode = put(&volume, "file", &[7; 30_000]);
    volume.syncfs().unwrap();
    resize(&volume, inode, 5000);
    resize(&volume, inode, 30_000);
    let mut expected = vec![7; 5000];
    expected.resize(30_000, 0);
    assert!(content(&volume, inode) == expected);
    volume.fallocate(inode, FallocateMode::PunchHole, 100, 4500).unwrap();
    expected[100..4600].fill(0);
    assert!(content(&volume, inode) == expected);
    volume.forget(inode, 1);
    let volume = remount(&device, volume);
    assert!(content(&volume, inode) == expected);
    assert_eq!(volume.seek(inode, 0, SeekTarget::Data).unwrap(), 0);
    assert_eq!(volume.seek(inode, 5000, SeekTarget::Hole).unwrap(), 8192);
    assert_eq!(volume.seek(inode, 30_000, SeekTarget::Hole).unwrap_err().errno(), libc::ENXIO);
    remount(&device, volume);
}

#[test]
fn copies_within_and_between_files() {
    let (_device, volume) = fresh(16);
    let from = put(&volume, "from", &[3; 10_000]);
    let to = put(&volume, "to", b"");
    assert_eq!(volume.copy_file_range(from, 9000, to, 5, 5000).unwrap(), 1000);
    assert_eq!(volume.copy_file_range(from, 10_000, to, 0, 5).unwrap(), 0);
    assert_eq!(volume.getattr(to).unwrap().size, 1005);
    let overlapping = volume.copy_file_range(from, 0, from, 5, 10).unwrap_err();
    assert_eq!(overlapping.errno(), libc::EINVAL);
    let directory = mkdir(&volume, "directory");
    assert_eq!(volume.copy_file_range(directory, 0, to, 0, 5).unwrap_err().errno(), libc::EISDIR);
    let far = volume.copy_file_range(from, 0, to, i64::MAX as u64 - 5, 10).unwrap_err();
    assert_eq!(far.errno(), libc::EFBIG);
}

#[test]
fn names_that_are_refused_hold_no_space() {
    let (_device, volume) = fresh(16);
    create(&volume, "name").unwrap();
    volume.syncfs().unwrap();
    let before = volume.statfs().blocks_available;
    for _ in 0..500 {
        assert_eq!(create(&volume, "name").unwrap_err().errno(), libc::EEXIST);
    }
    assert_eq!(volume.statfs().blocks_available, before);
}

#[test]
fn a_full_volume_does_not_reclaim_what_it_has_not() {
    let (device, volume) = fresh(16);
    let inode = create(&volume, "file").unwrap();
    let mut offset = 0;
    while volume.write(inode, offset, &vec![9; 1 << 18], false).is_ok() {
        offset += 1 << 18;
    }
    while volume.write(inode, offset, &[9; 4096], false).is_ok() {
        offset += BLOCK;
    }
    let before = volume.statistics().store;
    for _ in 0..50 {
        let full = volume.write(inode, offset, &[9; 4096], false).unwrap_err();
        assert_eq!(full.errno(), libc::ENOSPC);
    }
    let after = volume.statistics().store;
    assert_eq!((after.unifies, after.flushes), (before.unifies, before.flushes));
    resize(&volume, inode, 4096);
    write(&volume, inode, 0, &vec![1; 1 << 20]);
    remount(&device, volume);
}

#[test]
fn statfs_counts_what_files_take() {
    let (device, volume) = fresh(16);
    let before = volume.statfs();
    assert!(before.blocks_available <= before.blocks_free && before.blocks_free <= before.blocks);
    let inode = put(&volume, "file", &vec![1; 2 << 20]);
    volume.syncfs().unwrap();
    assert!(volume.statfs().blocks_free + 512 <= before.blocks_free);
    volume.unlink(braidfs::ROOT_INODE, b"file").unwrap();
    volume.forget(inode, 1);
    let volume = remount(&device, volume);
    assert!(volume.statfs().blocks_free + 16 >= before.blocks_free);
}
