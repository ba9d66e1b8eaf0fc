//! What can go wrong with a device, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use thiserror::Error;

/// What was being done when it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BlockOperation {
    /// Opening an existing image or device.
    Open,
    /// Making a new image file.
    Create,
    /// Locking the image against a second use.
    Lock,
    /// Reading blocks.
    Read,
    /// Writing blocks.
    Write,
    /// Making written blocks durable.
    Flush,
    /// Giving blocks back to the device.
    Discard,
}

impl BlockOperation {
    fn verb(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Create => "create",
            Self::Lock => "lock",
            Self::Read => "read",
            Self::Write => "write",
            Self::Flush => "flush",
            Self::Discard => "discard",
        }
    }
}

/// The kind of a [`BlockError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockErrorKind {
    /// There is nothing at the path.
    NotFound,
    /// A new image was asked for, and there is a file already.
    AlreadyExists,
    /// The user may not do this.
    PermissionDenied,
    /// The path names a directory.
    IsDirectory,
    /// The path names something that holds no blocks: a socket, a pipe, a character device.
    UnsuitableFile,
    /// Another process, or another handle of this one, uses the image.
    InUse,
    /// The device cannot be written.
    ReadOnly,
    /// The disk that holds the image is full.
    NoSpace,
    /// The range does not lie within the device.
    OutOfRange,
    /// The range is not made of whole blocks.
    Unaligned,
    /// The image ends before the size that it had when it was opened.
    UnexpectedEnd,
    /// Direct transfers were demanded, and the image does not allow them.
    DirectUnsupported,
    /// The device failed.
    Io,
}

impl BlockErrorKind {
    /// The kind that an error number of the kernel means.
    pub fn from_errno(errno: i32) -> Self {
        match Errno::from_raw_os_error(errno) {
            Errno::NOENT | Errno::NODEV | Errno::NXIO | Errno::NOTDIR => Self::NotFound,
            Errno::EXIST => Self::AlreadyExists,
            Errno::ACCESS | Errno::PERM => Self::PermissionDenied,
            Errno::ISDIR => Self::IsDirectory,
            Errno::BUSY | Errno::WOULDBLOCK => Self::InUse,
            Errno::ROFS => Self::ReadOnly,
            Errno::NOSPC | Errno::DQUOT | Errno::FBIG => Self::NoSpace,
            _ => Self::Io,
        }
    }

    /// The error number that a caller of the filesystem would be given for this kind.
    pub fn errno(self) -> i32 {
        let errno = match self {
            Self::NotFound => Errno::NOENT,
            Self::AlreadyExists => Errno::EXIST,
            Self::PermissionDenied => Errno::ACCESS,
            Self::IsDirectory => Errno::ISDIR,
            Self::UnsuitableFile => Errno::NOTBLK,
            Self::InUse => Errno::BUSY,
            Self::ReadOnly => Errno::ROFS,
            Self::NoSpace => Errno::NOSPC,
            Self::OutOfRange | Self::Unaligned | Self::DirectUnsupported => Errno::INVAL,
            Self::UnexpectedEnd | Self::Io => Errno::IO,
        };
        errno.raw_os_error()
    }
}

/// Who holds the lock of an image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LockHolder {
    /// The process.
    pub pid: u32,
    /// Its command, cut to 15 bytes by the kernel; empty if it cannot be known.
    pub command: String,
}

/// A failed operation on a device.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct BlockError {
    /// What went wrong.
    pub kind: BlockErrorKind,
    /// The error number, of the kernel where it gave one.
    pub errno: i32,
    /// What was being done.
    pub operation: BlockOperation,
    /// The first byte of the range, for operations on a range.
    pub offset: u64,
    /// The length of the range in bytes, 0 for operations without a range.
    pub length: u64,
    /// The image or the device, where it has a name.
    pub path: Option<PathBuf>,
    /// Who uses the image, for [`BlockErrorKind::InUse`] where it can be known.
    pub holder: Option<LockHolder>,
    #[source]
    cause: Option<Errno>,
}

impl BlockError {
    /// An error of `kind` with its usual error number.
    pub fn new(kind: BlockErrorKind, operation: BlockOperation) -> Self {
        Self {
            kind,
            errno: kind.errno(),
            operation,
            offset: 0,
            length: 0,
            path: None,
            holder: None,
            cause: None,
        }
    }

    /// The error that the kernel reported as `errno`.
    pub fn from_errno(errno: i32, operation: BlockOperation) -> Self {
        Self {
            errno,
            cause: Some(Errno::from_raw_os_error(errno)),
            ..Self::new(BlockErrorKind::from_errno(errno), operation)
        }
    }

    /// The same error, about `length` bytes at `offset`.
    #[must_use]
    pub fn at(self, offset: u64, length: u64) -> Self {
        Self { offset, length, ..self }
    }

    /// The same error, about the image at `path`.
    #[must_use]
    pub fn on(self, path: &Path) -> Self {
        Self { path: Some(path.to_owned()), ..self }
    }

    /// The same error, naming who holds the image.
    #[must_use]
    pub(crate) fn held_by(self, holder: Option<LockHolder>) -> Self {
        Self { holder, ..self }
    }

