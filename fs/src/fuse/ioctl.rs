//! Ioctls. The kernel passes what is written to and read from the argument by the command's own number;
//! where that number tells it wrong, the caller's memory is looked at.

use std::path::Path;
use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tracing::{info, warn};

use super::adapter::Served;
use super::caller::Caller;
use super::protocol::Reply;
use super::reply::Call;
use crate::types::{InodeNumber, ShutdownMode};

/// `_IOR('X', 125, u32)`: FS_IOC_SHUTDOWN, alias XFS_IOC_GOINGDOWN. Its number says that the
/// argument is read by the caller, but it is the mode that the caller passes.
const SHUTDOWN: u32 = 0x8004_587d;

/// An ioctl of a file or directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ioctl {
    /// Its number.
    pub command: u32,
    /// Where the caller has the argument.
    pub address: u64,
}

/// IOCTL.
pub(super) fn answer(
    mount: &Served,
    inode: InodeNumber,
    ioctl: Ioctl,
    caller: &Caller,
    reply: Reply,
) {
    match ioctl.command {
        SHUTDOWN => shut_down(mount, inode, ioctl.address, caller, reply),
        _ => reply.error(Errno::NOTTY),
    }
}

fn shut_down(mount: &Served, inode: InodeNumber, address: u64, caller: &Caller, reply: Reply) {
    if !caller.is_administrator() {
        return reply.error(Errno::PERM);
    }
    // Who cannot be asked gets what loses nothing.
    let mode = match caller.memory(address).map(u32::from_ne_bytes) {
        None | Some(0) => ShutdownMode::Everything,
        Some(1) => ShutdownMode::Names,
        Some(2) => ShutdownMode::Nothing,
        Some(_) => return reply.error(Errno::INVAL),
    };
    info!(?mode, "asked to shut down");
    let (volume, mount_point) = (mount.volume.clone(), mount.mount_point.clone());
    let end = move || {
        if mode == ShutdownMode::Everything
            && let Err(errno) = hand_over(&mount_point)
        {
            warn!(%errno, "the kernel could not hand over everything");
        }
        let outcome = volume.shut_down(mode);
        Call::new("shutdown", inode).answer(reply, outcome, |reply, ()| reply.ioctl(0, &[]));
    };
    // What the kernel hands over comes as requests that other threads must answer meanwhile.
    if let Err(error) = thread::Builder::new().name("shutdown".to_owned()).spawn(end) {
        warn!(%error, "cannot start a thread to shut down; try again");
    }
}

/// Has the kernel hand over what it has not written yet.
fn hand_over(mount_point: &Path) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::syncfs(rustix::fs::open(mount_point, flags, Mode::empty())?)
}
