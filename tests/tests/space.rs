//! A volume that fills up: no acknowledged byte is lost, things can be deleted, and space comes back.

use std::sync::Arc;

use braidfs::{
    Credentials, FallocateMode, FsError, FsErrorKind, ROOT_INODE, RenameMode, SetAttributes, Volume,
};
use braidfs_block::MemoryDevice;
use braidfs_tests::check::assert_clean;
use braidfs_tests::fault::options;
use braidfs_tests::steps::{Data, Step, Steps};
use braidfs_tests::world::{LOG_BLOCKS, VOLUME_BYTES, World, format, read_content};

const OWNER: Credentials = Credentials { uid: 0, gid: 0, umask: 0 };

struct Disk {
    device: Arc<MemoryDevice>,
    volume: Arc<Volume>,
}

impl Disk {
    fn new() -> Self {
        let device = Arc::new(MemoryDevice::new(VOLUME_BYTES));
        format(&device, LOG_BLOCKS);
        let volume = Volume::mount(device.clone(), options()).expect("mount");
        Self { device, volume }
    }

    fn remount(&mut self) {
        self.volume.unmount().expect("unmount");
        assert_clean(&self.device);
        self.volume = Volume::mount(self.device.clone(), options()).expect("mount");
    }

    /// Makes a file with content; as long as it can't be written it is not there.
    fn put(&self, name: &str, data: Data) -> Result<u64, FsError> {
        let name = name.as_bytes();
        let made = self.volume.mknod(ROOT_INODE, name, 0o100_644, 0, &OWNER)?;
        let written = self.volume.write(made.inode, 0, &data.bytes(), false);
        if written.is_err() {
            self.volume.unlink(ROOT_INODE, name).expect("unlink works on a full volume");
        }
        self.volume.forget(made.inode, 1);
        written.map(|_| made.inode)
    }

    /// Makes files of `length` bytes until no more fit; returns their inodes.
    fn fill(&self, length: u64) -> Vec<u64> {
        let mut made = Vec::new();
        loop {
            let data = Data { length, seed: made.len() as u64 + 1 };
            match self.put(&format!("file {}", made.len()), data) {
                Ok(inode) => made.push(inode),
                Err(error) => {
                    assert_eq!(error.kind(), FsErrorKind::NoSpace, "{error}");
                    return made;
                }
            }
        }
    }

    fn check_filled(&self, made: &[u64], length: u64) {
        for (number, inode) in made.iter().enumerate() {
            let expected = Data { length, seed: number as u64 + 1 }.bytes();
            let found = read_content(&self.volume, *inode).expect("what was written can be read");
            assert!(found == expected, "file {number} is not what was written");
        }
    }

    fn available(&self) -> u64 {
        self.volume.statfs().blocks_available
    }
}

#[test]
fn what_was_acknowledged_before_the_volume_was_full_is_there() {
    let mut disk = Disk::new();
    let made = disk.fill(64 << 10);
    assert!(made.len() > 150, "only {} files of 64 KiB fit", made.len());
    disk.check_filled(&made, 64 << 10);
    disk.volume.syncfs().expect("what was accepted can be written");
    disk.check_filled(&made, 64 << 10);
    disk.remount();
    disk.check_filled(&made, 64 << 10);
}

#[test]
fn small_files_fill_a_volume_too() {
    let mut disk = Disk::new();
    let made = disk.fill(700);
    assert!(made.len() > 1000, "only {} files of 700 bytes fit", made.len());
    disk.volume.syncfs().expect("what was accepted can be written");
    disk.remount();
    disk.check_filled(&made, 700);
}

#[test]
fn names_without_content_fill_a_volume_too() {
    let mut disk = Disk::new();
    let made = disk.fill(0);
    assert!(made.len() > 10_000, "only {} empty files fit", made.len());
    disk.remount();
    assert_eq!(disk.volume.statistics().store.inode_count, made.len() as u64 + 1);
}

#[test]
fn space_comes_back() {
    let mut disk = Disk::new();
    let at_first = disk.available();
    for round in 0..3 {
        let made = disk.fill(200 << 10);
        assert!(made.len() > 60, "round {round}: only {} files fit", made.len());
        for number in 0..made.len() {
            let name = format!("file {number}");
            disk.volume.unlink(ROOT_INODE, name.as_bytes()).expect("unlink on a full volume");
        }
        disk.volume.syncfs().expect("sync");
    }
    disk.remount();
    let lost = at_first.saturating_sub(disk.available());
    assert!(lost <= 16, "{lost} blocks did not come back");
}

