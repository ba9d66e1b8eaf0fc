//! `umount`: ends a mount and waits until its server has put everything on disk.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use braidfs_block::{BlockErrorKind, FileDevice, FileOptions};

use super::error::{CliError, CliResult};
use super::image::absolute;
use super::output::say;
use super::place;
use super::processes::{describe, users_of};
use crate::fuse::{FuseError, MountEntry, UnmountMode, unmount};

const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// After this long, say what is being waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Unmounts `named`, a mount point or an image. Lazily, it does not wait.
pub fn run(named: &Path, lazy: bool) -> CliResult {
    let entry = find(named)?;
    let holder = holder(&entry.source);
    let mode = if lazy { UnmountMode::Detach } else { UnmountMode::WhenUnused };
    unmount(&entry.mount_point, mode).map_err(|error| in_use(error, &entry))?;
    if !lazy && !is_mounted_elsewhere(&entry)? {
        wait_for(&entry.source, holder);
    }
    Ok(())
}

/// Whether what was unmounted is still mounted in another place, as by `mount --bind`; then its server
/// goes on.
fn is_mounted_elsewhere(unmounted: &MountEntry) -> CliResult<bool> {
    Ok(place::all()?.iter().any(|entry| entry.device == unmounted.device && entry.is_ours()))
}

/// The mount on a directory, or of an image.
fn find(named: &Path) -> CliResult<MountEntry> {
    let wanted = resolved(named)?;
    let ours = |entry: &MountEntry| {
        entry.is_ours() && (entry.mount_point == wanted || entry.source == wanted)
    };
    place::all()?.into_iter().rfind(ours).ok_or_else(|| {
        CliError::new(format!(
            "{} is neither a mount nor the image of a mount of braidfs; `grep braidfs \
             /proc/mounts` shows them all",
            named.display()
        ))
    })
}

/// Without symbolic links, as far as they can be followed: not into a mount whose server is gone.
fn resolved(path: &Path) -> CliResult<PathBuf> {
    if let Ok(resolved) = path.canonicalize() {
        return Ok(resolved);
    }
    let path = absolute(path)?;
    let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
    Ok(match (parent, path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path,
    })
}

fn in_use(error: FuseError, entry: &MountEntry) -> CliError {
    let FuseError::Busy(_) = error else { return error.into() };
    let place = entry.mount_point.display();
    match describe(&users_of(&entry.mount_point)) {
        Some(users) => CliError::new(format!(
            "{place} is in use by {users}; end that, or add --lazy to unmount it afterwards"
        )),
        None => error.into(),
    }
}

/// Who has the image locked for writing.
fn holder(image: &Path) -> Option<u32> {
    match FileDevice::open(image, &FileOptions::read_only()) {
        Err(error) if error.kind == BlockErrorKind::InUse => error.holder.map(|held| held.pid),
        _ => None,
    }
}

/// Waits until the server that had the image locked has let it go.
fn wait_for(image: &Path, server: Option<u32>) {
    let Some(server) = server else { return };
    let started = Instant::now();
    let mut has_told = false;
    while holder(image) == Some(server) {
        if !has_told && started.elapsed() > PATIENCE {
            say("braidfs: waiting until everything is on disk");
            has_told = true;
        }
        thread::sleep(POLL_INTERVAL);
    }
}
