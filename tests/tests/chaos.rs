//! Threads that get into each other's way on purpose, and commits that are larger than the log: no model
//! could follow these, but the volume must stay a sound one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use braidfs::{
    Credentials, FsError, FsErrorKind, MountOptions, ROOT_INODE, RenameMode, SetAttributes, Volume,
    XattrMode,
};
use braidfs_block::{BlockDevice, Event, MemoryDevice, RecordingDevice};
use braidfs_tests::check::assert_clean;
use braidfs_tests::crash::recover;
use braidfs_tests::model::differences;
use braidfs_tests::steps::Data;
use braidfs_tests::world::{format, read_content, read_tree, resolve};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

const OWNER: Credentials = Credentials { uid: 0, gid: 0, umask: 0 };
const VOLUME_BYTES: u64 = 64 << 20;
/// The shortest there is.
const LOG_BLOCKS: u64 = 64;
/// Where the threads meet.
const DIRECTORIES: u64 = 5;
const NAMES: u64 = 6;

fn mount(device: Arc<dyn BlockDevice>) -> Arc<Volume> {
    let options = MountOptions {
        cache_bytes: Some(8 << 20),
        commit_interval: Duration::from_millis(15),
        ..MountOptions::default()
    };
    Volume::mount(device, options).expect("mount")
}

/// One thread of chaos. It knows inodes that may be gone, and keeps references as a kernel does.
struct Chaos<'a> {
    volume: &'a Volume,
    random: Xoshiro256PlusPlus,
    known: Vec<u64>,
    open: Vec<u64>,
}

impl Chaos<'_> {
    fn below(&mut self, limit: u64) -> u64 {
        self.random.next_u64() % limit
    }

    fn name(&mut self) -> Vec<u8> {
        format!("n{}", self.below(NAMES)).into_bytes()
    }

    fn pick(&mut self) -> u64 {
        let count = self.known.len() as u64;
        let at = self.below(count) as usize;
        self.known[at]
    }

    fn run(&mut self, rounds: u64) {
        for round in 0..rounds {
            if let Err(error) = self.step(round) {
                let expected = !matches!(error.kind(), FsErrorKind::Io | FsErrorKind::ReadOnly);
                assert!(expected, "{error}");
            }
        }
        // As a kernel does at the end of a mount.
        std::mem::take(&mut self.open).into_iter().for_each(|inode| self.volume.release(inode));
        let known = std::mem::take(&mut self.known);
        known
            .into_iter()
            .filter(|inode| *inode != ROOT_INODE)
            .for_each(|inode| self.volume.forget(inode, 1));
    }

    fn step(&mut self, round: u64) -> Result<(), FsError> {
        let (directory, name) = (self.pick(), self.name());
        match self.below(16) {
            0..=2 => self.learn(self.volume.lookup(directory, &name)?.inode),
            3 => self.learn(self.volume.mknod(directory, &name, 0o100_644, 0, &OWNER)?.inode),
            4 => self.learn(self.volume.mkdir(directory, &name, 0o755, &OWNER)?.inode),
            5 => self.volume.unlink(directory, &name)?,
            6 => self.volume.rmdir(directory, &name)?,
            7..=8 => {
                let (to, new_name, exchanges) = (self.pick(), self.name(), self.below(3) == 0);
                let mode = if exchanges { RenameMode::Exchange } else { RenameMode::Replace };
                self.volume.rename(directory, &name, to, &new_name, mode)?;
            }
            9 => {
                let file = self.pick();
                self.learn(self.volume.link(file, directory, &name)?.inode);
            }
            10 => {
                let file = self.pick();
                self.volume.open(file, round.is_multiple_of(3))?;
                self.open.push(file);
            }
            11 => self.forget_one(),
            12 => self.volume.fsync(directory, false)?,
            13 => self.volume.setxattr(directory, b"user.x", &name, XattrMode::Set)?,
            14 => {
                let size = Some(self.below(30_000));
                let cut = SetAttributes { size, ..SetAttributes::default() };
                self.volume.setattr(directory, &cut)?;
            }
            _ => {
                let data = Data { length: self.below(20_000), seed: round + 1 }.bytes();
                let offset = self.below(40_000);
                self.volume.write(directory, offset, &data, false)?;
            }
        }
        Ok(())
    }

    /// Keeps a reference, but not to many inodes at once.
    fn learn(&mut self, inode: u64) {
        self.known.push(inode);
        if self.known.len() > 12 {
            self.forget_one();
        }
    }

    fn forget_one(&mut self) {
        let count = self.known.len() as u64;
        let at = self.below(count) as usize;
        if self.known[at] != ROOT_INODE {
            let inode = self.known.swap_remove(at);
            self.volume.forget(inode, 1);
        }
        if self.open.len() > 2 {
            self.volume.release(self.open.remove(0));
        }
    }
}

