//! The file device on loop devices and on a full disk, where this user may have such things.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::process::Command;

use braidfs_block::{
    BlockDevice, BlockErrorKind, BlockOperation, DirectMode, FileDevice, FileOptions,
};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

fn output_of(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// A loop device over a file of 64 MiB, detached when dropped.
struct LoopDevice {
    path: PathBuf,
    directory: TempDir,
}

impl LoopDevice {
    /// `None` where this user may not have one.
    fn new() -> Option<Self> {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let backing = directory.path().join("backing");
        fs::File::create(&backing).unwrap().set_len(64 * MIB).unwrap();
        let path = output_of(Command::new("losetup").args(["--find", "--show"]).arg(&backing))?;
        Some(Self { path: path.into(), directory })
    }

    fn open(&self) -> Result<FileDevice, braidfs_block::BlockError> {
        FileDevice::open(&self.path, &FileOptions::read_write())
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.path).status();
    }
}

/// A mounted filesystem, unmounted when dropped.
struct Mount<'a>(&'a Path);

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_block_device_is_read_written_and_discarded() {
    let Some(disk) = LoopDevice::new() else {
        return;
    };
    for mode in [DirectMode::Auto, DirectMode::Always, DirectMode::Never] {
        let options = FileOptions::read_write().direct(mode);
        let device = FileDevice::open(&disk.path, &options).unwrap();
        assert!(device.is_block_device());
        let geometry = device.geometry();
        assert_eq!((geometry.size_bytes, geometry.logical_block_bytes), (64 * MIB, 512));
        device.write_at(MIB, &[IoSlice::new(&vec![7; 2 * MIB as usize])]).unwrap();
        device.flush().unwrap();
        let mut read = vec![0; 2 * MIB as usize];
        device.read_at(MIB, &mut read).unwrap();
        assert!(read.iter().all(|byte| *byte == 7), "{mode:?}");
        device.discard(MIB, MIB).unwrap();
        device.read_at(MIB, &mut read).unwrap();
        if device.geometry().discards {
            assert!(read[..MIB as usize].iter().all(|byte| *byte == 0), "{mode:?}");
        }
        assert!(read[MIB as usize..].iter().all(|byte| *byte == 7), "{mode:?}");
    }
}

#[test]
fn a_block_device_is_locked_too() {
    let Some(disk) = LoopDevice::new() else {
        return;
    };
    let device = disk.open().unwrap();
    assert_eq!(disk.open().unwrap_err().kind, BlockErrorKind::InUse);
    let reader = FileDevice::open(&disk.path, &FileOptions::read_only()).unwrap_err();
    assert_eq!((reader.kind, reader.operation), (BlockErrorKind::InUse, BlockOperation::Lock));
    drop(device);
    disk.open().unwrap();
}

#[test]
fn a_device_that_the_kernel_has_mounted_is_refused() {
    let Some(disk) = LoopDevice::new() else {
        return;
    };
    let made = output_of(Command::new("mkfs.ext4").arg("-q").arg(&disk.path));
    let point = disk.directory.path().join("mounted");
    fs::create_dir(&point).unwrap();
    if made.is_none() || output_of(Command::new("mount").arg(&disk.path).arg(&point)).is_none() {
        return; // No such filesystem, or no permission to mount it.
    }
    let mount = Mount(&point);
    let error = disk.open().unwrap_err();
    assert_eq!((error.kind, error.operation), (BlockErrorKind::InUse, BlockOperation::Open));
    drop(mount);
    disk.open().unwrap();
}

#[test]
fn a_full_disk_is_told_from_a_broken_one() {
    let directory = TempDir::new().unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(directory.path());
    if output_of(&mut mount).is_none() {
        return; // No permission to mount.
    }
    let _mount = Mount(directory.path());
    let path = directory.path().join("volume.img");
    let device = FileDevice::open(&path, &FileOptions::create(16 * MIB)).unwrap();
    let error = device.write_at(MIB, &[IoSlice::new(&vec![1; 8 * MIB as usize])]).unwrap_err();
    assert_eq!((error.kind, error.errno), (BlockErrorKind::NoSpace, 28));
    assert_eq!((error.offset, error.length), (MIB, 8 * MIB));
    let sentence = error.to_string();
    assert!(sentence.contains("full") && sentence.contains("volume.img"), "{sentence}");
}
