//! Volumes for the tests, made with the encoders of the format alone, and ways to damage them.

mod build;
mod builder;
mod log;
mod sample;
mod unreadable;

use std::io::IoSlice;

use braidfs_block::{BlockDevice, MemoryDevice};
use braidfs_format::{BLOCK_SIZE, NODE_SIZE};
use braidfs_fsck::{CheckOptions, Report, Silent, check};

pub use builder::{VolumeBuilder, inode_record};
pub use log::Transaction;
pub use sample::*;
pub use unreadable::Unreadable;

/// Checks everything, data too.
pub fn check_all(device: &dyn BlockDevice) -> Report {
    let options = CheckOptions { data: true, ..CheckOptions::forced() };
    check(device, &options, &Silent).unwrap()
}

/// The block at `address`.
pub fn read_block(device: &dyn BlockDevice, address: u64) -> Vec<u8> {
    read_blocks(device, address, BLOCK_SIZE)
}

/// The node at `address`.
pub fn read_node(device: &dyn BlockDevice, address: u64) -> Vec<u8> {
    read_blocks(device, address, NODE_SIZE)
}

fn read_blocks(device: &dyn BlockDevice, address: u64, bytes: usize) -> Vec<u8> {
    let mut buffer = vec![0; bytes];
    device.read_at(address * BLOCK_SIZE as u64, &mut buffer).unwrap();
    buffer
}

/// Writes whole blocks at `address`.
pub fn write_blocks(device: &dyn BlockDevice, address: u64, bytes: &[u8]) {
    device.write_at(address * BLOCK_SIZE as u64, &[IoSlice::new(bytes)]).unwrap();
}

/// Flips a bit of byte `offset` of the block at `address`.
pub fn flip(device: &MemoryDevice, address: u64, offset: usize) {
    let mut block = read_block(device, address);
    block[offset] ^= 1;
    write_blocks(device, address, &block);
}
