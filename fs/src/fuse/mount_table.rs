//! What is mounted where: `/proc/self/mountinfo`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

const TABLE: &str = "/proc/self/mountinfo";

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountEntry {
    /// Numbers of its device: `major:minor`.
    pub device: String,
    /// What of the filesystem is seen there: all of it, if this is `/`.
    pub root: PathBuf,
    /// Where it is.
    pub mount_point: PathBuf,
    /// Mounts below it show in other places, too.
    pub is_shared: bool,
    /// Its type, as `fuse.braidfs`, or `fuseblk.braidfs` for a block device.
    pub kind: String,
    /// What is mounted.
    pub source: PathBuf,
}

impl MountEntry {
    /// Whether it is a mount of this filesystem.
    pub fn is_ours(&self) -> bool {
        let kind = &self.kind;
        let subtype = kind.strip_prefix("fuse.").or_else(|| kind.strip_prefix("fuseblk."));
        subtype == Some(super::FSTYPE)
    }
}

/// All mounts that this process sees, in the order in which they were made.
///
/// # Errors
/// When the table cannot be read.
pub fn mounts() -> io::Result<Vec<MountEntry>> {
    Ok(fs::read(TABLE)?.split(|&byte| byte == b'\n').filter_map(parse_line).collect())
}

/// The uppermost mount on exactly this path, which must be absolute and without symbolic links.
pub(super) fn mount_on(mount_point: &Path) -> Option<MountEntry> {
    mounts().ok()?.into_iter().rfind(|entry| entry.mount_point == mount_point)
}

/// The mount that a path is in.
pub(super) fn mount_around(path: &Path) -> Option<MountEntry> {
    let around = mounts().ok()?.into_iter().filter(|entry| path.starts_with(&entry.mount_point));
    around.max_by_key(|entry| entry.mount_point.as_os_str().len())
}

/// Parses a line as `36 35 0:42 / /mnt rw,noatime shared:1 - fuse.braidfs /images/a.img rw`.
fn parse_line(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|&byte| byte == b' ');
    let device = fields.nth(2)?;
    let root = fields.next()?;
    let mount_point = fields.next()?;
    let rest: Vec<&[u8]> = fields.skip(1).collect();
    let end = rest.iter().position(|field| *field == b"-")?;
    let (optional, tail) = rest.split_at(end);
    let mut tail = tail.iter().skip(1);
    Some(MountEntry {
        device: String::from_utf8(device.to_vec()).ok()?,
        root: PathBuf::from(unescape(root)),
        mount_point: PathBuf::from(unescape(mount_point)),
        is_shared: optional.iter().any(|field| field.starts_with(b"shared:")),
        kind: String::from_utf8(tail.next()?.to_vec()).ok()?,
        source: PathBuf::from(unescape(tail.next()?)),
    })
}

/// Undoes the kernel's escapes: `\040` for a space, and so on.
fn unescape(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, behind)) = rest.split_first() {
        match octal(behind).filter(|_| first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[3..];
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    OsString::from_vec(bytes)
}

/// The byte that three octal digits at the front stand for.
fn octal(digits: &[u8]) -> Option<u8> {
    digits.get(..3)?.iter().try_fold(0u8, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|&digit| digit < 8)?;
        value.checked_mul(8)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_and_without_optional_fields() {
        let line =
            b"36 35 0:42 / /mnt/a\\040b rw,noatime shared:1 master:2 - fuse.braidfs /i.img rw";
        let entry = parse_line(line).unwrap();
        assert_eq!(entry.device, "0:42");
        assert!(entry.is_shared);
        assert_eq!(entry.root, Path::new("/"));
        assert_eq!(entry.mount_point, Path::new("/mnt/a b"));
        assert_eq!(entry.source, Path::new("/i.img"));
        assert!(entry.is_ours());
        let plain = parse_line(b"22 1 254:0 / / rw - ext4 /dev/vda rw,discard").unwrap();
        assert_eq!((plain.kind.as_str(), plain.is_ours()), ("ext4", false));
    }

    #[test]
    fn lines_that_are_not_understood_are_left_out() {
        assert_eq!(parse_line(b""), None);
        assert_eq!(parse_line(b"36 35 0:42 / /mnt rw"), None);
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(b"a\\134b\\011c\\"), "a\\b\tc\\");
        assert_eq!(unescape(b"\\99x\\400"), "\\99x\\400");
    }

    #[test]
    fn the_root_is_mounted() {
        assert!(mount_on(Path::new("/")).is_some());
        assert_eq!(mount_on(Path::new("/no/such/place")), None);
    }
}
