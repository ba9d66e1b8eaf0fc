//! The setuid helper `fusermount3`, by which users without privileges mount and unmount.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::connect::option_words;
use super::disconnect::UnmountMode;
use super::error::FuseError;
use super::session::FuseOptions;

/// The helper's names, newest first, and where it is if PATH does not say.
const NAMES: [&str; 2] = ["fusermount3", "fusermount"];
const USUAL_PLACES: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
/// Names the socket by which the helper hands over the device.
const SOCKET_VARIABLE: &str = "_FUSE_COMMFD";

/// The helper, if it is installed.
pub(super) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = || std::env::split_paths(&path).chain(USUAL_PLACES.map(PathBuf::from));
    NAMES.iter().find_map(|name| {
        places().map(|place| place.join(name)).find(|candidate| candidate.is_file())
    })
}

/// Mounts by the helper, which hands back the connection.
pub(super) fn mount(options: &FuseOptions) -> Result<OwnedFd, FuseError> {
    let helper = find().ok_or(FuseError::NoHelper)?;
    let (ours, theirs) = UnixStream::pair().map_err(FuseError::Negotiation)?;
    fcntl_setfd(&theirs, FdFlags::empty()).map_err(|e| FuseError::Negotiation(e.into()))?;
    let child = Command::new(helper)
        .arg("-o")
        .arg(option_words(options))
        .arg("--")
        .arg(&options.mount_point)
        .env(SOCKET_VARIABLE, theirs.as_raw_fd().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(FuseError::Negotiation)?;
    drop(theirs);
    let device = receive_descriptor(&ours);
    let output = child.wait_with_output().map_err(FuseError::Negotiation)?;
    match device {
        Some(device) if output.status.success() => Ok(device),
        _ => Err(FuseError::Refused {
            mount_point: options.mount_point.clone(),
            reason: complaint(&output),
        }),
    }
}

/// Unmounts by the helper.
pub(super) fn unmount(mount_point: &Path, mode: UnmountMode) -> Result<(), FuseError> {
    let helper = find().ok_or(FuseError::NoHelper)?;
    let mut command = Command::new(helper);
    command.arg("-u");
    if mode == UnmountMode::Detach {
        command.arg("-z");
    }
    command.arg("--").arg(mount_point).stdin(Stdio::null()).stdout(Stdio::null());
    let output = command.output().map_err(FuseError::Negotiation)?;
    if output.status.success() {
        return Ok(());
    }
    let reason = complaint(&output);
    if reason.contains("busy") {
        return Err(FuseError::Busy(mount_point.to_owned()));
    }
    if reason.contains("not found in") || reason.contains("Invalid argument") {
        return Err(FuseError::NotMounted(mount_point.to_owned()));
    }
    Err(FuseError::Refused { mount_point: mount_point.to_owned(), reason })
}

/// What the helper has to say, in one line, with a hint where it needs one.
fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    // Behind its own name, which may be a path.
    let line = line.split_once(": ").map_or(line, |(_, behind)| behind).trim();
    if line.contains("user_allow_other") {
        return "--allow-other needs the line `user_allow_other` in /etc/fuse.conf; ask the \
                administrator, or leave the option out"
            .to_owned();
    }
    if line.is_empty() {
        return format!("the mount helper ended with {}", output.status);
    }
    line.to_owned()
}

/// The descriptor that comes through the socket, if one does.
fn receive_descriptor(socket: impl AsFd) -> Option<OwnedFd> {
    let mut byte = [0u8];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut buffers = [IoSliceMut::new(&mut byte)];
    rustix::io::retry_on_intr(|| {
        recvmsg(socket.as_fd(), &mut buffers, &mut control, RecvFlags::CMSG_CLOEXEC)
    })
    .ok()?;
    control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    })
}
