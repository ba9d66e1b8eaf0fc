use braidfs_block::MemoryDevice;
use braidfs_format::{BLOCK_SIZE, Superblock, checksum};
use uuid::Uuid;

use super::*;

pub fn cases() -> Vec<Case> {
    vec![
        none_left(),
        torn(0),
        torn(8191),
        gone(),
        impossible(),
        disagreeing(),
        foreign(),
        cut_short(),
    ]
}

fn none_left() -> Case {
    let device = sample().build();
    for block in [0, 1, 8190, 8191] {
        flip(&device, block, 100);
    }
    Case { id: "B0101", device: Box::new(device), says: "block 8191" }
}

/// Any one copy may be torn, and the volume is as good as before.
fn torn(block: u64) -> Case {
    let device = sample().build();
    flip(&device, block, 300);
    Case { id: "B0102", device: Box::new(device), says: "checksum" }
}

fn gone() -> Case {
    let device = sample().build();
    write_blocks(&device, 0, &[0; BLOCK_SIZE]);
    Case { id: "B0102", device: Box::new(device), says: "magic" }
}

/// Changes the copy at `block` and puts its checksum right.
fn edited(block: u64, edit: impl Fn(&mut Superblock)) -> MemoryDevice {
    let device = sample().build();
    let mut superblock = Superblock::decode(&read_block(&device, block), block).unwrap();
    edit(&mut superblock);
    write_blocks(&device, block, &superblock.encode().unwrap());
    device
}

fn impossible() -> Case {
    let device = sample().build();
    let mut block = read_block(&device, 1);
    block[40] ^= 1;
    checksum::seal(&mut block);
    write_blocks(&device, 1, &block);
    Case { id: "B0103", device: Box::new(device), says: "block 1" }
}

fn disagreeing() -> Case {
    let device = edited(8190, |superblock| superblock.label = "another".into());
    Case { id: "B0104", device: Box::new(device), says: "blocks 8190 and 0" }
}

fn foreign() -> Case {
    let device = edited(1, |superblock| superblock.volume_id = Uuid::from_u128(1));
    Case { id: "B0105", device: Box::new(device), says: "00000000-0000-0000-0000-000000000001" }
}

fn cut_short() -> Case {
    let whole = sample().build();
    let device = MemoryDevice::new(5000 * BLOCK_SIZE as u64);
    for block in 0..5000 {
        write_blocks(&device, block, &read_block(&whole, block));
    }
    Case {
        id: "B0106",
        device: Box::new(device),
        says: "8192 blocks of 4096 bytes and the device only 5000",
    }
}
