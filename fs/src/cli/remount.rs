//! `mount -o remount`: other flags for what is mounted.

use std::path::Path;

use super::error::{CliError, CliResult};
use super::mount_options::MountSettings;
use super::place;
use crate::fuse;

/// Changes the flags of the mount on `path`.
pub fn run(path: &Path, settings: &MountSettings) -> CliResult {
    let shown = path.display();
    let resolved = path
        .canonicalize()
        .map_err(|error| CliError::new(format!("the mount point {shown}: {error}")))?;
    match place::find(&resolved)? {
        Some(entry) if entry.is_ours() => Ok(fuse::remount(&resolved, &settings.kernel)?),
        _ => Err(CliError::new(format!(
            "nothing of braidfs is mounted on {shown}; leave `remount` out to mount it"
        ))),
    }
}
