//! Copies that share blocks: what they cost, what they read as, and when blocks are free again.

use std::sync::Arc;

use braidfs::{FallocateMode, ROOT_INODE, Volume};

use super::support::*;

fn pattern(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 7) as u8 ^ seed).collect()
}

fn copy_all(volume: &Volume, from: u64, name: &str) -> u64 {
    let to = create(volume, name).unwrap();
    let size = volume.getattr(from).unwrap().size;
    assert_eq!(volume.copy_file_range(from, 0, to, 0, size).unwrap(), size);
    to
}

fn delete(volume: &Volume, name: &str) {
    let inode = find(volume, name).unwrap();
    volume.unlink(ROOT_INODE, name.as_bytes()).unwrap();
    volume.forget(inode, 1000);
}

/// Blocks in use, with nothing on its way to being free.
fn used(volume: &Volume) -> u64 {
    for _ in 0..3 {
        volume.syncfs().unwrap();
        volume.unify().unwrap();
    }
    let space = volume.statfs();
    space.blocks - space.blocks_free
}

#[test]
fn a_copy_writes_no_data_and_takes_no_blocks() {
    let (device, volume) = fresh(64);
    let data = pattern(1, 8 << 20);
    let from = put(&volume, "from", &data);
    volume.syncfs().unwrap();
    copy_all(&volume, from, "first");
    let (before, blocks) = (volume.statistics().store, used(&volume));
    let to = copy_all(&volume, from, "to");
    let blocks_after = used(&volume);
    let after = volume.statistics().store;
    assert_eq!(after.data_blocks_written, before.data_blocks_written);
    assert!(blocks_after <= blocks + 32, "{blocks} blocks, then {blocks_after}");
    assert_eq!(volume.getattr(to).unwrap().blocks_512, volume.getattr(from).unwrap().blocks_512);
    assert_eq!(content(&volume, to), data);
    let volume = remount(&device, volume);
    let to = find(&volume, "to").unwrap();
    assert_eq!(content(&volume, to), data);
}

#[test]
fn writing_one_of_two_leaves_the_other_as_it_was() {
    let (device, volume) = fresh(64);
    let data = pattern(2, 4 << 20);
    let from = put(&volume, "from", &data);
    let to = copy_all(&volume, from, "to");
    let mut changed = data.clone();
    changed[5000..25_000].fill(9);
    write(&volume, to, 5000, &changed[5000..25_000]);
    write(&volume, from, 1 << 20, &[7; 4096]);
    let mut original = data.clone();
    original[1 << 20..(1 << 20) + 4096].fill(7);
    for _ in 0..2 {
        assert!(content(&volume, to) == changed && content(&volume, from) == original);
        volume.syncfs().unwrap();
        volume.unify().unwrap();
    }
    let volume = remount(&device, volume);
    assert!(content(&volume, find(&volume, "to").unwrap()) == changed);
    assert!(content(&volume, find(&volume, "from").unwrap()) == original);
}

/// Every order of unifies between the deaths of three owners.
#[test]
fn blocks_are_free_when_the_last_owner_lets_go() {
    for unifies in 0..8u8 {
        let (device, volume) = fresh(64);
        put(&volume, "first", b"sets what a volume has from its first share on");
        let empty = {
            let one = put(&volume, "one", &pattern(3, 200_000));
            copy_all(&volume, one, "two");
            delete(&volume, "one");
            delete(&volume, "two");
            used(&volume)
        };
        let data = pattern(4, 6 << 20);
        let from = put(&volume, "a", &data);
        copy_all(&volume, from, "b");
        copy_all(&volume, from, "c");
        let mut left = vec!["a", "b", "c"];
        for (turn, name) in ["b", "a", "c"].into_iter().enumerate() {
            if unifies & 1 << turn != 0 {
                used(&volume);
            } else {
                volume.syncfs().unwrap();
            }
            delete(&volume, name);
            left.retain(|other| *other != name);
            // Written over what was freed, if anything was.
            put(&volume, "other", &pattern(5, 3 << 20));
            volume.syncfs().unwrap();
            for name in &left {
                assert!(content(&volume, find(&volume, name).unwrap()) == data, "{unifies} {turn}");
            }
            delete(&volume, "other");
        }
        let after = used(&volume);
        assert!(after <= empty + 16, "{unifies}: {empty} blocks, then {after}");
        remount(&device, volume);
    }
}

/// The source is overwritten, published and unified while the share is still on its way.
#[test]
fn a_share_keeps_its_blocks_before_it_is_published() {
    let (device, volume) = fresh(64);
    let data = pattern(6, 2 << 20);
    let from = put(&volume, "from", &data);
    volume.syncfs().unwrap();
    let to = copy_all(&volume, from, "to");
    write(&volume, from, 0, &pattern(7, 2 << 20));
    volume.fsync(from, false).unwrap();
    volume.unify().unwrap();
    volume.fsync(from, false).unwrap();
    volume.unify().unwrap();
    put(&volume, "other", &pattern(8, 20 << 20));
    volume.fsync(find(&volume, "other").unwrap(), false).unwrap();
    assert!(content(&volume, to) == data);
    volume.syncfs().unwrap();
    let volume = crash(&device, volume);
    assert!(content(&volume, find(&volume, "to").unwrap()) == data);
    remount(&device, volume);
}

