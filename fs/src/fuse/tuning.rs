//! What the protocol has no word for, and root may set in sysfs: readahead beyond 128 KiB, which
//! cold sequential reads gain from more than from anything that the server does.

use std::fs;
use std::path::Path;

use tracing::debug;

use super::mount_table::MountEntry;
use super::negotiate::READ_AHEAD_BYTES;

/// Sets what can be set; a mount serves as well without.
pub(super) fn tune(mount: &MountEntry) {
    let path = Path::new("/sys/class/bdi").join(&mount.device).join("read_ahead_kb");
    if let Err(error) = fs::write(&path, (READ_AHEAD_BYTES / 1024).to_string()) {
        debug!(path = %path.display(), %error, "readahead stays as it is");
    }
}
