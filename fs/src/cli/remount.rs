//! `mount -o remount`: other flags and settings for what is mounted.

use std::path::Path;

use super::channel::Channel;
use super::control;
use super::error::{CliError, CliResult};
use super::mount_options::MountSettings;
use super::place;
use crate::fuse::{self, MountReport, SETTINGS_ATTRIBUTE};

/// Changes the flags and settings of the mount on `path`.
pub fn run(path: &Path, settings: &MountSettings) -> CliResult {
    let shown = path.display();
    let resolved = path
        .canonicalize()
        .map_err(|error| CliError::new(format!("the mount point {shown}: {error}")))?;
    if !place::find(&resolved)?.is_some_and(|entry| entry.is_ours()) {
        return Err(CliError::new(format!(
            "nothing of braidfs is mounted on {shown}; leave `remount` out to mount it"
        )));
    }
    let flags = || fuse::remount(&resolved, &settings.kernel).map_err(CliError::from);
    if !settings.asks_for_settings() {
        return flags();
    }
    let channel = Channel::open(&resolved)?;
    check_fixed(settings, &channel.get(SETTINGS_ATTRIBUTE)?)?;
    let change = || control::make(&channel, &settings.change);
    // Settings cannot be changed while the flag says read-only.
    if settings.kernel.read_only {
        change()?;
        return flags();
    }
    flags()?;
    change()
}

/// What is fixed while mounted may be given, as fstab does, but not be different.
fn check_fixed(settings: &MountSettings, report: &MountReport) -> CliResult {
    let differs = [
        ("cache_size", settings.cache_bytes.is_some_and(|b| b != report.settings.cache_bytes)),
        ("threads", settings.threads.is_some_and(|n| usize::from(n) != report.threads)),
    ];
    match differs.into_iter().find(|(_, differs)| *differs) {
        Some((name, _)) => Err(CliError::new(format!(
            "{name} cannot be changed while mounted; unmount, then mount with it"
        ))),
        None => Ok(()),
    }
}
