//! What an operation costs, counted at the device: one flush an fsync, no waiting for writeback.

use std::sync::Arc;
use std::time::{Duration, Instant};

use braidfs::{Credentials, MountOptions, ROOT_INODE, Volume};
use braidfs_block::{BlockDevice, BlockOperation, CountingDevice, FaultyDevice, MemoryDevice};
use braidfs_pagecache::WritebackPolicy;
use braidfs_tests::world::{LOG_BLOCKS, format, repeatable};

const VOLUME_BYTES: u64 = 128 << 20;
/// So slow that nothing else counts, on a busy machine either.
const SLOW_FLUSH: Duration = Duration::from_millis(1200);

fn mount<D: BlockDevice + 'static>(device: &Arc<D>, options: MountOptions) -> Arc<Volume> {
    format(device, LOG_BLOCKS);
    Volume::mount(device.clone(), options).expect("mount")
}

fn create(volume: &Volume, name: &str) -> u64 {
    let owner = Credentials::default();
    volume.mknod(ROOT_INODE, name.as_bytes(), 0o100_644, 0, &owner).expect("create").inode
}

#[test]
fn an_fsync_of_a_small_file_is_one_write_and_one_flush() {
    let device = Arc::new(CountingDevice::new(MemoryDevice::new(VOLUME_BYTES)));
    let volume = mount(&device, repeatable());
    let file = create(&volume, "log");
    volume.fsync(file, false).expect("fsync");
    for record in 0..20 {
        device.take_counts();
        volume.write(file, record * 1000, &[7; 1000], false).expect("append");
        volume.fsync(file, false).expect("fsync");
        let counts = device.take_counts();
        assert_eq!((counts.writes, counts.flushes), (1, 1), "record {record}");
        assert!(counts.written_bytes <= 8192, "{} bytes for a record", counts.written_bytes);
    }
}

#[test]
fn an_fsync_with_nothing_to_do_costs_nothing() {
    let device = Arc::new(CountingDevice::new(MemoryDevice::new(VOLUME_BYTES)));
    let volume = mount(&device, repeatable());
    let file = create(&volume, "file");
    volume.fsync(file, false).expect("fsync");
    device.take_counts();
    volume.fsync(file, false).expect("fsync");
    let counts = device.take_counts();
    assert_eq!((counts.writes, counts.flushes, counts.reads), (0, 0, 0));
}

#[test]
fn an_fsync_does_not_write_what_others_have_written() {
    let device = Arc::new(CountingDevice::new(MemoryDevice::new(VOLUME_BYTES)));
    let options = MountOptions { cache_bytes: Some(64 << 20), ..repeatable() };
    let volume = mount(&device, options);
    let (stream, log) = (create(&volume, "stream"), create(&volume, "log"));
    for part in 0..16 {
        volume.write(stream, part << 20, &vec![9; 1 << 20], false).expect("stream");
    }
    volume.write(log, 0, &[7; 500], false).expect("append");
    device.take_counts();
    volume.fsync(log, false).expect("fsync");
    let counts = device.take_counts();
    assert!(counts.written_bytes < 64 << 10, "{} bytes for 500", counts.written_bytes);
    assert_eq!(counts.flushes, 1);
}

#[test]
fn data_and_transaction_of_an_fsync_share_a_flush() {
    let device = Arc::new(CountingDevice::new(MemoryDevice::new(VOLUME_BYTES)));
    let volume = mount(&device, repeatable());
    let file = create(&volume, "file");
    for round in 0..5u8 {
        volume.write(file, 0, &vec![round + 1; 1 << 20], false).expect("write");
        device.take_counts();
        volume.fsync(file, false).expect("fsync");
        assert_eq!(device.take_counts().flushes, 1);
    }
}

#[test]
fn reading_a_hole_reads_no_device() {
    let device = Arc::new(CountingDevice::new(MemoryDevice::new(VOLUME_BYTES)));
    let volume = mount(&device, repeatable());
    let file = create(&volume, "file");
    volume.write(file, 1 << 30, b"end", false).expect("write");
    device.take_counts();
    let mut buffer = vec![1; 1 << 20];
    assert_eq!(volume.read(file, 5 << 20, &mut buffer).expect("read"), buffer.len());
    assert!(buffer.iter().all(|byte| *byte == 0));
    assert_eq!(device.take_counts().reads, 0);
}

/// Writes pages while they are under writeback on a slow device: how long that takes, and the volume.
fn write_during_writeback(policy: WritebackPolicy) -> (Duration, Arc<Volume>) {
    let device = Arc::new(FaultyDevice::new(MemoryDevice::new(VOLUME_BYTES)));
    let volume = mount(&device, MountOptions { policy, ..repeatable() });
    let file = create(&volume, "file");
    volume.write(file, 0, &[1; 32 * 4096], false).expect("write");
    device.set_latency(BlockOperation::Flush, SLOW_FLUSH);
    let took = std::thread::scope(|scope| {
        let syncer = scope.spawn(|| volume.fsync(file, false).expect("fsync"));
        std::thread::sleep(SLOW_FLUSH / 4);
        let began = Instant::now();
        volume.write(file, 0, &[2; 32 * 4096], false).expect("write");
        let took = began.elapsed();
        syncer.join().expect("the syncer");
        took
    });
    let mut found = [0; 32 * 4096];
    volume.read(file, 0, &mut found).expect("read");
    assert!(found.iter().all(|byte| *byte == 2));
    (took, volume)
}

#[test]
fn a_page_under_writeback_is_forked_and_not_waited_for() {
    let (took, volume) = write_during_writeback(WritebackPolicy::Fork);
    assert!(took < SLOW_FLUSH / 2, "the write took {took:?}");
    let counters = volume.statistics().cache;
    assert_eq!((counters.forks, counters.waits), (32, 0));
}

#[test]
fn with_stable_pages_the_write_waits() {
    let (took, volume) = write_during_writeback(WritebackPolicy::Wait);
    assert!(took > SLOW_FLUSH / 2, "the write took {took:?}");
    let counters = volume.statistics().cache;
    assert!(counters.forks == 0 && counters.waits > 0);
}

#[test]
fn copied_pages_are_not_waited_for_either() {
    let (took, volume) = write_during_writeback(WritebackPolicy::Copy);
    assert!(took < SLOW_FLUSH / 2, "the write took {took:?}");
    assert_eq!(volume.statistics().cache.waits, 0);
}

#[test]
fn concurrent_fsyncs_share_flushes() {
    let device = Arc::new(FaultyDevice::new(CountingDevice::new(MemoryDevice::new(VOLUME_BYTES))));
    let volume = mount(&device, repeatable());
    let files: Vec<u64> = (0..8).map(|number| create(&volume, &format!("f{number}"))).collect();
    volume.syncfs().expect("sync");
    device.set_latency(BlockOperation::Flush, Duration::from_millis(10));
    device.inner().take_counts();
    std::thread::scope(|scope| {
        for file in &files {
            let volume = &volume;
            scope.spawn(move || {
                for record in 0..10 {
                    volume.write(*file, record * 100, &[1; 100], false).expect("append");
                    volume.fsync(*file, false).expect("fsync");
                }
            });
        }
    });
    let flushes = device.inner().take_counts().flushes;
    assert!(flushes < 50, "{flushes} flushes for 80 fsyncs of 8 tasks");
}
