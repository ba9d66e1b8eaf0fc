//! What only the inside can show: how a delta is closed.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use braidfs_block::MemoryDevice;

use super::Volume;
use crate::options::{MkfsOptions, MountOptions};
use crate::types::{Credentials, ROOT_INODE, RenameMode};

/// Files that are dirty when the delta closes.
const FILES: u64 = 1000;

fn volume() -> Arc<Volume> {
    let device = Arc::new(MemoryDevice::new(256 << 20));
    Volume::mkfs(&device, &MkfsOptions::default(), &|_, _| ()).expect("mkfs");
    let options =
        MountOptions { background: false, cache_bytes: Some(64 << 20), ..MountOptions::default() };
    Volume::mount(device, options).expect("mount")
}

fn create(volume: &Volume, name: &str) -> u64 {
    let owner = Credentials::default();
    volume.mknod(ROOT_INODE, name.as_bytes(), 0o100_644, 0, &owner).expect("create").inode
}

/// All files are locked while the delta closes: if it visited a single one, dirty or renamed over another,
/// it would not come to an end.
#[test]
fn closing_a_delta_visits_none_of_the_dirty_files() {
    let volume = volume();
    let files: Vec<u64> = (0..FILES)
        .map(|number| {
            let (name, target) = (format!("f{number}"), format!("t{number}"));
            let file = create(&volume, &name);
            if number % 2 == 0 {
                create(&volume, &target);
            }
            volume.write(file, 0, b"dirty", false).expect("write");
            if number % 2 == 0 {
                let (from, to) = (name.as_bytes(), target.as_bytes());
                let renamed = volume.rename(ROOT_INODE, from, ROOT_INODE, to, RenameMode::Replace);
                renamed.expect("rename");
            }
            file
        })
        .collect();
    let pinned: Vec<_> = files.iter().map(|file| volume.pin(*file).expect("pin")).collect();
    let locked: Vec<_> = pinned.iter().map(|file| file.state()).collect();
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| sender.send(volume.committer.close_only()));
        let closed = receiver.recv_timeout(Duration::from_secs(20));
        assert!(locked.iter().all(|state| state.has_dirty_data() && !state.is_frozen()));
        drop(locked);
        assert_eq!(closed, Ok(true), "the delta was closed, without any file");
    });
}
