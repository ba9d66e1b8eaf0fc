//! `sync`: makes everything on a mount durable.
//!
//! syncfs(2) alone makes the kernel hand over what it has cached, but is not passed on to the server; the
//! server is asked by setting an attribute that it does not store.

use std::path::Path;

use rustix::fs::{Mode, OFlags, XattrFlags, fsetxattr, open, syncfs};
use rustix::io::Errno;

use super::error::{CliError, CliResult};
use crate::fuse::SYNC_ATTRIBUTE;

/// Makes everything durable on the mount that `place` is on.
pub fn run(place: &Path) -> CliResult {
    let shown = place.display();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = open(place, flags, Mode::empty()).map_err(|errno| {
        CliError::new(format!("cannot open {shown}: {errno}; name a directory of the mount"))
    })?;
    let synced = syncfs(&directory)
        .and_then(|()| fsetxattr(&directory, SYNC_ATTRIBUTE, b"now", XattrFlags::empty()));
    synced.map_err(|errno| {
        CliError::new(match errno {
            Errno::PERM | Errno::ACCESS => {
                format!("no permission to sync by {shown}; name a directory that you may write to")
            }
            Errno::OPNOTSUPP => format!("{shown} is not on a mount of braidfs; use sync(1)"),
            errno => format!("not everything under {shown} is on disk: {errno}"),
        })
    })
}
