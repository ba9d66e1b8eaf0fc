//! The lock of an image, and who holds it.
//!
//! The lock is `flock(2)`: it belongs to the open file, ends with the process however that ends, and
//! is seen by other programs that use it. A conflict is tried again for a moment, because some pass by
//! themselves: udev takes the same lock whenever a block device appears, a program that the last
//! user is starting has that user's files until it runs, and a killed process takes a while to end.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, Statx, flock};
use rustix::io::{Errno, retry_on_intr};

use crate::error::LockHolder;

const ATTEMPT_PAUSE: Duration = Duration::from_millis(20);
const ATTEMPTS: u32 = 25;

/// Locks `file`, for itself alone if `exclusive`.
pub(super) fn lock(file: &OwnedFd, exclusive: bool) -> Result<(), Errno> {
    let operation = if exclusive {
        FlockOperation::NonBlockingLockExclusive
    } else {
        FlockOperation::NonBlockingLockShared
    };
    for _ in 1..ATTEMPTS {
        match retry_on_intr(|| flock(file, operation)) {
            Err(Errno::WOULDBLOCK) => thread::sleep(ATTEMPT_PAUSE),
            done => return done,
        }
    }
    retry_on_intr(|| flock(file, operation))
}

/// Who holds a lock of the file with this status, as far as the kernel tells this user.
pub(super) fn holder(status: &Statx) -> Option<LockHolder> {
    let pid = process_with_locked_file(status).or_else(|| process_in_lock_table(status))?;
    let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(LockHolder { pid, command: command.trim_end().to_owned() })
}

/// The process that took the lock, from the table that every user may read.
///
/// It may have ended since and have left the lock to a child; then it is not named.
fn process_in_lock_table(status: &Statx) -> Option<u32> {
    let table = fs::read_to_string("/proc/locks").ok()?;
    let place = ((status.stx_dev_major, status.stx_dev_minor), status.stx_ino);
    let lock =
        table.lines().filter_map(parse_lock).find(|lock| (lock.device, lock.inode) == place)?;
    Path::new(&format!("/proc/{}", lock.pid)).exists().then_some(lock.pid)
}

/// A line of `/proc/locks` that grants a lock of the kind that is used here.
#[derive(Debug, PartialEq, Eq)]
struct LockLine {
    pid: u32,
    device: (u32, u32),
    inode: u64,
}

/// Parses a line as `3: FLOCK  ADVISORY  WRITE 1234 fe:01:5678 0 EOF`; one with `->` only waits.
fn parse_lock(line: &str) -> Option<LockLine> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let &[_, "FLOCK", _, _, pid, place, ..] = fields.as_slice() else {
        return None;
    };
    let mut parts = place.split(':');
    let major = u32::from_str_radix(parts.next()?, 16).ok()?;
    let minor = u32::from_str_radix(parts.next()?, 16).ok()?;
    let inode = parts.next()?.parse().ok()?;
    Some(LockLine { pid: pid.parse().ok()?, device: (major, minor), inode })
}

/// A process that has the file open and locked, found among the open files of all processes that
/// this user may look into.
///
/// Asked before the table of locks, which names who took the lock rather than who has it now, and
/// on some filesystems another device than `stat` does.
fn process_with_locked_file(status: &Statx) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|&pid| has_locked_file(pid, status))
}

fn has_locked_file(pid: u32, status: &Statx) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    files.flatten().any(|file| {
        is_same_file(&file.path(), status)
            && fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", file.file_name().display()))
                .is_ok_and(|info| info.contains("FLOCK"))
    })
}

fn is_same_file(path: &Path, status: &Statx) -> bool {
    let device = rustix::fs::makedev(status.stx_dev_major, status.stx_dev_minor);
    fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (device, status.stx_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_lock_table_are_understood() {
        assert_eq!(
            parse_lock("3: FLOCK  ADVISORY  WRITE 1234 fe:1f:5678 0 EOF"),
            Some(LockLine { pid: 1234, device: (0xfe, 0x1f), inode: 5678 })
        );
        for other in [
            "3: -> FLOCK  ADVISORY  WRITE 1234 fe:1f:5678 0 EOF",
            "3: POSIX  ADVISORY  WRITE 1234 fe:1f:5678 0 EOF",
            "3: FLOCK  ADVISORY  WRITE -1 fe:1f:5678 0 EOF",
            "3: FLOCK  ADVISORY  WRITE 1234 <none>:0 0 EOF",
            "",
        ] {
            assert_eq!(parse_lock(other), None, "{other}");
        }
    }
}
