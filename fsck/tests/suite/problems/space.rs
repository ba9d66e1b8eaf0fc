use braidfs_format::BLOCK_SIZE;

use super::*;

pub fn cases() -> Vec<Case> {
    vec![
        no_bitmap(),
        bitmaps_of_the_future(),
        torn_bitmap(),
        changed("B0903", "2 blocks", |volume| {
            let first = volume.geometry.data_start;
            volume.wrong_bits.extend([first, first + 1]);
        }),
        changed("B0904", "from block 7777", |volume| volume.wrong_bits.push(7777)),
        // Past the end of the volume the bits are set.
        changed("B0903", "from block 8192", |volume| volume.wrong_bits.push(8192)),
        changed("B0905", "says 5", |volume| {
            volume.superblock_edit = Some(Box::new(|superblock| superblock.used_blocks = 5));
        }),
        changed("B0906", "says 3", |volume| {
            volume.superblock_edit = Some(Box::new(|superblock| superblock.inode_count = 3));
        }),
        changed("B0907", "inode 9 exists", |volume| volume.next_inode = 9),
        next_inode_after_replay(),
        wrong_data(),
        unreadable_data(),
    ]
}

fn no_bitmap() -> Case {
    let device = sample().build();
    flip(&device, 2, 1000);
    flip(&device, 3, 1000);
    Case { id: "B0901", device: Box::new(device), says: "group 0" }
}

fn bitmaps_of_the_future() -> Case {
    let volume = sample();
    let device = volume.build();
    let mut later = sample();
    later.sequence = 8;
    let later = later.build();
    write_blocks(&device, 2, &read_block(&later, 2));
    write_blocks(&device, 3, &read_block(&later, 3));
    Case { id: "B0901", device: Box::new(device), says: "later sequence" }
}

fn torn_bitmap() -> Case {
    let device = sample().build();
    flip(&device, 3, 1000);
    Case { id: "B0902", device: Box::new(device), says: "block 3" }
}

fn next_inode_after_replay() -> Case {
    let mut volume = busy();
    // The tree's highest number is 9, that of the log 21.
    volume.next_inode = 11;
    built("B0907", "is 21, and inode 21", &volume)
}

fn wrong_data() -> Case {
    let volume = sample();
    let device = volume.build();
    flip(&device, volume.geometry.data_start + 1, BLOCK_SIZE - 1);
    Case { id: "B1001", device: Box::new(device), says: "inode 3, logical block 1" }
}

fn unreadable_data() -> Case {
    let volume = sample();
    let block = volume.geometry.data_start + 2;
    let device = Box::new(Unreadable { device: volume.build(), block });
    Case { id: "B1002", device, says: "inode 3, logical block 2" }
}
