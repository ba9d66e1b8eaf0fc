//! `sync`: makes everything on a mount durable.
//!
//! syncfs(2) alone makes the kernel hand over what it has cached, but is not passed on to the server; the
//! server is asked by setting an attribute that it does not store.

use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, XattrFlags, fsetxattr, fstat, major, minor, open, syncfs};
use rustix::io::Errno;

use super::error::{CliError, CliResult};
use super::place;
use crate::fuse::SYNC_ATTRIBUTE;

/// Makes everything durable on the mount that `place` is on.
pub fn run(place: &Path) -> CliResult {
    let shown = place.display();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = open(place, flags, Mode::empty()).map_err(|errno| {
        CliError::new(format!("cannot open {shown}: {errno}; name a directory of the mount"))
    })?;
    check_is_ours(&directory, place)?;
    let synced = syncfs(&directory)
        .and_then(|()| fsetxattr(&directory, SYNC_ATTRIBUTE, b"now", XattrFlags::empty()));
    synced.map_err(|errno| {
        CliError::new(match errno {
            Errno::PERM | Errno::ACCESS => {
                format!("no permission to sync by {shown}; name a directory that you may write to")
            }
            errno => format!("not everything under {shown} is on disk: {errno}"),
        })
    })
}

/// Another filesystem would store the attribute.
fn check_is_ours(directory: &OwnedFd, place: &Path) -> CliResult {
    let shown = place.display();
    let device = fstat(directory)
        .map(|status| format!("{}:{}", major(status.st_dev), minor(status.st_dev)))
        .map_err(|errno| CliError::new(format!("cannot look at {shown}: {errno}")))?;
    if place::all()?.iter().any(|entry| entry.is_ours() && entry.device == device) {
        return Ok(());
    }
    Err(CliError::new(format!("{shown} is not on a mount of braidfs; sync(1) is for others")))
}