#[test]
fn a_share_that_is_given_up_frees_what_only_it_had() {
    let (device, volume) = fresh(64);
    let from = put(&volume, "from", &pattern(9, 4 << 20));
    volume.syncfs().unwrap();
    let to = copy_all(&volume, from, "to");
    let before = used(&volume);
    let third = copy_all(&volume, to, "third");
    // The original goes, and is unified away, while the third is not published.
    for name in ["from", "to"] {
        delete(&volume, name);
    }
    volume.fsync(ROOT_INODE, false).unwrap();
    volume.unify().unwrap();
    volume.fallocate(third, FallocateMode::PunchHole, 0, 4 << 20).unwrap();
    assert!(used(&volume) + 1000 < before);
    remount(&device, volume);
}

#[test]
fn edges_holes_and_the_end_are_copied_as_they_are() {
    let (device, volume) = fresh(64);
    let mut data = pattern(10, 1_000_003);
    let from = put(&volume, "from", &data);
    volume.fallocate(from, FallocateMode::PunchHole, 8192, 300_000).unwrap();
    data[8192..308_192].fill(0);
    let cases = [(0, 0, 1_000_003), (4096, 8192, 500_000), (100, 4196, 900_000), (5, 6, 70_000)];
    for (number, (start, to_start, length)) in cases.into_iter().enumerate() {
        let before = pattern(11, 1_200_000);
        let to = put(&volume, &format!("to {number}"), &before);
        let copied = volume.copy_file_range(from, start, to, to_start, length).unwrap();
        assert_eq!(copied, length);
        let mut expected = before;
        let (start, to_start, length) = (start as usize, to_start as usize, length as usize);
        expected[to_start..to_start + length].copy_from_slice(&data[start..start + length]);
        assert!(content(&volume, to) == expected, "case {number}");
        volume.syncfs().unwrap();
        assert!(content(&volume, to) == expected, "case {number}");
    }
    let grown = copy_all(&volume, from, "grown");
    volume
        .setattr(grown, &braidfs::SetAttributes { size: Some(1_100_000), ..Default::default() })
        .unwrap();
    data.resize(1_100_000, 0);
    assert!(content(&volume, grown) == data);
    remount(&device, volume);
}

#[test]
fn a_file_may_share_with_itself() {
    let (device, volume) = fresh(64);
    let mut data = pattern(12, 1 << 20);
    let inode = put(&volume, "file", &data);
    let before = used(&volume);
    for at in 1..5u64 {
        let copied = volume.copy_file_range(inode, 0, inode, at << 20, 1 << 20).unwrap();
        assert_eq!(copied, 1 << 20);
    }
    data = data.repeat(5);
    assert!(content(&volume, inode) == data);
    let after = used(&volume);
    assert!(after <= before + 16, "{before} blocks, then {after}");
    let overlap = volume.copy_file_range(inode, 0, inode, 4096, 8192).unwrap_err();
    assert_eq!(overlap.errno(), libc::EINVAL);
    let volume = remount(&device, volume);
    let inode = find(&volume, "file").unwrap();
    assert!(content(&volume, inode) == data);
    delete(&volume, "file");
    remount(&device, volume);
}

/// Replay takes up what it finds: shares of blocks in the log, and of blocks in the tree.
#[test]
fn shares_survive_a_crash() {
    let (device, volume) = fresh(64);
    let data = pattern(13, 3 << 20);
    let in_tree = put(&volume, "in tree", &data);
    copy_all(&volume, in_tree, "share in tree");
    used(&volume);
    let in_log = put(&volume, "in log", &pattern(14, 3 << 20));
    copy_all(&volume, in_log, "log 1");
    copy_all(&volume, in_tree, "tree 1");
    volume.syncfs().unwrap();
    write(&volume, in_log, 0, &pattern(15, 3 << 20));
    delete(&volume, "in tree");
    volume.syncfs().unwrap();
    let mut volume: Arc<Volume> = volume;
    for _ in 0..3 {
        volume = crash(&device, volume);
        assert!(content(&volume, find(&volume, "log 1").unwrap()) == pattern(14, 3 << 20));
        assert!(content(&volume, find(&volume, "tree 1").unwrap()) == data);
        put(&volume, "other", &pattern(16, 8 << 20));
        volume.syncfs().unwrap();
        delete(&volume, "other");
        volume.syncfs().unwrap();
    }
    let volume = remount(&device, volume);
    for name in ["log 1", "tree 1", "share in tree", "in log"] {
        delete(&volume, name);
    }
    let volume = remount(&device, volume);
    let space = volume.statfs();
    assert!(space.blocks - space.blocks_free < 200);
}

#[test]
fn a_copy_fits_a_full_volume() {
    let (device, volume) = fresh(32);
    let from = put(&volume, "from", &pattern(17, 10 << 20));
    copy_all(&volume, from, "early");
    let filler = create(&volume, "filler").unwrap();
    let mut at = 0;
    while volume.write(filler, at, &vec![1; 1 << 16], false).is_ok() {
        at += 1 << 16;
    }
    volume.syncfs().unwrap();
    volume
        .setattr(
            filler,
            &braidfs::SetAttributes { size: Some(at - (1 << 19)), ..Default::default() },
        )
        .unwrap();
    let mut copies = 0;
    for number in 0..20 {
        let Ok(to) = create(&volume, &format!("copy {number}")) else { break };
        if volume.copy_file_range(from, 0, to, 0, 10 << 20).ok() != Some(10 << 20) {
            break;
        }
        copies += 1;
    }
    assert!(copies >= 5, "{copies} copies of 10 MiB");
    volume.syncfs().unwrap();
    remount(&device, volume);
}
