//! Several threads on one volume, with its background thread at work: nobody sees what is not there, nothing
//! is lost, nothing stands still.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use braidfs::{
    Credentials, FallocateMode, FsErrorKind, MountOptions, ROOT_INODE, RenameMode, SetAttributes,
    Volume,
};
use braidfs_block::{
    BlockDevice, BlockOperation, Event, Fault, FaultyDevice, MemoryDevice, RecordingDevice,
};
use braidfs_pagecache::WritebackPolicy;
use braidfs_tests::check::assert_clean;
use braidfs_tests::crash::recover;
use braidfs_tests::steps::Data;
use braidfs_tests::world::{format, read_content, read_tree, resolve};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

const OWNER: Credentials = Credentials { uid: 0, gid: 0, umask: 0 };
const VOLUME_BYTES: u64 = 64 << 20;
/// Small, so that it is folded many times.
const LOG_BLOCKS: u64 = 96;
/// Far longer than any of these takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Random(Xoshiro256PlusPlus);

impl Random {
    fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }
}

fn options() -> MountOptions {
    MountOptions {
        cache_bytes: Some(6 << 20),
        commit_interval: Duration::from_millis(20),
        ..MountOptions::default()
    }
}

fn mount(device: Arc<dyn BlockDevice>) -> Arc<Volume> {
    Volume::mount(device, options()).expect("mount")
}

/// Ends the process if `work` stands still: a thread that waits for a lock can't be ended otherwise.
fn watched(work: impl FnOnce() + Send + 'static) {
    let (done, end) = channel();
    let thread = std::thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    if let Err(RecvTimeoutError::Timeout) = end.recv_timeout(PATIENCE) {
        eprintln!("nothing happened for {PATIENCE:?}: a deadlock");
        std::process::abort();
    }
    if let Err(problem) = thread.join() {
        std::panic::resume_unwind(problem);
    }
}

fn create(volume: &Volume, parent: u64, name: &str) -> u64 {
    volume.mknod(parent, name.as_bytes(), 0o100_644, 0, &OWNER).expect("create").inode
}

fn mkdir(volume: &Volume, name: &str) -> u64 {
    volume.mkdir(ROOT_INODE, name.as_bytes(), 0o755, &OWNER).expect("mkdir").inode
}

/// Writes, cuts and punches a file of its own, and reads it back. Returns what is in it.
fn change_a_file(volume: &Volume, inode: u64, seed: u64, rounds: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut shadow: Vec<u8> = Vec::new();
    for round in 0..rounds {
        let offset = random.below(600_000) as usize;
        let length = 1 + random.below(50_000) as usize;
        match random.below(12) {
            0 => {
                let size = Some(offset as u64);
                let cut = SetAttributes { size, ..SetAttributes::default() };
                volume.setattr(inode, &cut).expect("cut");
                shadow.resize(offset, 0);
            }
            1 => {
                let (offset, length) = (offset as u64, length as u64);
                volume.fallocate(inode, FallocateMode::PunchHole, offset, length).expect("punch");
                let end = (offset + length).min(shadow.len() as u64) as usize;
                if (offset as usize) < end {
                    shadow[offset as usize..end].fill(0);
                }
            }
            2 => volume.fsync(inode, false).expect("fsync"),
            3..=5 => {
                let mut found = vec![0; length];
                let count = volume.read(inode, offset as u64, &mut found).expect("read");
                let start = offset.min(shadow.len());
                let expected = &shadow[start..(start + length).min(shadow.len())];
                assert!(found[..count] == *expected, "round {round}: read something else");
            }
            _ => {
                let data = Data { length: length as u64, seed: (seed << 32) + round }.bytes();
                volume.write(inode, offset as u64, &data, false).expect("write");
                if shadow.len() < offset + length {
                    shadow.resize(offset + length, 0);
                }
                shadow[offset..offset + length].copy_from_slice(&data);
            }
        }
    }
    shadow
}

