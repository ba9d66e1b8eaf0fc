//! One image that a power loss left: what must be true of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use braidfs::{MountOptions, Volume};
use braidfs_block::BlockDevice;

use crate::check::check_volume;
use crate::model::Tree;
use crate::world::read_tree;

/// A volume that was mounted again after a power loss.
pub struct Recovered {
    /// The volume, mounted.
    pub volume: Arc<Volume>,
    /// The delta whose state it has, as the checker found it.
    pub delta: u64,
    /// Its tree.
    pub tree: Tree,
}

/// Checks the volume on `device` as it lies there, mounts it and reads all of it.
///
/// # Errors
/// What went wrong, in words; a panic is no less wrong.
pub fn recover(device: Arc<dyn BlockDevice>, options: &MountOptions) -> Result<Recovered, String> {
    let report = check_volume(&device)?;
    let log = report.log.ok_or("fsck did not look at the log")?;
    let volume = mount(device, options)?;
    let replayed = volume.replay_report().deltas;
    if replayed != log.replayed {
        let expected = log.replayed;
        return Err(format!("the mount replayed {replayed} deltas, fsck says {expected}"));
    }
    let tree = read_tree(&volume).map_err(|error| format!("the tree can't be read: {error}"))?;
    Ok(Recovered { volume, delta: log.last_delta, tree })
}

/// Uses the volume, unmounts it in order and checks it again.
///
/// # Errors
/// What went wrong, in words.
pub(super) fn use_and_close(recovered: &Recovered, device: &dyn BlockDevice) -> Result<(), String> {
    let volume = &recovered.volume;
    let used = || {
        let owner = braidfs::Credentials::default();
        let made = volume.mknod(braidfs::ROOT_INODE, b"after the loss", 0o100_644, 0, &owner)?;
        volume.write(made.inode, 5000, b"some content", false)?;
        volume.fsync(made.inode, false)?;
        volume.unlink(braidfs::ROOT_INODE, b"after the loss")?;
        volume.forget(made.inode, 1);
        volume.unmount()
    };
    used().map_err(|error| format!("the volume can't be used: {error}"))?;
    check_volume(device).map_err(|problem| format!("after use and an unmount {problem}"))?;
    Ok(())
}

fn mount(device: Arc<dyn BlockDevice>, options: &MountOptions) -> Result<Arc<Volume>, String> {
    match catch_unwind(AssertUnwindSafe(|| Volume::mount(device, options.clone()))) {
        Ok(Ok(volume)) => Ok(volume),
        Ok(Err(error)) => Err(format!("it does not mount: {error}")),
        Err(_) => Err("the mount panicked".to_owned()),
    }
}
