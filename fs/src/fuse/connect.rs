//! Making a mount: mount(2) where that is allowed, else the setuid helper `fusermount3`.
//!
//! fuser can do this too, but hides the error number behind a text, cannot name the type of the
//! filesystem when root mounts, and turns away requests that the kernel's own threads make for
//! another user's mount.
//!
//! A block device is mounted as one (`fuseblk`), where that is allowed: by root. The kernel then claims
//! the device, and treats the mount as it does those of its own filesystems: the last umount(2)
//! returns when the server has answered DESTROY, and sync(2) and syncfs(2) are passed on as SYNCFS
//! (since Linux 6.18; `fuse_sync_fs` in `fs/fuse/inode.c` does so where `sync_fs` of the connection is
//! set, which is for virtiofs, and by then for fuseblk). For all other mounts both end in the kernel.

use std::ffi::CString;
use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags};

use super::error::FuseError;
use super::mount_table::mount_around;
use super::session::{FuseOptions, KernelOptions};
use super::{FSTYPE, fusermount};

const DEVICE: &str = "/dev/fuse";
/// The unit of blocks that the kernel is told for a mounted block device.
const BLOCK_BYTES: u32 = 4096;

/// Says at once if nothing can be mounted here, whatever it is.
///
/// # Errors
/// [`FuseError::NoDevice`] or [`FuseError::DeviceDenied`].
pub fn check_device() -> Result<(), FuseError> {
    open_device().map(drop)
}

/// Mounts on `options.mount_point`; the requests come through what is returned.
pub(super) fn connect(options: &FuseOptions) -> Result<OwnedFd, FuseError> {
    let device = open_device()?;
    match mount(&device, options) {
        Ok(()) => Ok(device),
        Err(errno) if options.block_device => Err(FuseError::NotAsBlockDevice(errno.into())),
        Err(Errno::PERM) => fusermount::mount(options),
        Err(errno) => Err(FuseError::refused(&options.mount_point, errno)),
    }
}

/// Changes the flags of a mount that is there. If it has them already, nothing is done, for which
/// nobody needs any rights.
///
/// # Errors
/// What the system says.
pub fn remount(mount_point: &Path, options: &KernelOptions) -> Result<(), FuseError> {
    let wanted = mount_flags(options);
    if flags_in_force(mount_point) == Some(wanted) {
        return Ok(());
    }
    rustix::mount::mount_remount(mount_point, wanted, "").map_err(|errno| match errno {
        Errno::PERM => FuseError::Refused {
            mount_point: mount_point.to_owned(),
            reason: "only root may change flags like ro, exec and suid of what is mounted; \
                     unmount it, and mount it with them"
                .to_owned(),
        },
        errno => FuseError::refused(mount_point, errno),
    })
}

/// Shows what is mounted on `existing` on `mount_point`, too, there with flags of its own, and apart
/// from it as to which mounts below show elsewhere: as if it were a mount of its own.
///
/// # Errors
/// What the system says.
pub fn bind(existing: &Path, mount_point: &Path, options: &KernelOptions) -> Result<(), FuseError> {
    let refused = |errno| FuseError::refused(mount_point, errno);
    // A new mount is shared if the one that it is in is.
    let is_shared = mount_around(mount_point).is_some_and(|around| around.is_shared);
    rustix::mount::mount_bind(existing, mount_point).map_err(refused)?;
    let private = MountPropagationFlags::PRIVATE;
    rustix::mount::mount_change(mount_point, private).map_err(refused)?;
    if is_shared {
        let shared = MountPropagationFlags::SHARED;
        rustix::mount::mount_change(mount_point, shared).map_err(refused)?;
    }
    // What is for the whole filesystem cannot differ.
    let flags = (mount_flags(options) - MountFlags::SYNCHRONOUS) | MountFlags::BIND;
    rustix::mount::mount_remount(mount_point, flags, "").map_err(refused)
}

fn open_device() -> Result<OwnedFd, FuseError> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open(DEVICE, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::ACCESS | Errno::PERM => FuseError::DeviceDenied,
        _ => FuseError::NoDevice,
    })
}

