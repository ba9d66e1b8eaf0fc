//! A writer that is faster than the disk: memory stays within its limits under every policy.

use std::sync::Arc;
use std::time::Duration;

use braidfs::{Credentials, MountOptions, ROOT_INODE, Volume};
use braidfs_block::{BlockOperation, FaultyDevice, MemoryDevice};
use braidfs_pagecache::WritebackPolicy;
use braidfs_tests::world::{LOG_BLOCKS, format, repeatable};

const MIB: u64 = 1 << 20;
const CACHE: u64 = 8 * MIB;
/// Bytes of one write.
const WRITE: usize = 128 << 10;

#[test]
fn memory_is_bounded_under_a_writer_faster_than_the_disk() {
    for policy in WritebackPolicy::ALL {
        let device = Arc::new(FaultyDevice::new(MemoryDevice::new(64 * MIB)));
        format(&device, LOG_BLOCKS);
        let options =
            MountOptions { policy, cache_bytes: Some(CACHE), background: true, ..repeatable() };
        let volume = Volume::mount(device.clone(), options).expect("mount");
        let owner = Credentials::default();
        let file = volume.mknod(ROOT_INODE, b"stream", 0o100_644, 0, &owner).expect("create").inode;
        device.set_latency(BlockOperation::Write, Duration::from_millis(4));
        // Over the same 6 MiB again and again, so that pages in flight are written too.
        for write in 0..240u64 {
            let offset = write * WRITE as u64 % (6 * MIB);
            volume.write(file, offset, &vec![write as u8 + 1; WRITE], false).expect("write");
            let counters = volume.statistics().cache;
            assert!(counters.dirty_bytes <= CACHE / 2 + WRITE as u64, "{policy}: {counters:?}");
            let forked = CACHE / 4 + WRITE as u64;
            assert!(counters.frozen_bytes <= forked, "{policy}: {counters:?}");
            assert!(counters.frames_used <= counters.frames_total, "{policy}: {counters:?}");
        }
        let counters = volume.statistics().cache;
        assert!(counters.throttle_ns > 0, "{policy}: the writer was held back: {counters:?}");
        volume.syncfs().expect("sync");
        let mut found = vec![0; WRITE];
        for write in 192..240u64 {
            let offset = write * WRITE as u64 % (6 * MIB);
            volume.read(file, offset, &mut found).expect("read");
            assert!(found.iter().all(|byte| *byte == write as u8 + 1), "{policy}: write {write}");
        }
        volume.unmount().expect("unmount");
    }
}