/// Several threads of chaos, and one that folds the log.
fn wreak(volume: &Volume, seed: u64, rounds: u64) {
    for number in 0..DIRECTORIES {
        let name = format!("n{number}");
        let made = volume.mkdir(ROOT_INODE, name.as_bytes(), 0o755, &OWNER).expect("mkdir");
        volume.forget(made.inode, 1);
    }
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let random = Xoshiro256PlusPlus::seed_from_u64(seed * 100 + thread);
            let (known, open) = (vec![ROOT_INODE], Vec::new());
            scope.spawn(move || Chaos { volume, random, known, open }.run(rounds));
        }
        scope.spawn(|| {
            for _ in 0..10 {
                volume.unify().expect("unify");
                std::thread::sleep(Duration::from_millis(3));
            }
        });
    });
}

#[test]
fn threads_in_each_others_way_leave_a_sound_volume() {
    for seed in 0..8 {
        let device = Arc::new(MemoryDevice::new(VOLUME_BYTES));
        format(&device, LOG_BLOCKS);
        let volume = mount(device.clone());
        wreak(&volume, seed, 6000);
        let tree = read_tree(&volume).expect("the tree can be read");
        let inodes = volume.statistics().store.inode_count;
        volume.unmount().expect("unmount");
        drop(volume);
        assert_clean(&device);
        let volume = mount(device);
        let differences = differences(&tree, &read_tree(&volume).expect("readable"));
        assert!(differences.is_empty(), "seed {seed}: {differences}");
        // Nothing is left that has no name: each inode is found in the tree.
        assert!(volume.statistics().store.inode_count <= tree.len() as u64, "of {inodes} before");
        volume.unmount().expect("unmount");
    }
}

#[test]
fn power_losses_in_the_midst_of_chaos_leave_a_sound_volume() {
    let memory = MemoryDevice::new(VOLUME_BYTES);
    format(&memory, LOG_BLOCKS);
    let device = Arc::new(RecordingDevice::new(memory));
    let volume = mount(device.clone());
    wreak(&volume, 77, 2000);
    drop(volume);
    let recording = device.recording();
    let stride = (recording.events().len() / 150).max(1);
    let options = MountOptions { background: false, ..braidfs_tests::fault::options() };
    for point in recording.crash_points().step_by(stride) {
        for case in point.subsets(3) {
            let image = Arc::new(point.image(&case));
            let recovered = recover(image.clone(), &options)
                .unwrap_or_else(|problem| panic!("{case}: {problem}"));
            recovered.volume.unmount().expect("unmount");
            assert_clean(&image);
        }
    }
}

const FILES: u64 = 400;

/// What a file holds in a generation: short enough to be in the log itself.
fn content(file: u64, generation: u64) -> Vec<u8> {
    Data { length: 700 + file % 300, seed: generation * 1000 + file + 1 }.bytes()
}

#[test]
fn a_commit_that_is_larger_than_the_log_tears_no_file() {
    let memory = MemoryDevice::new(VOLUME_BYTES);
    format(&memory, LOG_BLOCKS);
    let device = Arc::new(RecordingDevice::new(memory));
    let options = MountOptions { background: false, ..braidfs_tests::fault::options() };
    let volume = Volume::mount(device.clone(), options.clone()).expect("mount");
    for generation in 0..3 {
        for file in 0..FILES {
            let name = format!("{file}");
            let inode = match generation {
                0 => volume.mknod(ROOT_INODE, name.as_bytes(), 0o100_644, 0, &OWNER),
                _ => volume.lookup(ROOT_INODE, name.as_bytes()),
            };
            let inode = inode.expect("the file").inode;
            volume.write(inode, 0, &content(file, generation), false).expect("write");
            volume.forget(inode, 1);
        }
        volume.syncfs().expect("sync");
        device.mark("generation", generation + 1);
    }
    drop(volume);
    let recording = device.recording();
    let mut seen = BTreeSet::new();
    for (number, point) in recording.crash_points().enumerate() {
        let last = number.checked_sub(1).and_then(|last| recording.events().get(last));
        if !matches!(last, Some(Event::Write { .. } | Event::Mark(_))) {
            continue;
        }
        let done = point.last_mark("generation").unwrap_or(0);
        for case in point.subsets(3) {
            let recovered = recover(Arc::new(point.image(&case)), &options)
                .unwrap_or_else(|problem| panic!("{case}: {problem}"));
            seen.insert(check_generations(&recovered.volume, done, &case.to_string()));
        }
    }
    assert!(seen.len() > 5, "the commits were not made in portions: {seen:?}");
}

/// Each file has one generation, that of the last sync or the next. Returns how many have the next.
fn check_generations(volume: &Volume, done: u64, case: &str) -> u64 {
    let mut newer = 0;
    for file in 0..FILES {
        let found = resolve(volume, &format!("{file}"))
            .map(|inode| read_content(volume, inode).expect("readable"));
        let Ok(found) = found else {
            assert_eq!(done, 0, "{case}: file {file} is missing");
            continue;
        };
        if found == content(file, done) {
            newer += 1;
        } else {
            let is_old =
                if done == 0 { found.is_empty() } else { found == content(file, done - 1) };
            assert!(is_old, "{case}: file {file} is torn");
        }
    }
    newer
}
