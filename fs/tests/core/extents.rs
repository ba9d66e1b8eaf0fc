//! What is remembered of where a file's blocks are, and when it must not be.

use std::sync::Arc;

use braidfs::{FallocateMode, MountOptions, SetAttributes, Volume};

use super::support::{BLOCK, MIB, assert_clean, device, find, put, quiet, write};

const PAGES: u64 = 1024;

/// A mounted volume whose cache holds a fraction of the file on it.
fn cold() -> (Arc<dyn braidfs_block::BlockDevice>, Arc<Volume>, u64) {
    let device = device(64);
    let options = || MountOptions { cache_bytes: Some(MIB), ..quiet() };
    let volume = Volume::mount(device.clone(), options()).unwrap();
    put(&volume, "other", &vec![9; 4 * MIB as usize]);
    put(&volume, "file", &[7; (PAGES * BLOCK) as usize]);
    volume.unmount().unwrap();
    drop(volume);
    let volume = Volume::mount(device.clone(), options()).unwrap();
    let inode = find(&volume, "file").unwrap();
    (device, volume, inode)
}

/// The byte that a page is full of.
fn byte_of(volume: &Volume, inode: u64, page: u64) -> u8 {
    let mut bytes = [0xee; BLOCK as usize];
    volume.read(inode, page * BLOCK, &mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == bytes[0]));
    bytes[0]
}

/// Reads another file until nothing of the first is cached.
fn evict(volume: &Volume) {
    let other = find(volume, "other").unwrap();
    for _ in 0..4 {
        (0..PAGES).for_each(|page| assert_eq!(byte_of(volume, other, page), 9));
    }
}

fn lookups(volume: &Volume) -> u64 {
    volume.statistics().store.map_lookups
}

#[test]
fn what_was_asked_once_is_not_asked_again() {
    let (device, volume, inode) = cold();
    let before = lookups(&volume);
    let anywhere = |turn: u64| turn * 389 % PAGES;
    (0..PAGES).for_each(|turn| assert_eq!(byte_of(&volume, inode, anywhere(turn)), 7));
    assert!(lookups(&volume) - before <= PAGES / 16, "{}", lookups(&volume) - before);
    evict(&volume);
    let before = lookups(&volume);
    (0..PAGES).for_each(|turn| assert_eq!(byte_of(&volume, inode, anywhere(turn)), 7));
    assert_eq!(lookups(&volume), before);
    volume.unmount().unwrap();
    drop(volume);
    assert_clean(&device);
}

#[test]
fn a_hole_is_remembered_as_a_hole() {
    let (_device, volume, inode) = cold();
    let size = Some(PAGES * BLOCK * 2);
    volume.setattr(inode, &SetAttributes { size, ..SetAttributes::default() }).unwrap();
    let page = PAGES + 5;
    assert_eq!(byte_of(&volume, inode, page), 0);
    let before = lookups(&volume);
    for page in page..page + 3 {
        assert_eq!(byte_of(&volume, inode, page), 0);
    }
    assert_eq!(lookups(&volume), before);
}

/// Changes pages, makes that durable, and reads them once they had to leave the cache.
fn changed(change: impl Fn(&Volume, u64), expected: impl Fn(u64) -> u8) {
    for durable in [false, true] {
        let (device, volume, inode) = cold();
        (0..PAGES).for_each(|page| assert_eq!(byte_of(&volume, inode, page), 7));
        change(&volume, inode);
        if durable {
            volume.syncfs().unwrap();
        }
        evict(&volume);
        (0..PAGES).for_each(|page| assert_eq!(byte_of(&volume, inode, page), expected(page)));
        // The blocks that were freed hold something else now, and the tree is folded.
        put(&volume, "third", &vec![5; 4 * MIB as usize]);
        volume.syncfs().unwrap();
        volume.unify().unwrap();
        put(&volume, "fourth", &vec![6; 4 * MIB as usize]);
        volume.syncfs().unwrap();
        evict(&volume);
        (0..PAGES).for_each(|page| assert_eq!(byte_of(&volume, inode, page), expected(page)));
        volume.unmount().unwrap();
        drop(volume);
        assert_clean(&device);
    }
}

#[test]
fn pages_written_anew_are_found_where_they_are_now() {
    changed(
        |volume, inode| {
            for page in (0..PAGES).step_by(3) {
                write(volume, inode, page * BLOCK, &[1; BLOCK as usize]);
            }
        },
        |page| if page.is_multiple_of(3) { 1 } else { 7 },
    );
}

#[test]
fn punched_and_cut_pages_are_holes() {
    let punch = |volume: &Volume, inode| {
        volume.fallocate(inode, FallocateMode::PunchHole, 10 * BLOCK, 300 * BLOCK).unwrap();
        for size in [700 * BLOCK, PAGES * BLOCK] {
            let size = Some(size);
            volume.setattr(inode, &SetAttributes { size, ..SetAttributes::default() }).unwrap();
        }
    };
    changed(punch, |page| if (10..310).contains(&page) || page >= 700 { 0 } else { 7 });
}

#[test]
fn holes_that_are_written_are_holes_no_more() {
    let (_device, volume, inode) = cold();
    let hole = FallocateMode::PunchHole;
    volume.fallocate(inode, hole, 0, PAGES * BLOCK).unwrap();
    volume.syncfs().unwrap();
    (0..PAGES).for_each(|page| assert_eq!(byte_of(&volume, inode, page), 0));
    write(&volume, inode, 100 * BLOCK, &[3; BLOCK as usize]);
    volume.fallocate(inode, FallocateMode::Allocate { keep_size: true }, 200 * BLOCK, BLOCK).unwrap();
    volume.fsync(inode, false).unwrap();
    evict(&volume);
    (0..PAGES).for_each(|page| {
        assert_eq!(byte_of(&volume, inode, page), if page == 100 { 3 } else { 0 });
    });
}
