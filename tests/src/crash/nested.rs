//! A second power loss, during the recovery from the first.

use std::sync::Arc;

use braidfs::{MountOptions, Volume};
use braidfs_block::{Event, MemoryDevice, RecordingDevice};

use super::image::recover;
use crate::model::{Tree, differences};
use crate::world::read_tree;

/// Mounts the volume on `image`, folds its log, unmounts it, and goes through the images that a loss during
/// any of that can leave: all must have the tree that the recovery has found. Returns how many there were.
///
/// # Errors
/// What is wrong with one of them, in words.
pub(super) fn explore_recovery(
    image: &MemoryDevice,
    options: &MountOptions,
    subsets: usize,
) -> Result<usize, String> {
    let device = Arc::new(RecordingDevice::new(image.clone()));
    let tree =
        recover_whole(&device, options).map_err(|error| format!("the recovery failed: {error}"))?;
    let recording = device.recording();
    let mut images = 0;
    for point in recording.crash_points() {
        let last = point.position().checked_sub(1).and_then(|last| recording.events().get(last));
        if !matches!(last, Some(Event::Write { .. })) {
            continue;
        }
        for case in point.subsets(subsets) {
            images += 1;
            check(&point.image(&case), options, &tree)
                .map_err(|problem| format!("during the recovery, {case}: {problem}"))?;
        }
    }
    Ok(images)
}

fn recover_whole(
    device: &Arc<RecordingDevice<MemoryDevice>>,
    options: &MountOptions,
) -> Result<Tree, braidfs::FsError> {
    let volume = Volume::mount(device.clone(), options.clone())?;
    let tree = read_tree(&volume)?;
    volume.syncfs()?;
    volume.unify()?;
    volume.unmount()?;
    Ok(tree)
}

fn check(image: &MemoryDevice, options: &MountOptions, expected: &Tree) -> Result<(), String> {
    let recovered = recover(Arc::new(image.clone()), options)?;
    let differences = differences(expected, &recovered.tree);
    if differences.is_empty() { Ok(()) } else { Err(differences) }
}