fn mount(device: &OwnedFd, options: &FuseOptions) -> Result<(), Errno> {
    let mut data = format!(
        "fd={},rootmode=40000,user_id={},group_id={},default_permissions,subtype={FSTYPE}",
        device.as_fd().as_raw_fd(),
        rustix::process::getuid().as_raw(),
        rustix::process::getgid().as_raw(),
    );
    if options.allow_other {
        data.push_str(",allow_other");
    }
    let kind = if options.block_device {
        // Writing to a String does not fail.
        let _ = write!(data, ",blksize={BLOCK_BYTES}");
        "fuseblk"
    } else {
        "fuse"
    };
    let data = CString::new(data).map_err(|_| Errno::INVAL)?;
    let target: &Path = &options.mount_point;
    let flags = mount_flags(&options.kernel);
    rustix::mount::mount(&*options.source, target, kind, flags, data.as_c_str())
}

/// Those flags that a mount has, of the ones that [`KernelOptions`] knows.
fn flags_in_force(mount_point: &Path) -> Option<MountFlags> {
    let found = rustix::fs::statvfs(mount_point).ok()?.f_flag;
    Some(mount_flags(&KernelOptions {
        read_only: found.contains(StatVfsMountFlags::RDONLY),
        suid: !found.contains(StatVfsMountFlags::NOSUID),
        dev: !found.contains(StatVfsMountFlags::NODEV),
        exec: !found.contains(StatVfsMountFlags::NOEXEC),
        noatime: found.contains(StatVfsMountFlags::NOATIME),
        sync: found.contains(StatVfsMountFlags::SYNCHRONOUS),
    }))
}

/// The flags of mount(2).
pub(super) fn mount_flags(options: &KernelOptions) -> MountFlags {
    let mut flags = MountFlags::empty();
    flags.set(MountFlags::RDONLY, options.read_only);
    flags.set(MountFlags::NOSUID, !options.suid);
    flags.set(MountFlags::NODEV, !options.dev);
    flags.set(MountFlags::NOEXEC, !options.exec);
    flags.set(MountFlags::NOATIME, options.noatime);
    flags.set(MountFlags::SYNCHRONOUS, options.sync);
    flags
}

/// The options of `fusermount3 -o`, which has words for the same and no others.
pub(super) fn option_words(options: &FuseOptions) -> String {
    let kernel = &options.kernel;
    let choice = |on: bool, yes: &'static str, no: &'static str| if on { yes } else { no };
    let mut words = String::from("default_permissions");
    for word in [
        choice(kernel.read_only, "ro", "rw"),
        choice(kernel.suid, "suid", "nosuid"),
        choice(kernel.dev, "dev", "nodev"),
        choice(kernel.exec, "exec", "noexec"),
        choice(kernel.noatime, "noatime", ""),
        choice(kernel.sync, "sync", ""),
        choice(options.allow_other, "allow_other", ""),
    ] {
        if !word.is_empty() {
            let _ = write!(words, ",{word}");
        }
    }
    let source = options.source.replace('\\', "\\\\").replace(',', "\\,");
    let _ = write!(words, ",subtype={FSTYPE},fsname={source}");
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> FuseOptions {
        FuseOptions {
            source: "/images/a,b.img".to_owned(),
            mount_point: "/mnt".into(),
            allow_other: true,
            block_device: false,
            threads: 2,
            kernel: KernelOptions { noatime: true, exec: true, ..KernelOptions::default() },
        }
    }

    #[test]
    fn flags_say_what_is_forbidden() {
        let flags = mount_flags(&options().kernel);
        assert_eq!(flags, MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME);
    }

    #[test]
    fn the_helper_gets_the_same_in_words() {
        assert_eq!(
            option_words(&options()),
            "default_permissions,rw,nosuid,nodev,exec,noatime,allow_other,subtype=braidfs,\
             fsname=/images/a\\,b.img"
        );
    }
}
