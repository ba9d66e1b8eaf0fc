//! Volumes in memory, and short hands for what tests do with them.

use std::sync::Arc;

use braidfs::error::FsResult;
use braidfs::{Credentials, MkfsOptions, MountOptions, ROOT_INODE, Volume};
use braidfs_block::{BlockDevice, MemoryDevice};
use braidfs_fsck::{CheckOptions, Silent};

pub const MIB: u64 = 1 << 20;
pub const BLOCK: u64 = 4096;

/// A volume of `mib` MiB with the smallest log there is.
pub fn device(mib: u64) -> Arc<dyn BlockDevice> {
    device_with_log(mib, 64)
}

pub fn device_with_log(mib: u64, log_blocks: u64) -> Arc<dyn BlockDevice> {
    let device: Arc<dyn BlockDevice> = Arc::new(MemoryDevice::new(mib * MIB));
    make(&device, log_blocks);
    device
}

pub fn make(device: &dyn BlockDevice, log_blocks: u64) {
    let options = MkfsOptions { log_blocks: Some(log_blocks), ..MkfsOptions::default() };
    Volume::mkfs(device, &options, &|_, _| ()).expect("mkfs");
}

/// Options under which nothing happens but what the test does.
pub fn quiet() -> MountOptions {
    MountOptions {
        policy: super::POLICY,
        background: false,
        cache_bytes: Some(32 * MIB),
        ..MountOptions::default()
    }
}

pub fn mount(device: &Arc<dyn BlockDevice>) -> Arc<Volume> {
    Volume::mount(device.clone(), quiet()).expect("mount")
}

/// A volume of `mib` MiB, mounted.
pub fn fresh(mib: u64) -> (Arc<dyn BlockDevice>, Arc<Volume>) {
    let device = device(mib);
    let volume = mount(&device);
    (device, volume)
}

/// Unmounts, insists that the checker finds nothing, and mounts again.
pub fn remount(device: &Arc<dyn BlockDevice>, volume: Arc<Volume>) -> Arc<Volume> {
    volume.unmount().expect("unmount");
    drop(volume);
    assert_clean(device);
    mount(device)
}

/// Mounts what is on the device as a crash leaves it.
pub fn crash(device: &Arc<dyn BlockDevice>, volume: Arc<Volume>) -> Arc<Volume> {
    drop(volume);
    mount(device)
}

pub fn assert_clean(device: &Arc<dyn BlockDevice>) {
    let options = CheckOptions { force: true, data: true, ..CheckOptions::default() };
    let report = braidfs_fsck::check(device, &options, &Silent).expect("fsck");
    let findings: Vec<String> = report.findings.iter().map(|found| found.message()).collect();
    assert!(report.is_clean(), "{findings:#?}");
}

pub fn create(volume: &Volume, name: &str) -> FsResult<u64> {
    create_in(volume, ROOT_INODE, name)
}

pub fn create_in(volume: &Volume, parent: u64, name: &str) -> FsResult<u64> {
    let owner = Credentials::default();
    volume.mknod(parent, name.as_bytes(), 0o100_644, 0, &owner).map(|made| made.inode)
}

pub fn mkdir(volume: &Volume, name: &str) -> u64 {
    let owner = Credentials::default();
    volume.mkdir(ROOT_INODE, name.as_bytes(), 0o755, &owner).expect("mkdir").inode
}

pub fn find(volume: &Volume, name: &str) -> FsResult<u64> {
    volume.lookup(ROOT_INODE, name.as_bytes()).map(|found| found.inode)
}

/// A new file with this content.
pub fn put(volume: &Volume, name: &str, content: &[u8]) -> u64 {
    let inode = create(volume, name).expect("create");
    write(volume, inode, 0, content);
    inode
}

pub fn write(volume: &Volume, inode: u64, offset: u64, content: &[u8]) {
    for (part, at) in content.chunks(MIB as usize).zip((offset..).step_by(MIB as usize)) {
        let written = volume.write(inode, at, part, false).expect("write");
        assert_eq!(written, part.len());
    }
}

/// All of a file.
pub fn content(volume: &Volume, inode: u64) -> Vec<u8> {
    let size = volume.getattr(inode).expect("getattr").size;
    let mut buffer = vec![0xee; size as usize];
    let count = volume.read(inode, 0, &mut buffer).expect("read");
    assert_eq!(count, buffer.len());
    buffer
}

/// The names in a directory, without "." and "..".
pub fn names(volume: &Volume, directory: u64) -> Vec<String> {
    let mut names = Vec::new();
    let mut visit = |entry: &braidfs::DirectoryEntry| {
        if entry.cookie > 2 {
            names.push(String::from_utf8(entry.name.clone()).expect("a name of this test"));
        }
        true
    };
    volume.readdir(directory, 0, &mut visit).expect("readdir");
    names.sort();
    names
}
