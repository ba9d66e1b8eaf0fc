//! The core's attributes and times from and to those of the protocol.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, Generation, INodeNo, TimeOrNow};

use crate::types::{Attributes, FileKind, InodeNumber, SetTime, Timestamp};

/// How long the kernel may keep names and attributes: until it changes them itself, since nobody
/// else does.
pub(super) const FOREVER: Duration = Duration::from_secs(1 << 31);

/// The unit of I/O that `stat` tells.
const BLOCK_BYTES: u32 = 4096;

/// The protocol's type of a file.
pub(super) fn file_type(kind: FileKind) -> FileType {
    match kind {
        FileKind::Fifo => FileType::NamedPipe,
        FileKind::CharDevice => FileType::CharDevice,
        FileKind::Directory => FileType::Directory,
        FileKind::BlockDevice => FileType::BlockDevice,
        FileKind::Regular => FileType::RegularFile,
        FileKind::Symlink => FileType::Symlink,
        FileKind::Socket => FileType::Socket,
    }
}

/// The protocol's attributes.
pub(super) fn file_attr(attributes: &Attributes) -> FileAttr {
    FileAttr {
        ino: INodeNo(attributes.inode),
        size: attributes.size,
        blocks: attributes.blocks_512,
        atime: system_time(attributes.accessed),
        mtime: system_time(attributes.modified),
        ctime: system_time(attributes.changed),
        crtime: system_time(attributes.created),
        kind: file_type(attributes.kind()),
        perm: (attributes.mode & 0o7777) as u16,
        nlink: attributes.links,
        uid: attributes.uid,
        gid: attributes.gid,
        rdev: attributes.device,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}

/// The generation of an inode.
pub(super) fn generation(attributes: &Attributes) -> Generation {
    Generation(attributes.generation.into())
}

/// Attributes of which the kernel uses number and type only: those of the entries `.` and `..`, and,
/// with number 0, those of a name that does not exist.
pub(super) fn bare_attr(inode: InodeNumber, kind: FileKind) -> FileAttr {
    FileAttr {
        ino: INodeNo(inode),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: file_type(kind),
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}

/// A time for a reply.
fn system_time(time: Timestamp) -> SystemTime {
    let seconds = Duration::from_secs(time.seconds.unsigned_abs());
    let whole = if time.seconds >= 0 {
        UNIX_EPOCH.checked_add(seconds)
    } else {
        UNIX_EPOCH.checked_sub(seconds)
    };
    let nanoseconds = Duration::from_nanos(time.nanoseconds.into());
    // Every i64 of seconds is a SystemTime on Linux, so the epoch is never shown in its place.
    whole.and_then(|whole| whole.checked_add(nanoseconds)).unwrap_or(UNIX_EPOCH)
}

/// A time from a request.
///
/// Before 1970 fuser 0.18 subtracts the nanoseconds, which the protocol adds to the (negative)
/// seconds; taking seconds and nanoseconds apart again gives what the kernel sent.
pub(super) fn timestamp(time: SystemTime) -> Timestamp {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => Timestamp {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: since.subsec_nanos(),
        },
        Err(error) => {
            let before = error.duration();
            let seconds = i64::try_from(before.as_secs()).map_or(i64::MIN, |seconds| -seconds);
            Timestamp { seconds, nanoseconds: before.subsec_nanos() }
        }
    }
}

/// A time to set, from a request.
pub(super) fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(time) => SetTime::At(timestamp(time)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanoseconds: u32) -> Timestamp {
        Timestamp { seconds, nanoseconds }
    }

    #[test]
    fn times_of_replies_cover_all_years() {
        for seconds in [0, 1, 2_000_000_000, 15_032_385_535, i64::MAX] {
            let time = system_time(at(seconds, 999_999_999));
            let since = time.duration_since(UNIX_EPOCH).unwrap();
            assert_eq!((since.as_secs(), since.subsec_nanos()), (seconds as u64, 999_999_999));
        }
        let before = UNIX_EPOCH.duration_since(system_time(at(-2, 250_000_000))).unwrap();
        assert_eq!(before, Duration::from_millis(1750));
        let earliest = UNIX_EPOCH.duration_since(system_time(at(i64::MIN, 0))).unwrap();
        assert_eq!(earliest, Duration::from_secs(1 << 63));
    }

    #[test]
    fn times_of_requests_are_what_the_kernel_sent() {
        let sent = |seconds: i64, nanoseconds: u32| {
            // As fuser decodes a request.
            let offset = Duration::new(seconds.unsigned_abs(), nanoseconds);
            if seconds >= 0 { UNIX_EPOCH + offset } else { UNIX_EPOCH - offset }
        };
        for (seconds, nanoseconds) in
            [(0, 0), (0, 1), (5, 999_999_999), (-1, 0), (-1, 1), (-2, 700_000_000), (i64::MIN, 0)]
        {
            assert_eq!(timestamp(sent(seconds, nanoseconds)), at(seconds, nanoseconds));
        }
    }

    #[test]
    fn every_type_and_permission_gets_through() {
        let attributes = Attributes {
            inode: 7,
            generation: 3,
            mode: FileKind::Socket.mode_bits() | 0o4751,
            links: 2,
            uid: 10,
            gid: 20,
            device: 0x0801,
            size: 5000,
            blocks_512: 16,
            accessed: at(1, 2),
            modified: at(3, 4),
            changed: at(5, 6),
            created: at(7, 8),
        };
        let attr = file_attr(&attributes);
        assert_eq!((attr.ino, attr.kind, attr.perm), (INodeNo(7), FileType::Socket, 0o4751));
        assert_eq!((attr.size, attr.blocks, attr.rdev), (5000, 16, 0x0801));
        assert_eq!(timestamp(attr.mtime), at(3, 4));
        assert_eq!(generation(&attributes), Generation(3));
    }
}
