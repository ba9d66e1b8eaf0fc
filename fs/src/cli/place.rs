//! The directory to mount on.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use tracing::info;

use super::error::{CliError, CliResult};
use super::image::absolute;
use crate::fuse::{MountEntry, UnmountMode, mounts, unmount};

/// Checks that something can be mounted on `path`, and returns it without symbolic links. A mount
/// of ours that nobody serves any more, as a crash leaves it, is removed first. Another one may only be
/// covered if the caller says so.
pub fn check(path: &Path, may_cover: bool) -> CliResult<PathBuf> {
    let shown = path.display();
    let metadata = match path.metadata() {
        Err(error) if is_dead(&error) => {
            remove_dead(path)?;
            path.metadata()
        }
        result => result,
    };
    let metadata = metadata.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => CliError::new(format!(
            "the mount point {shown} does not exist; make it with `mkdir {shown}`"
        )),
        io::ErrorKind::PermissionDenied => CliError::new(format!(
            "no permission to look at the mount point {shown}; choose a directory of your own"
        )),
        _ => CliError::new(format!("the mount point {shown} cannot be used: {error}")),
    })?;
    if !metadata.is_dir() {
        let message = format!("the mount point {shown} is not a directory; name one");
        return Err(CliError::new(message));
    }
    let resolved = path
        .canonicalize()
        .map_err(|error| CliError::new(format!("the mount point {shown}: {error}")))?;
    match find(&resolved)?.filter(|_| !may_cover) {
        Some(entry) => Err(CliError::new(format!(
            "the mount point {shown} is in use: {} is mounted there; unmount it with \
             `umount {shown}`, or choose another directory",
            entry.source.display()
        ))),
        None => Ok(resolved),
    }
}

/// The uppermost mount on exactly this path.
pub fn find(mount_point: &Path) -> CliResult<Option<MountEntry>> {
    Ok(all()?.into_iter().rfind(|entry| entry.mount_point == mount_point))
}

/// All mounts.
pub fn all() -> CliResult<Vec<MountEntry>> {
    mounts().map_err(|error| {
        CliError::new(format!("cannot read the table of mounts: {error}; is /proc mounted?"))
    })
}

/// Whether this error says that the server of a mount is gone. While it goes, the kernel gives
/// ECONNABORTED to what it was still asked; once it is gone, ENOTCONN.
fn is_dead(error: &io::Error) -> bool {
    [Errno::NOTCONN, Errno::CONNABORTED]
        .iter()
        .any(|gone| error.raw_os_error() == Some(gone.raw_os_error()))
}

fn remove_dead(path: &Path) -> CliResult {
    // The path itself cannot be resolved, since nobody answers; what is above it can.
    let path = absolute(path)?;
    let resolved =
        match (path.parent().and_then(|parent| parent.canonicalize().ok()), path.file_name()) {
            (Some(parent), Some(name)) => parent.join(name),
            _ => path,
        };
    let shown = resolved.display();
    match find(&resolved)? {
        Some(entry) if entry.is_ours() => {
            info!("removing the dead mount on {shown}");
            Ok(unmount(&resolved, UnmountMode::Detach)?)
        }
        _ => Err(CliError::new(format!(
            "the mount point {shown} has a mount whose server is gone; unmount it with \
             `umount -l {shown}`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_goes_counts_as_gone() {
        for gone in [Errno::NOTCONN, Errno::CONNABORTED] {
            assert!(is_dead(&io::Error::from(gone)), "{gone}");
        }
        assert!(!is_dead(&io::Error::from(Errno::ACCESS)));
    }

    #[test]
    fn places_that_nothing_can_be_mounted_on() {
        let directory = tempfile::tempdir().unwrap();
        let missing = check(&directory.path().join("missing"), false).unwrap_err().to_string();
        assert!(missing.contains("does not exist") && missing.contains("mkdir"), "{missing}");
        let file = directory.path().join("file");
        std::fs::write(&file, b"").unwrap();
        assert!(check(&file, false).unwrap_err().to_string().contains("not a directory"));
        assert!(check(Path::new("/proc"), true).is_ok());
        assert!(check(Path::new("/proc"), false).unwrap_err().to_string().contains("in use"));
        let good = check(directory.path(), false).unwrap();
        assert_eq!(good, directory.path().canonicalize().unwrap());
    }
}
