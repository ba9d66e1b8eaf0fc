//! What a commit costs, what it takes, and what happens after the last one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use braidfs::{MountOptions, Volume};
use braidfs_block::{
    BlockDevice, BlockOperation, CountingDevice, Fault, FaultyDevice, MemoryDevice,
};
use braidfs_pagecache::WritebackPolicy;

use super::support::{
    MIB, assert_clean, content, crash, create, device, fresh, make, put, quiet, remount, write,
};

#[test]
fn a_small_fsync_is_one_write_and_one_flush() {
    let counting = Arc::new(CountingDevice::new(MemoryDevice::new(16 * MIB)));
    make(&counting, 256);
    let volume = Volume::mount(counting.clone(), quiet()).unwrap();
    let inode = put(&volume, "file", b"x");
    volume.fsync(inode, false).unwrap();
    for round in 0..10 {
        write(&volume, inode, round * 100, b"record");
        let before = counting.counts();
        volume.fsync(inode, true).unwrap();
        let after = counting.counts();
        assert_eq!((after.writes - before.writes, after.flushes - before.flushes), (1, 1));
        volume.fsync(inode, true).unwrap();
        assert_eq!(counting.counts().flushes, after.flushes, "nothing new, nothing to flush");
    }
}

#[test]
fn fsyncs_that_come_together_share_flushes() {
    let faulty = FaultyDevice::new(MemoryDevice::new(16 * MIB));
    faulty.set_latency(BlockOperation::Flush, std::time::Duration::from_millis(2));
    let counting = Arc::new(CountingDevice::new(faulty));
    make(&counting, 256);
    let volume = Volume::mount(counting.clone(), quiet()).unwrap();
    let before = counting.counts().flushes;
    let done = Arc::new(AtomicUsize::new(0));
    let rounds = 25;
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (volume, done) = (&volume, &done);
            scope.spawn(move || {
                let inode = put(volume, &format!("{thread}"), b"");
                for round in 0..rounds {
                    write(volume, inode, round, b"x");
                    let done = done.clone();
                    let note = move |outcome: Result<(), braidfs::FsError>| {
                        outcome.unwrap();
                        done.fetch_add(1, Ordering::Relaxed);
                    };
                    volume.fsync_then(inode, Box::new(note));
                }
            });
        }
    });
    assert_eq!(done.load(Ordering::Relaxed), 4 * rounds as usize);
    let flushes = counting.counts().flushes - before;
    assert!(flushes < 4 * rounds * 3 / 4, "{flushes} flushes");
    volume.unmount().unwrap();
}

#[test]
fn unmounting_twice_is_once_and_nothing_changes_after_it() {
    let (device, volume) = fresh(16);
    let inode = put(&volume, "file", b"content");
    volume.unmount().unwrap();
    volume.unmount().unwrap();
    assert_eq!(content(&volume, inode), b"content");
    assert_eq!(volume.write(inode, 0, b"x", false).unwrap_err().errno(), libc::EROFS);
    assert_eq!(create(&volume, "more").unwrap_err().errno(), libc::EROFS);
    volume.forget(inode, 1);
    volume.fsync(inode, false).unwrap();
    volume.unmount().unwrap();
    drop(volume);
    assert_clean(&device);
}

#[test]
fn an_unmount_among_writers_keeps_all_that_they_were_promised() {
    let device = device(32);
    let volume = Volume::mount(device.clone(), quiet()).unwrap();
    let accepted: Vec<usize> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|thread| {
                let volume = &volume;
                scope.spawn(move || {
                    (0..100_000)
                        .take_while(|tag| create(volume, &format!("{thread} {tag}")).is_ok())
                        .count()
                })
            })
            .collect();
        std::thread::sleep(std::time::Duration::from_millis(30));
        volume.unmount().unwrap();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let volume = crash(&device, volume);
    let names = super::support::names(&volume, braidfs::ROOT_INODE);
    assert_eq!(names.len(), accepted.iter().sum::<usize>());
    remount(&device, volume);
}

#[test]
fn the_first_failure_sticks_and_what_is_cached_can_be_read() {
    for operation in [BlockOperation::Write, BlockOperation::Flush] {
        let faulty = Arc::new(FaultyDevice::new(MemoryDevice::new(16 * MIB)));
        make(&faulty, 256);
        let volume = Volume::mount(faulty.clone(), quiet()).unwrap();
        let inode = put(&volume, "file", b"content");
        faulty.inject(Fault::nth(operation, 1));
        assert_eq!(volume.fsync(inode, false).unwrap_err().errno(), libc::EIO);
        assert_eq!(volume.fsync(inode, false).unwrap_err().errno(), libc::EIO);
        assert_eq!(volume.flush(inode).unwrap_err().errno(), libc::EIO);
        assert_eq!(volume.write(inode, 0, b"x", false).unwrap_err().errno(), libc::EROFS);
        assert_eq!(create(&volume, "more").unwrap_err().errno(), libc::EROFS);
        assert_eq!(content(&volume, inode), b"content");
        volume.forget(inode, 1);
        volume.unmount().unwrap_err();
        volume.unmount().unwrap_err();
    }
}

#[test]
fn every_policy_keeps_what_is_written_during_writeback() {
    for policy in [WritebackPolicy::Fork, WritebackPolicy::Wait, WritebackPolicy::Copy] {
        let device = device(64);
        let options = MountOptions {
            policy,
            background: true,
            cache_bytes: Some(4 * MIB),
            commit_interval: std::time::Duration::from_millis(3),
            ..quiet()
        };
        let volume = Volume::mount(device.clone(), options).unwrap();
        let inodes: Vec<u64> =
            (0..3).map(|thread| put(&volume, &format!("{thread}"), b"")).collect();
        std::thread::scope(|scope| {
            for inode in &inodes {
                let volume = &volume;
                scope.spawn(move || {
                    for round in 0..20_u64 {
                        for page in 0..60 {
                            let byte = (round * 60 + page) as u8;
                            write(volume, *inode, page * 3000, &[byte; 3000]);
                        }
                        if round % 5 == 0 {
                            volume.fsync(*inode, false).unwrap();
                        }
                    }
                });
            }
        });
        volume.unmount().unwrap();
        let volume = crash(&device, volume);
        for inode in inodes {
            let found = content(&volume, inode);
            for (page, bytes) in found.chunks(3000).enumerate() {
                assert!(bytes.iter().all(|byte| *byte == (19 * 60 + page) as u8), "{policy:?}");
            }
        }
        remount(&device, volume);
    }
}

#[test]
fn a_read_only_mount_writes_nothing() {
    let (device, volume) = fresh(16);
    let inode = put(&volume, "file", b"content");
    volume.fsync(inode, false).unwrap();
    drop(volume);
    let counting = Arc::new(CountingDevice::new(device.clone()));
    let options = MountOptions { read_only: true, ..quiet() };
    let shared: Arc<dyn BlockDevice> = counting.clone();
    let volume = Volume::mount(shared, options).unwrap();
    assert_eq!(content(&volume, inode), b"content");
    assert_eq!(volume.open(inode, true).unwrap_err().errno(), libc::EROFS);
    assert_eq!(volume.write(inode, 0, b"x", false).unwrap_err().errno(), libc::EROFS);
    assert_eq!(volume.unlink(1, b"file").unwrap_err().errno(), libc::EROFS);
    volume.syncfs().unwrap();
    volume.unmount().unwrap();
    assert_eq!((counting.counts().writes, counting.counts().flushes), (0, 0));
}
