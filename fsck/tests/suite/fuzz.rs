//! Random damage: whatever is on the disk, a check comes to an end and does not panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use braidfs_block::MemoryDevice;
use braidfs_format::log::TRANSACTION_HEADER_BYTES;
use braidfs_format::{BLOCK_SIZE, NODE_BLOCKS, TransactionHeader, checksum};
use braidfs_fsck::{CheckOptions, Silent, check};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use crate::support::*;

/// Damaged volumes of each kind; more at night.
fn rounds() -> u64 {
    let wanted = std::env::var("BRAIDFS_FUZZ_ROUNDS").ok();
    wanted.and_then(|rounds| rounds.parse().ok()).unwrap_or(700)
}

/// The verbs of the damage.
fn damage(random: &mut Xoshiro256PlusPlus, bytes: &mut [u8]) {
    let length = bytes.len() as u64;
    for _ in 0..1 + random.next_u64() % 4 {
        let at = (random.next_u64() % length) as usize;
        match random.next_u64() % 6 {
            0 => bytes[at] ^= 1 << (random.next_u64() % 8),
            1 => bytes[at] = 0,
            2 => bytes[at] = 0xff,
            3 => bytes[at] = bytes[at].wrapping_add(1),
            4 => bytes[at] = random.next_u64() as u8,
            _ => {
                let end = (at + 8).min(bytes.len());
                bytes[at..end].fill(random.next_u64() as u8);
            }
        }
    }
}

fn check_survives(device: &MemoryDevice, seed: u64) {
    let options = CheckOptions { data: true, ..CheckOptions::forced() };
    let outcome = catch_unwind(AssertUnwindSafe(|| check(device, &options, &Silent)));
    let Ok(outcome) = outcome else { panic!("seed {seed} made the check panic") };
    if let Ok(report) = outcome {
        let messages = report.findings.iter().map(|finding| finding.message());
        assert!(messages.into_iter().all(|message| !message.contains("(unknown)")), "seed {seed}");
        serde_json::to_string(&report).unwrap();
    }
}

/// Blocks that hold something the check reads by its structure.
fn structures(volume: &VolumeBuilder) -> Vec<u64> {
    let mut blocks = vec![0, 1, 2, 3, 8190, 8191];
    blocks.extend(volume.transaction_addresses());
    let nodes = volume.leaf_address(0)..volume.leaf_address(12);
    blocks.extend(nodes.step_by(NODE_BLOCKS as usize));
    blocks
}

#[test]
fn random_bytes_anywhere() {
    let volume = busy();
    let (whole, blocks) = (volume.build(), structures(&volume));
    for seed in 0..rounds() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let device = whole.clone();
        for _ in 0..1 + random.next_u64() % 3 {
            let address = blocks[(random.next_u64() % blocks.len() as u64) as usize];
            let mut block = read_block(&device, address);
            damage(&mut random, &mut block);
            write_blocks(&device, address, &block);
        }
        check_survives(&device, seed);
    }
}

#[test]
fn random_bytes_in_nodes_with_good_checksums() {
    for seed in 0..rounds() {
        let mut volume = busy();
        volume.fanout = 3;
        let leaf = (seed % 10) as usize;
        volume.leaf_edits.insert(
            leaf,
            Box::new(move |bytes| {
                let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
                // Where the entries are: the rest is zeros and would only be refused.
                damage(&mut random, &mut bytes[64..400]);
            }),
        );
        check_survives(&volume.build(), seed);
    }
}

#[test]
fn random_pointers_with_good_checksums() {
    for seed in 0..rounds() {
        let mut volume = busy();
        volume.fanout = 2;
        let first = volume.leaf_address(0);
        volume.interior_edit = Some(Box::new(move |level, entries| {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed ^ u64::from(level) << 32);
            for (key, pointer) in entries.iter_mut() {
                match random.next_u64() % 16 {
                    0 => pointer.address = first + random.next_u64() % 16 * NODE_BLOCKS,
                    1 => key.offset = key.offset.wrapping_add(random.next_u64() % 3),
                    2 => pointer.checksum ^= 1,
                    _ => {}
                }
            }
            entries.sort_by_key(|(key, _)| *key);
            entries.dedup_by_key(|(key, _)| *key);
        }));
        check_survives(&volume.build(), seed);
    }
}

#[test]
fn random_records_with_good_checksums() {
    for seed in 0..rounds() {
        let mut volume = busy();
        volume.payload_edit = Some(Box::new(move |index, payload| {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            if seed % 3 == index as u64 {
                damage(&mut random, payload);
            }
        }));
        check_survives(&volume.build(), seed);
    }
}

#[test]
fn random_headers_and_superblocks_with_good_checksums() {
    let volume = busy();
    let whole = volume.build();
    let heads = volume.transaction_addresses();
    for seed in 0..rounds() {
        let device = whole.clone();
        // Where the structure begins, how many bytes have fields, and how many the checksum covers.
        let (addresses, fields, sealed) = match seed % 4 {
            0 => (vec![0, 1, 8190, 8191], 320, BLOCK_SIZE),
            index => {
                let header = TRANSACTION_HEADER_BYTES;
                (vec![heads[index as usize - 1]], header, header)
            }
        };
        for address in addresses {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            let mut block = read_block(&device, address);
            damage(&mut random, &mut block[12..fields]);
            checksum::seal(&mut block[..sealed]);
            write_blocks(&device, address, &block);
        }
        check_survives(&device, seed);
    }
}

/// A header may claim four gigabytes of records: nothing of that size is allocated before it is
/// seen that they are not there.
#[test]
fn huge_lengths_are_not_believed() {
    let mut volume = busy();
    volume.header_edit = Some(Box::new(|index, header| {
        if index == 1 {
            header.payload_bytes = u32::MAX;
            header.block_length = TransactionHeader::blocks_for(u32::MAX);
            header.record_count = u32::MAX;
        }
    }));
    check_survives(&volume.build(), 0);
    let mut volume = busy();
    volume.header_edit = Some(Box::new(|_, header| header.record_count = u32::MAX));
    check_survives(&volume.build(), 0);
}
