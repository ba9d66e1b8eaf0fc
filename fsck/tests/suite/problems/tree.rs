use braidfs_format::item::SharedRange;
use braidfs_format::{Item, Key};

use super::*;

pub fn cases() -> Vec<Case> {
    vec![
        outside(),
        twice(),
        unreadable(),
        damaged(),
        damaged_root(),
        misplaced(),
        malformed(),
        malformed_item(),
        out_of_bounds(0, |volume| raised(volume, 0)),
        out_of_bounds(1, |volume| raised(volume, 1)),
        out_of_bounds(1, |volume| *volume.items.keys().nth(1).unwrap()),
        empty(),
        changed("B0310", "says 1", |volume| {
            volume.superblock_edit = Some(Box::new(|superblock| superblock.node_count = 1));
        }),
        // Three blocks that two files have, and a count that is missing, too low or too high.
        built("B0311", "3 blocks", &sharing(&[])),
        built("B0311", "1 blocks", &sharing(&[(0, 2, 1)])),
        built("B0311", "3 references beyond the first, and 2 are counted", &shared_often(2)),
        built("B0312", "3 blocks", &sharing(&[(0, 3, 2)])),
        built(
            "B0312",
            "1 references beyond the first, and 4 are counted",
            &sharing(&[(0, 1, 1), (1, 1, 4), (2, 1, 1)]),
        ),
        built("B0312", "0 references beyond the first, and 1 are counted", &sharing(&[(0, 4, 1)])),
        changed("B0313", "block", |volume| {
            let range = SharedRange { length: 1, extra_references: 1 };
            let block = volume.end_of_data() - 1;
            volume.items.insert(Key::shared(block), Item::Shared(range));
        }),
    ]
}

fn outside() -> Case {
    changed("B0301", "block 8192", |volume| {
        let second = volume.leaf_start(1);
        volume.interior_edit = Some(Box::new(move |level, entries| {
            for (_, pointer) in entries.iter_mut().filter(|(key, _)| level == 1 && *key == second) {
                pointer.address = 8192;
            }
        }));
    })
}

fn twice() -> Case {
    changed("B0302", "overlaps", |volume| {
        let first = volume.leaf_start(0);
        volume.interior_edit = Some(Box::new(move |level, entries| {
            if level == 1 && entries[0].0 == first {
                entries[1].1 = entries[0].1;
            }
        }));
    })
}

fn unreadable() -> Case {
    let volume = sample();
    let block = volume.leaf_address(2) + 3;
    let device = Box::new(Unreadable { device: volume.build(), block });
    Case { id: "B0303", device, says: "cannot read" }
}

fn damaged() -> Case {
    let volume = sample();
    let device = volume.build();
    flip(&device, volume.leaf_address(2) + 3, 4095);
    Case { id: "B0304", device: Box::new(device), says: "it should hold" }
}

fn damaged_root() -> Case {
    let mut volume = sample();
    volume.fanout = 100;
    let device = volume.build();
    flip(&device, volume.leaf_address(0), 0);
    Case { id: "B0304", device: Box::new(device), says: "everything" }
}

fn misplaced() -> Case {
    let volume = sample();
    let device = volume.build();
    let node = read_node(&device, volume.leaf_address(1));
    write_blocks(&device, volume.leaf_address(0), &node);
    Case { id: "B0305", device: Box::new(device), says: "belongs to block" }
}

/// A change of the bytes of a leaf that keeps its checksum right.
fn leaf_edit(id: &'static str, says: &'static str, edit: impl Fn(&mut Vec<u8>) + 'static) -> Case {
    let mut volume = sample();
    volume.leaf_edits.insert(0, Box::new(edit));
    built(id, says, &volume)
}

fn malformed() -> Case {
    // The third key, that of the first directory entry, gets the highest hash there is.
    let third = 64 + 19 + (19 + 100);
    leaf_edit("B0306", "follows", move |bytes| bytes[third + 9..third + 16].fill(0xff))
}

fn malformed_item() -> Case {
    // The root's mode, behind an orphan record and the key of the root's own record.
    leaf_edit("B0307", "inode record", |bytes| bytes[64 + 19 + 19..][..4].fill(0))
}

/// The bound of a leaf is moved, so that it or the one before it is outside of its bounds.
fn out_of_bounds(leaf: usize, moved: impl Fn(&VolumeBuilder) -> Key) -> Case {
    changed("B0308", "keys outside", |volume| {
        let (bound, moved) = (volume.leaf_start(leaf), moved(volume));
        volume.interior_edit = Some(Box::new(move |level, entries| {
            for (key, _) in entries.iter_mut().filter(|(key, _)| level == 1 && *key == bound) {
                *key = moved;
            }
        }));
    })
}

/// A key that is just above the first of a leaf.
fn raised(volume: &VolumeBuilder, leaf: usize) -> Key {
    let first = volume.leaf_start(leaf);
    Key { offset: first.offset + 1, ..first }
}

/// A leaf that held an attribute and nothing else holds nothing.
fn empty() -> Case {
    let mut volume = sample();
    volume.fanout = 1;
    let (key, _) = volume.xattr(FILE, "user.comment", "");
    let leaf = volume.leaf_with(&key);
    volume.leaf_edits.insert(
        leaf,
        Box::new(|bytes| {
            bytes[14..16].fill(0);
            bytes[48..52].fill(0);
            bytes[64..].fill(0);
        }),
    );
    built("B0309", "is empty", &volume)
}
