//! Ending a mount.

use std::path::Path;

use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use super::error::FuseError;
use super::fusermount;

/// When a mount may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnmountMode {
    /// Only if nobody uses it.
    WhenUnused,
    /// It leaves the tree of directories now, and ends when nobody uses it any more.
    Detach,
}

/// Unmounts what is mounted on `mount_point`. The kernel hands over what it has not written yet
/// before this returns.
///
/// # Errors
/// [`FuseError::Busy`], [`FuseError::NotMounted`], or what the system says.
pub fn unmount(mount_point: &Path, mode: UnmountMode) -> Result<(), FuseError> {
    let mut flags = UnmountFlags::NOFOLLOW;
    flags.set(UnmountFlags::DETACH, mode == UnmountMode::Detach);
    match rustix::mount::unmount(mount_point, flags) {
        Ok(()) => Ok(()),
        Err(Errno::PERM) => fusermount::unmount(mount_point, mode),
        Err(Errno::BUSY) => Err(FuseError::Busy(mount_point.to_owned())),
        Err(Errno::INVAL) => Err(FuseError::NotMounted(mount_point.to_owned())),
        Err(errno) => Err(FuseError::refused(mount_point, errno)),
    }
}
