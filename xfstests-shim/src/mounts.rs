//! What is mounted below a directory, and how it goes away for certain.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::mount::UnmountFlags;

/// The mount points at and below `directory`, the uppermost (latest) first.
#[must_use]
pub fn below(directory: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut found: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescaped)
        .filter(|place| place.starts_with(directory))
        .collect();
    found.reverse();
    found
}

/// Whether something is mounted exactly there.
#[must_use]
pub fn is_mount_point(directory: &Path) -> bool {
    below(directory).iter().any(|place| place == directory)
}

/// Whether a mount is there whose server is gone.
#[must_use]
pub fn is_dead(mount_point: &Path) -> bool {
    let gone = Errno::NOTCONN.raw_os_error();
    fs::metadata(mount_point).is_err_and(|error| error.raw_os_error() == Some(gone))
}

/// Takes away every mount at and below `directory`, used or not. Returns what could not be.
pub fn detach_all(directory: &Path) -> Vec<PathBuf> {
    for place in below(directory) {
        let is_gone = rustix::mount::unmount(&place, UnmountFlags::DETACH).is_ok();
        if !is_gone {
            // Without root it is fusermount3 that may.
            let _ = Command::new("fusermount3")
                .args(["-u", "-z", "--"])
                .arg(&place)
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
    below(directory)
}

/// A path as mountinfo writes it: with \040 for a space, and so on.
fn unescaped(text: &str) -> PathBuf {
    let bytes = text.as_bytes();
    let mut path = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = text.get(at + 1..at + 4).filter(|_| bytes[at] == b'\\');
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                path.push(byte);
                at += 4;
            }
            None => {
                path.push(bytes[at]);
                at += 1;
            }
        }
    }
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_unescaped() {
        assert_eq!(unescaped("/a\\040b\\134"), Path::new("/a b\\"));
        assert_eq!(unescaped("/plain\\"), Path::new("/plain\\"));
    }

    #[test]
    fn what_is_mounted_is_seen() {
        assert!(is_mount_point(Path::new("/proc")));
        assert!(!is_mount_point(Path::new("/proc/self")));
        assert!(!is_dead(Path::new("/proc")));
    }
}
