//! What can go wrong with a mount.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A mount that could not be made, served or ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FuseError {
    /// There is no FUSE device.
    #[error(
        "there is no FUSE device here (/dev/fuse); load it with `modprobe fuse`, or start the \
         container with `--device /dev/fuse`"
    )]
    NoDevice,
    /// The FUSE device may not be used.
    #[error(
        "no permission to use /dev/fuse; ask the administrator for access to it, or mount as root"
    )]
    DeviceDenied,
    /// The kernel does not mount this block device as such; it may be mounted in the other way.
    #[error("the block device cannot be mounted as such: {0}")]
    NotAsBlockDevice(io::Error),
    /// Only the setuid helper could mount, and there is none.
    #[error(
        "mounting needs root, or the program fusermount3, which is not installed; install the \
         package fuse3"
    )]
    NoHelper,
    /// The mount was refused.
    #[error("cannot mount on {}: {reason}", mount_point.display())]
    Refused {
        /// Where.
        mount_point: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// The mount cannot be ended, since somebody uses it.
    #[error("{} is in use; close the files and leave the directories in it first", .0.display())]
    Busy(PathBuf),
    /// There is nothing to unmount.
    #[error("{} is not a mount point; `grep braidfs /proc/mounts` shows them", .0.display())]
    NotMounted(PathBuf),
    /// The kernel and this program could not agree.
    #[error("cannot start to serve the mount: {0}")]
    Negotiation(io::Error),
    /// The requests of the kernel could not be read any more.
    #[error("the mount ended early: {0}; look into the kernel's messages")]
    Serving(io::Error),
}

impl FuseError {
    /// A refusal by mount(2).
    pub(super) fn refused(mount_point: &Path, errno: rustix::io::Errno) -> Self {
        use rustix::io::Errno;
        let reason = match errno {
            Errno::NODEV => return Self::NoDevice,
            Errno::NOENT => "there is no such directory; make it with `mkdir`".to_owned(),
            Errno::NOTDIR => "it is not a directory; name one".to_owned(),
            Errno::BUSY => "it is in use; unmount what is there first".to_owned(),
            Errno::ACCESS | Errno::PERM => {
                "permission denied; choose a directory of your own, or mount as root".to_owned()
            }
            errno => format!("{errno}; look into the kernel's messages (`dmesg`)"),
        };
        Self::Refused { mount_point: mount_point.to_owned(), reason }
    }
}