#[test]
fn a_full_volume_can_be_tidied_up() {
    let mut disk = Disk::new();
    let made = disk.fill(64 << 10);
    let volume = disk.volume.clone();
    volume.rename(ROOT_INODE, b"file 1", ROOT_INODE, b"file 2", RenameMode::Replace).expect("mv");
    let cut = SetAttributes { size: Some(4096), ..SetAttributes::default() };
    volume.setattr(made[3], &cut).expect("cut");
    volume.fallocate(made[4], FallocateMode::PunchHole, 0, 32 << 10).expect("punch");
    let mode = SetAttributes { mode: Some(0o600), ..SetAttributes::default() };
    volume.setattr(made[5], &mode).expect("chmod");
    volume.syncfs().expect("sync");
    disk.put("again", Data { length: 100 << 10, seed: 99 }).expect("there is room again");
    disk.remount();
    let data = Data { length: 64 << 10, seed: 2 }.bytes();
    assert!(read_content(&disk.volume, made[1]).expect("read") == data);
}

#[test]
fn a_file_is_overwritten_again_and_again_on_a_small_volume() {
    let mut disk = Disk::new();
    let length = 5 << 20;
    let inode = disk.put("file", Data { length, seed: 1 }).expect("room for the file");
    for seed in 2..30 {
        let data = Data { length, seed }.bytes();
        for (number, part) in data.chunks(256 << 10).enumerate() {
            let offset = number as u64 * (256 << 10);
            disk.volume.write(inode, offset, part, false).expect("room for the new blocks");
        }
        if seed % 3 == 0 {
            disk.volume.fsync(inode, false).expect("fsync");
        }
    }
    disk.remount();
    let expected = Data { length, seed: 29 }.bytes();
    assert!(read_content(&disk.volume, inode).expect("read") == expected);
}

#[test]
fn preallocated_space_can_be_written_when_there_is_no_other() {
    let mut disk = Disk::new();
    let length = 1 << 20;
    let inode = disk.put("reserved", Data { length: 0, seed: 1 }).expect("create");
    let mode = FallocateMode::Allocate { keep_size: false };
    disk.volume.fallocate(inode, mode, 0, length).expect("preallocate");
    disk.volume.fsync(inode, false).expect("fsync");
    disk.fill(64 << 10);
    let data = Data { length, seed: 7 }.bytes();
    for (number, part) in data.chunks(64 << 10).enumerate() {
        let offset = number as u64 * (64 << 10);
        disk.volume.write(inode, offset, part, false).expect("the space was promised");
    }
    disk.volume.fsync(inode, false).expect("fsync");
    disk.remount();
    assert!(read_content(&disk.volume, inode).expect("read") == data);
}

/// Near the edge any operation may find no space; then it must have changed nothing.
#[test]
fn random_steps_on_a_volume_that_is_nearly_full() {
    let mut refused = 0;
    for seed in 0..3 {
        let device = Arc::new(MemoryDevice::new(VOLUME_BYTES));
        let mut world = World::new(device.clone(), options());
        let ballast = Step::Create { path: "/ballast".into(), mode: 0o600 };
        world.apply(&ballast);
        let mut offset = 0;
        while world.volume.statfs().blocks_available > 24 {
            let blocks = (world.volume.statfs().blocks_available / 3).clamp(1, 64);
            let data = Data { length: blocks * 4096, seed: offset + 1 };
            world.apply(&Step::Write { path: "/ballast".into(), offset, data });
            world.apply(&Step::Sync);
            offset += data.length;
        }
        // Without a name, so that the steps leave it alone.
        world.apply(&Step::Hold { holder: 9, path: "/ballast".into() });
        world.apply(&Step::Unlink { path: "/ballast".into() });
        world.apply(&Step::Sync);
        let mut steps = Steps::new(seed, false);
        for _ in 0..100 {
            let step = steps.next(&world.model);
            // These may stop half-way, and say how far they came.
            if matches!(step, Step::Copy { .. } | Step::Zero { .. }) {
                continue;
            }
            refused += u64::from(world.apply_unless_full(&step));
        }
        world.compare();
        world.unmount();
        assert_clean(&device);
        world.mount_again();
        world.compare();
    }
    assert!(refused > 0, "no step found the volume full");
}
