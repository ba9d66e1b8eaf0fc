//! `sync`: makes everything on a mount durable.
//!
//! syncfs(2) alone makes the kernel hand over what it has cached, but is not passed on to the server; the
//! server is asked by an attribute that it does not store.

use std::path::Path;

use rustix::io::Errno;

use super::channel::Channel;
use super::error::{CliError, CliResult};
use crate::fuse::SYNC_ATTRIBUTE;

/// Makes everything durable on the mount that `place` is on.
pub fn run(place: &Path) -> CliResult {
    let channel = Channel::open(place)?;
    channel.hand_over()?;
    match channel.set(SYNC_ATTRIBUTE, b"now") {
        // A read-only mount has nothing that is not on disk.
        Ok(()) | Err(Errno::ROFS) => Ok(()),
        Err(errno) => Err(CliError::new(format!(
            "not everything under {} is on disk: {errno}",
            place.display()
        ))),
    }
}