/// Makes, renames and removes names of its own in two directories that others use, too. Returns them.
fn change_names(
    volume: &Volume,
    directories: [u64; 2],
    tag: &str,
    rounds: u64,
) -> BTreeMap<String, usize> {
    let mut random = Random::new(tag.len() as u64);
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for round in 0..rounds {
        let known = names.iter().nth(random.below(names.len() as u64 + 1) as usize);
        let known = known.map(|(name, place)| (name.clone(), *place));
        match (known, random.below(3)) {
            (Some((name, place)), 0) => {
                volume.unlink(directories[place], name.as_bytes()).expect("unlink");
                names.remove(&name);
            }
            (Some((name, place)), 1) => {
                let (new, other) = (format!("{tag} {round} moved"), 1 - place);
                let (from, to) = (directories[place], directories[other]);
                volume
                    .rename(from, name.as_bytes(), to, new.as_bytes(), RenameMode::NoReplace)
                    .expect("rename");
                names.remove(&name);
                names.insert(new, other);
            }
            _ => {
                let (name, place) = (format!("{tag} {round}"), random.below(2) as usize);
                let inode = create(volume, directories[place], &name);
                volume.forget(inode, 1);
                names.insert(name, place);
            }
        }
        if round % 40 == 0 {
            volume.fsync(directories[0], false).expect("fsync of a directory");
        }
    }
    names
}

/// One file is written whole, each time with another byte; whoever reads it sees one byte only.
fn write_whole(volume: &Volume, inode: u64, end: &AtomicBool) {
    let mut round = 0u8;
    while !end.load(Ordering::Relaxed) {
        round = round.wrapping_add(1);
        volume.write(inode, 0, &[round; 40_000], false).expect("write");
    }
}

fn read_whole(volume: &Volume, inode: u64, end: &AtomicBool) {
    let mut found = vec![0; 40_000];
    while !end.load(Ordering::Relaxed) {
        let count = volume.read(inode, 0, &mut found).expect("read");
        let first = found[0];
        assert!(found[..count].iter().all(|byte| *byte == first), "a read in the midst of a write");
    }
}

fn list(volume: &Volume, directories: [u64; 2], end: &AtomicBool) {
    while !end.load(Ordering::Relaxed) {
        for directory in directories {
            let mut names = Vec::new();
            let mut visit = |entry: &braidfs::DirectoryEntry| {
                names.push(entry.name.clone());
                true
            };
            volume.readdir(directory, 0, &mut visit).expect("readdir");
            for name in names.iter().skip(2).take(5) {
                match volume.lookup(directory, name) {
                    Ok(found) => volume.forget(found.inode, 1),
                    Err(error) => assert_eq!(error.kind(), FsErrorKind::NotFound, "{error}"),
                }
            }
        }
    }
}

