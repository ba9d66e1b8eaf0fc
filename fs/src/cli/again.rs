//! Mounting what is mounted already, as mount(8) may: other filesystems show the same volume in
//! the second place, too.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::error::{CliError, CliResult};
use super::mount::MountPlan;
use super::{image, place};
use crate::fuse::{self, MountEntry};

/// How long a mount that is in the place may take to go: a `umount` may have begun.
const PATIENCE: Duration = Duration::from_millis(500);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Shows a volume that is mounted already in the second place; false if it is not mounted.
///
/// # Errors
/// If it is mounted in the same place, or cannot be shown.
pub fn bind(plan: &MountPlan) -> CliResult<bool> {
    let wanted = image::absolute(&plan.image)?;
    let wanted = wanted.canonicalize().unwrap_or(wanted);
    let Ok(mount_point) = plan.mount_point.canonicalize() else { return Ok(false) };
    let started = Instant::now();
    loop {
        let Some(existing) = mounted(&wanted)? else { return Ok(false) };
        let is_here = place::find(&mount_point)?.is_some_and(|here| here.device == existing.device);
        if !is_here {
            fuse::bind(&existing.mount_point, &mount_point, &plan.settings.kernel)?;
            return Ok(true);
        }
        if started.elapsed() > PATIENCE {
            let (image, shown) = (wanted.display(), mount_point.display());
            return Err(CliError::new(format!(
                "{image} is mounted on {shown} already; `umount {shown}` ends that"
            )));
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Where the whole of a volume is mounted.
pub(super) fn mounted(image: &Path) -> CliResult<Option<MountEntry>> {
    let is_whole = |entry: &MountEntry| entry.is_ours() && entry.root == Path::new("/");
    Ok(place::all()?.into_iter().find(|entry| is_whole(entry) && entry.source == image))
}