    fn write_subject(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.operation.verb())?;
        if self.length > 0 {
            write!(f, " {} bytes at byte {} of", self.length, self.offset)?;
        }
        match &self.path {
            Some(path) => write!(f, " {}", path.display()),
            None => f.write_str(" the device"),
        }
    }

    fn write_holder(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.holder {
            Some(LockHolder { pid, .. }) if *pid == std::process::id() => {
                write!(f, "this process (pid {pid}) uses it already; close it there first")
            }
            Some(LockHolder { pid, command }) if command.is_empty() => {
                write!(
                    f,
                    "the process with pid {pid} uses it; unmount it or end that process first"
                )
            }
            Some(LockHolder { pid, command }) => {
                write!(f, "{command} (pid {pid}) uses it; unmount it or end that process first")
            }
            None => f.write_str("another process or a mount uses it; unmount it first"),
        }
    }

    fn reason(&self) -> &'static str {
        match self.kind {
            BlockErrorKind::NotFound => "there is no such file or device; check the path",
            BlockErrorKind::AlreadyExists => {
                "there is a file already; choose another path or remove it first"
            }
            BlockErrorKind::PermissionDenied => {
                "permission denied; become a user who may do this, or open it read-only"
            }
            BlockErrorKind::IsDirectory => {
                "it is a directory; name an image file or a block device"
            }
            BlockErrorKind::UnsuitableFile => {
                "it is neither a regular file nor a block device; name an image file or a block device"
            }
            BlockErrorKind::InUse => "it is in use; unmount it first",
            BlockErrorKind::ReadOnly => "it is read-only; open it read-only or make it writable",
            BlockErrorKind::NoSpace => {
                "the disk that holds it is full, or a limit is reached; free space there and try again"
            }
            BlockErrorKind::OutOfRange => {
                "the range lies beyond the end of the device; check the volume with fsck"
            }
            BlockErrorKind::Unaligned => {
                "the range is not made of whole 4096-byte blocks; align the offset and the length"
            }
            BlockErrorKind::UnexpectedEnd => {
                "the image was cut short while in use; restore it to its full size from a copy"
            }
            BlockErrorKind::DirectUnsupported => {
                "it allows no direct transfers; open it without demanding them"
            }
            BlockErrorKind::Io => {
                "the device failed; look into the kernel's messages, and save what can be read"
            }
        }
    }
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_subject(f)?;
        f.write_str(": ")?;
        if self.kind == BlockErrorKind::InUse {
            return self.write_holder(f);
        }
        f.write_str(self.reason())
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    const KINDS: [BlockErrorKind; 13] = [
        BlockErrorKind::NotFound,
        BlockErrorKind::AlreadyExists,
        BlockErrorKind::PermissionDenied,
        BlockErrorKind::IsDirectory,
        BlockErrorKind::UnsuitableFile,
        BlockErrorKind::InUse,
        BlockErrorKind::ReadOnly,
        BlockErrorKind::NoSpace,
        BlockErrorKind::OutOfRange,
        BlockErrorKind::Unaligned,
        BlockErrorKind::UnexpectedEnd,
        BlockErrorKind::DirectUnsupported,
        BlockErrorKind::Io,
    ];

    #[test]
    fn sentences_name_the_operation_the_range_and_the_image() {
        let error =
            BlockError::from_errno(28, BlockOperation::Write).at(8192, 4096).on(Path::new("a.img"));
        assert_eq!(
            error.to_string(),
            "cannot write 4096 bytes at byte 8192 of a.img: the disk that holds it is full, \
             or a limit is reached; free space there and try again"
        );
        assert_eq!((error.kind, error.errno), (BlockErrorKind::NoSpace, 28));
        assert!(error.source().unwrap().to_string().contains("28"));
    }

    #[test]
    fn every_sentence_starts_in_lower_case_and_says_what_to_do() {
        for kind in KINDS {
            let text = BlockError::new(kind, BlockOperation::Flush).to_string();
            assert!(text.starts_with("cannot flush the device: "), "{text}");
            assert!(text.contains(';') && !text.ends_with('.'), "{text}");
        }
    }

    #[test]
    fn the_holder_of_a_lock_is_named() {
        let error = BlockError::new(BlockErrorKind::InUse, BlockOperation::Lock);
        let holder = |pid, command: &str| Some(LockHolder { pid, command: command.to_owned() });
        let named = error.clone().held_by(holder(4_000_000, "braidfs")).to_string();
        assert!(named.contains("braidfs (pid 4000000)"), "{named}");
        let unnamed = error.clone().held_by(holder(4_000_000, "")).to_string();
        assert!(unnamed.contains("process with pid 4000000"), "{unnamed}");
        let own = error.held_by(holder(std::process::id(), "x")).to_string();
        assert!(own.contains("this process"), "{own}");
    }

    #[test]
    fn usual_error_numbers_lead_back_to_their_kind() {
        let ambiguous = [
            BlockErrorKind::UnsuitableFile,
            BlockErrorKind::OutOfRange,
            BlockErrorKind::Unaligned,
            BlockErrorKind::DirectUnsupported,
            BlockErrorKind::UnexpectedEnd,
        ];
        for kind in KINDS.into_iter().filter(|kind| !ambiguous.contains(kind)) {
            assert_eq!(BlockErrorKind::from_errno(kind.errno()), kind);
        }
    }
}