/// Does what a background thread does, more often than any would.
fn maintain(volume: &Volume, end: &AtomicBool) {
    let policies = [WritebackPolicy::Fork, WritebackPolicy::Copy, WritebackPolicy::Wait];
    for policy in policies.into_iter().cycle() {
        if end.load(Ordering::Relaxed) {
            return;
        }
        volume.set_policy(policy);
        volume.unify().expect("unify");
        volume.syncfs().expect("sync");
        let _ = (volume.statfs(), volume.statistics());
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn everything_at_once() {
    let device = Arc::new(MemoryDevice::new(VOLUME_BYTES));
    format(&device, LOG_BLOCKS);
    let volume = mount(device.clone());
    let directories = [mkdir(&volume, "one"), mkdir(&volume, "two")];
    let files: Vec<u64> = (0..3).map(|n| create(&volume, ROOT_INODE, &format!("f{n}"))).collect();
    let whole = create(&volume, ROOT_INODE, "whole");
    let end = AtomicBool::new(false);
    let (shadows, names) = std::thread::scope(|scope| {
        let (volume, end) = (&*volume, &end);
        let helpers = [
            scope.spawn(|| write_whole(volume, whole, end)),
            scope.spawn(|| read_whole(volume, whole, end)),
            scope.spawn(|| list(volume, directories, end)),
            scope.spawn(|| maintain(volume, end)),
        ];
        let writers: Vec<_> = files
            .iter()
            .map(|inode| scope.spawn(|| change_a_file(volume, *inode, *inode, 1200)))
            .collect();
        let namers: Vec<_> = ["a", "bb", "ccc"]
            .map(|tag| scope.spawn(move || change_names(volume, directories, tag, 2000)))
            .into_iter()
            .collect();
        let shadows: Vec<_> = writers.into_iter().map(|thread| thread.join()).collect();
        let names: Vec<_> = namers.into_iter().map(|thread| thread.join()).collect();
        end.store(true, Ordering::Relaxed);
        helpers.into_iter().for_each(|thread| thread.join().expect("a helper"));
        let shadows: Vec<_> = shadows.into_iter().map(|shadow| shadow.expect("a writer")).collect();
        let names: Vec<_> = names.into_iter().flat_map(|names| names.expect("a namer")).collect();
        (shadows, names)
    });
    let check = |volume: &Volume| {
        for (inode, shadow) in files.iter().zip(&shadows) {
            assert!(read_content(volume, *inode).expect("read") == *shadow, "file {inode}");
        }
        let tree = read_tree(volume).expect("readable");
        assert_eq!(tree.len(), 1 + 2 + 3 + 1 + names.len());
        for (name, place) in &names {
            let path = format!("/{}/{name}", ["one", "two"][*place]);
            assert!(tree.contains_key(&path), "{path} is missing");
        }
    };
    check(&volume);
    volume.unmount().expect("unmount");
    drop(volume);
    assert_clean(&device);
    let volume = mount(device);
    check(&volume);
    volume.unmount().expect("unmount");
}

#[test]
fn threads_that_do_different_things_do_not_disturb_each_other() {
    watched(everything_at_once);
}

const APPENDERS: [&str; 4] = ["writer 0", "writer 1", "writer 2", "writer 3"];
const RECORD_BYTES: u64 = 5000;
const RECORDS: u64 = 40;

/// Appends records, each with an fsync, and marks in the log of the device what was acknowledged.
fn append(volume: &Volume, device: &RecordingDevice<MemoryDevice>, name: &'static str) {
    let inode = create(volume, ROOT_INODE, name);
    for record in 0..RECORDS {
        let data = Data { length: RECORD_BYTES, seed: record + 1 }.bytes();
        volume.write(inode, record * RECORD_BYTES, &data, false).expect("append");
        volume.fsync(inode, false).expect("fsync");
        device.mark(name, record + 1);
    }
}

/// The file of a writer on a volume: how many records it has, all of them whole but the last.
fn records(volume: &Volume, name: &str) -> u64 {
    let Ok(inode) = resolve(volume, name) else { return 0 };
    let content = read_content(volume, inode).expect("readable");
    let count = content.len() as u64 / RECORD_BYTES;
    for record in 0..count {
        let expected = Data { length: RECORD_BYTES, seed: record + 1 }.bytes();
        let start = (record * RECORD_BYTES) as usize;
        let found = &content[start..start + expected.len()];
        assert!(*found == *expected, "{name}: record {record} is not what was written");
    }
    assert_eq!(content.len() as u64 % RECORD_BYTES, 0, "{name} has a part of a record");
    count
}

fn power_losses_under_load() {
    let memory = MemoryDevice::new(VOLUME_BYTES);
    format(&memory, LOG_BLOCKS);
    let device = Arc::new(RecordingDevice::new(memory));
    let volume = mount(device.clone());
    std::thread::scope(|scope| {
        for name in APPENDERS {
            let (volume, device) = (&volume, &device);
            scope.spawn(move || append(volume, device, name));
        }
        scope.spawn(|| {
            for _ in 0..20 {
                volume.unify().expect("unify");
                std::thread::sleep(Duration::from_millis(5));
            }
        });
    });
    drop(volume);
    let recording = device.recording();
    let options = MountOptions { background: false, ..options() };
    let mut images = 0;
    for (number, point) in recording.crash_points().enumerate() {
        let last = number.checked_sub(1).and_then(|last| recording.events().get(last));
        if number % 3 != 0 && !matches!(last, Some(Event::Mark(_))) {
            continue;
        }
        for case in point.subsets(4) {
            images += 1;
            let recovered = recover(Arc::new(point.image(&case)), &options)
                .unwrap_or_else(|problem| panic!("{case}: {problem}"));
            for name in APPENDERS {
                let (found, acknowledged) =
                    (records(&recovered.volume, name), point.last_mark(name).unwrap_or(0));
                assert!(found >= acknowledged, "{case}: {name}: {found} of {acknowledged} records");
            }
        }
    }
    assert!(images > 100);
}

#[test]
fn what_concurrent_writers_fsynced_survives_power_losses() {
    watched(power_losses_under_load);
}

/// Appends records until the volume refuses; returns how many it has acknowledged.
fn append_until_refused(volume: &Volume, inode: u64) -> u64 {
    for record in 0.. {
        let data = Data { length: RECORD_BYTES, seed: record + 1 }.bytes();
        let written = volume.write(inode, record * RECORD_BYTES, &data, false);
        if written.and_then(|_| volume.fsync(inode, false)).is_err() {
            assert!(volume.fsync(inode, false).is_err(), "an fsync after a failed one works");
            assert!(volume.write(inode, 0, b"x", false).is_err(), "a write after a failed fsync");
            assert!(volume.read(inode, 0, &mut [0; 10]).is_ok(), "a read after a failed fsync");
            return record;
        }
    }
    unreachable!("the disk fails some time")
}

fn a_disk_that_fails(operation: BlockOperation, after: u64) {
    let memory = Arc::new(MemoryDevice::new(VOLUME_BYTES));
    format(&memory, LOG_BLOCKS);
    let device = Arc::new(FaultyDevice::new(memory.clone()));
    let volume = mount(device.clone());
    let files = APPENDERS.map(|name| create(&volume, ROOT_INODE, name));
    device.inject(Fault::nth(operation, after));
    let acknowledged: Vec<u64> = std::thread::scope(|scope| {
        let writers = files.map(|inode| {
            let volume = &volume;
            scope.spawn(move || append_until_refused(volume, inode))
        });
        writers.into_iter().map(|writer| writer.join().expect("a writer")).collect()
    });
    assert!(volume.syncfs().is_err());
    assert!(volume.unmount().is_err());
    drop(volume);
    assert_clean(&memory);
    let volume = mount(memory);
    for (name, acknowledged) in APPENDERS.iter().zip(acknowledged) {
        let found = records(&volume, name);
        assert!(found >= acknowledged, "{name}: {found} of {acknowledged} records");
    }
    volume.unmount().expect("unmount");
}

#[test]
fn writers_are_all_told_when_the_disk_fails() {
    watched(|| {
        for after in [1, 2, 5, 17, 40] {
            a_disk_that_fails(BlockOperation::Write, after);
            a_disk_that_fails(BlockOperation::Flush, after);
        }
    });
}

#[test]
fn regression_statistics_and_commits_do_not_lock_each_other_out() {
    watched(|| {
        let device = Arc::new(MemoryDevice::new(VOLUME_BYTES));
        format(&device, LOG_BLOCKS);
        let volume = mount(device);
        let file = create(&volume, ROOT_INODE, "file");
        let end = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !end.load(Ordering::Relaxed) {
                        let _ = (volume.statfs(), volume.statistics());
                    }
                });
            }
            for record in 0..2000 {
                volume.write(file, record % 50 * 100, &[1; 100], false).expect("write");
                volume.fsync(file, false).expect("fsync");
            }
            end.store(true, Ordering::Relaxed);
        });
    });
}
