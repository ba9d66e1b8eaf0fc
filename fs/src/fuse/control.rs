//! Talking to the server of a mount: attributes of its directories that are not stored.
//!
//! Their names begin with `system.braidfs.`, a namespace for which the kernel leaves all decisions to
//! the filesystem: so they work whoever the root directory belongs to, they are not listed, and no
//! copying program takes them along. They are the same on every inode of the mount.
//!
//! | attribute | read | written |
//! |---|---|---|
//! | `sync` | - | anything: makes everything durable; anybody may, as with syncfs(2) |
//! | `fsync` | makes this file durable, as far as the kernel has handed it over; the value is empty | - |
//! | `settings` | JSON: [`MountReport`] | JSON: [`SettingsChange`]; root, and who mounted |
//! | `statistics` | JSON: [`Report`] | `reset`; root, and who mounted |
//! | `shutdown` | - | `everything`, `names` or `nothing`: what is made durable before; root, and who mounted |
//! | `histogram.NAME` | JSON: the [`Bucket`]s of a distribution | - |
//!
//! [`Report`]: crate::statistics::Report
//! [`Bucket`]: crate::statistics::Bucket
//!
//! `fsync` is for programs whose writers must not wait for it. The kernel holds the lock of an inode
//! from the begin of fsync(2) until the server has answered, and write(2) to the same file waits for
//! that lock, whatever the server does. Reading an attribute takes no lock: syncfs(2) or
//! sync_file_range(2), and then this attribute, make a file as durable as fsync(2), and writers go on.
//!
//! Why not an ioctl: it would need unsafe code to send, and cannot be used from a shell.

use std::sync::Arc;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::protocol::Reply;
use super::reply::Call;
use super::xattr::send;
use crate::error::FsResult;
use crate::settings::{Settings, SettingsChange};
use crate::statistics::{Measure, buckets};
use crate::types::{InodeNumber, ShutdownMode};
use crate::volume::Volume;

/// What the names of all of them begin with.
const PREFIX: &str = "system.braidfs.";
/// Written with anything, it makes everything durable: the kernel does not pass syncfs(2) on to
/// servers like this one.
pub const SYNC_ATTRIBUTE: &str = "system.braidfs.sync";
/// Written with anything, it gives free space back to the device.
pub const TRIM_ATTRIBUTE: &str = "system.braidfs.trim";
/// Read on a file, it makes that file durable without the kernel's lock of its inode.
pub const FSYNC_ATTRIBUTE: &str = "system.braidfs.fsync";
/// What is in force, and how it is changed.
pub const SETTINGS_ATTRIBUTE: &str = "system.braidfs.settings";
/// What it did.
pub const STATISTICS_ATTRIBUTE: &str = "system.braidfs.statistics";
/// How often each value of a measure came up; the name of the measure stands behind.
pub const HISTOGRAM_ATTRIBUTE: &str = "system.braidfs.histogram.";
/// Written to [`STATISTICS_ATTRIBUTE`], it lets peaks and measurements begin anew.
pub const RESET: &str = "reset";

/// Written, it shuts the volume down.
pub const SHUTDOWN_ATTRIBUTE: &str = "system.braidfs.shutdown";

/// What a mount is like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountReport {
    /// What can be changed, and the size of the cache.
    #[serde(flatten)]
    pub settings: Settings,
    /// Threads that answer requests.
    pub threads: usize,
    /// The version of the program that serves.
    pub server_version: String,
    /// Its process id.
    pub server_pid: u32,
}

/// The server's side.
pub(super) struct Control {
    volume: Arc<Volume>,
    threads: usize,
    owner: u32,
}

impl Control {
    /// Controls `volume`, which this process serves with so many threads.
    pub fn new(volume: Arc<Volume>, threads: usize) -> Self {
        Self { volume, threads, owner: rustix::process::geteuid().as_raw() }
    }

    /// Whether this is an attribute that is not stored.
    pub fn is_for(name: &[u8]) -> bool {
        name.starts_with(PREFIX.as_bytes())
    }

    /// GETXATTR of such an attribute.
    pub fn get(&self, inode: InodeNumber, name: &[u8], space: u32, reply: Reply) {
        if name == FSYNC_ATTRIBUTE.as_bytes() {
            let call = Call::new("fsync", inode);
            let answer = move |outcome: FsResult<()>| {
                call.answer(reply, outcome, |reply, ()| send(reply, b"", space));
            };
            return self.volume.fsync_then(inode, Box::new(answer));
        }
        match std::str::from_utf8(name).ok().and_then(|name| self.value(name)) {
            Some(Ok(value)) => send(reply, &value, space),
            Some(Err(_)) => reply.error(Errno::IO),
            None => reply.error(Errno::NODATA),
        }
    }

    fn value(&self, name: &str) -> Option<serde_json::Result<Vec<u8>>> {
        Some(match name {
            SETTINGS_ATTRIBUTE => serde_json::to_vec(&self.report()),
            STATISTICS_ATTRIBUTE => serde_json::to_vec(&self.volume.statistics_report()),
            _ => {
                let measure = Measure::named(name.strip_prefix(HISTOGRAM_ATTRIBUTE)?)?;
                serde_json::to_vec(&buckets(&self.volume.measured(measure)))
            }
        })
    }

    /// SETXATTR of such an attribute, by a user (`None` if it cannot be known).
    pub fn set(
        &self,
        inode: InodeNumber,
        name: &[u8],
        value: &[u8],
        uid: Option<u32>,
        reply: Reply,
    ) {
        let result = match std::str::from_utf8(name) {
            Ok(SYNC_ATTRIBUTE) => self.volume.syncfs(),
            Ok(_) if uid != Some(0) && uid != Some(self.owner) => return reply.error(Errno::PERM),
            Ok(TRIM_ATTRIBUTE) => self.volume.trim().map(drop),
            Ok(SETTINGS_ATTRIBUTE) => match serde_json::from_slice::<SettingsChange>(value) {
                Ok(change) => self.volume.change_settings(&change).map(drop),
                Err(error) => {
                    tracing::debug!("settings that make no sense: {error}");
                    return reply.error(Errno::INVAL);
                }
            },
            Ok(STATISTICS_ATTRIBUTE) if value == RESET.as_bytes() => {
                self.volume.reset_statistics();
                Ok(())
            }
            Ok(STATISTICS_ATTRIBUTE) => return reply.error(Errno::INVAL),
            Ok(SHUTDOWN_ATTRIBUTE) => match shutdown_mode(value) {
                Some(mode) => self.volume.shut_down(mode),
                None => return reply.error(Errno::INVAL),
            },
            _ => return reply.error(Errno::OPNOTSUPP),
        };
        Call::new("control", inode).answer_empty(reply, result);
    }

    fn report(&self) -> MountReport {
        MountReport {
            settings: self.volume.settings(),
            threads: self.threads,
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            server_pid: std::process::id(),
        }
    }
}

/// What the written value asks for.
fn shutdown_mode(value: &[u8]) -> Option<ShutdownMode> {
    match value {
        b"everything" => Some(ShutdownMode::Everything),
        b"names" => Some(ShutdownMode::Names),
        b"nothing" => Some(ShutdownMode::Nothing),
        _ => None,
    }
}
