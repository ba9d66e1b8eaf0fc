//! `trim`: gives free space back to the disk, or to the host of an image.

use std::path::Path;

use super::channel::Channel;
use super::error::{CliError, CliResult};
use crate::fuse::TRIM_ATTRIBUTE;

/// Discards what is free on the mount that `place` is on.
pub fn run(place: &Path) -> CliResult {
    let channel = Channel::open(place)?;
    channel.hand_over()?;
    channel.set(TRIM_ATTRIBUTE, b"now").map_err(|errno| {
        CliError::new(format!("the free space of {} was not discarded: {errno}", place.display()))
    })
}
