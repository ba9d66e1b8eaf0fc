//! What can go wrong in the store: what was being done, what was found, and where.
//!
//! A [`StoreError`] can be cloned, because the first failed write is handed to every task that
//! waits for it. Its text is one sentence that says what to do next where there is anything to do.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use braidfs_block::BlockError;
use braidfs_format::{BlockAddress, FormatError, FormatErrorKind, InodeNumber};

/// The kind of a [`StoreError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The volume has no room left for this.
    NoSpace,
    /// Bytes on the volume are not what they should be.
    Corrupt,
    /// The device failed a read, a write or a flush.
    Io,
    /// An earlier write or flush failed; nothing can be changed any more.
    Poisoned,
    /// The volume was opened read-only.
    ReadOnly,
    /// A change set that can never fit the log.
    TooLarge,
    /// There is no braidfs volume on the device.
    NotAVolume,
    /// The volume was made by a newer version, or needs a feature that this one does not have.
    Unsupported,
    /// The caller asked for something that makes no sense.
    Invalid,
}

/// A failure of the store.
#[derive(Debug, Clone)]
pub struct StoreError {
    inner: Box<Inner>,
}

#[derive(Debug, Clone)]
struct Inner {
    kind: StoreErrorKind,
    doing: &'static str,
    detail: String,
    block: Option<BlockAddress>,
    inode: Option<InodeNumber>,
    offset: Option<u64>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// An error of `kind` while `doing` (as "reading a tree node"), with `detail` in words.
    pub fn new(kind: StoreErrorKind, doing: &'static str, detail: impl Into<String>) -> Self {
        let inner = Inner {
            kind,
            doing,
            detail: detail.into(),
            block: None,
            inode: None,
            offset: None,
            source: None,
        };
        Self { inner: Box::new(inner) }
    }

    /// A [`StoreErrorKind::Corrupt`] error.
    pub fn corrupt(doing: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Corrupt, doing, detail)
    }

    /// A [`StoreErrorKind::NoSpace`] error.
    pub fn no_space(doing: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::NoSpace, doing, detail)
    }

    /// A [`StoreErrorKind::Invalid`] error.
    pub fn invalid(doing: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Invalid, doing, detail)
    }

    /// The same error, said to have happened while `doing`.
    #[must_use]
    pub fn doing(mut self, doing: &'static str) -> Self {
        self.inner.doing = doing;
        self
    }

    /// The same error, with the block of the volume it happened at.
    #[must_use]
    pub fn at_block(mut self, block: BlockAddress) -> Self {
        self.inner.block = Some(block);
        self
    }

    /// The same error, with the inode it is about.
    #[must_use]
    pub fn of_inode(mut self, inode: InodeNumber) -> Self {
        self.inner.inode = Some(inode);
        self
    }

    /// The same error, with the byte offset within the file it is about.
    #[must_use]
    pub fn at_offset(mut self, offset: u64) -> Self {
        self.inner.offset = Some(offset);
        self
    }

    /// The same error, caused by `source`.
    #[must_use]
    pub fn caused_by(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.inner.source = Some(Arc::new(source));
        self
    }

    /// The error that tasks get after `first` has poisoned the store.
    pub fn poisoned_by(first: &StoreError) -> Self {
        let detail = format!(
            "the volume takes no more changes after an earlier failure ({first}); unmount it, \
             see to the device and mount it again"
        );
        Self::new(StoreErrorKind::Poisoned, "changing the volume", detail).caused_by(first.clone())
    }

    /// The kind.
    pub fn kind(&self) -> StoreErrorKind {
        self.inner.kind
    }

    /// The block of the volume it happened at, if it was at one.
    pub fn block(&self) -> Option<BlockAddress> {
        self.inner.block
    }

    /// The inode it is about, if it is about one.
    pub fn inode(&self) -> Option<InodeNumber> {
        self.inner.inode
    }

    /// The byte offset within the file, if there is one.
    pub fn offset(&self) -> Option<u64> {
        self.inner.offset
    }

    /// The number that a system call reports for it.
    pub fn errno(&self) -> i32 {
        match self.inner.kind {
            StoreErrorKind::NoSpace => libc::ENOSPC,
            StoreErrorKind::Corrupt | StoreErrorKind::Io | StoreErrorKind::Poisoned => libc::EIO,
            StoreErrorKind::ReadOnly => libc::EROFS,
            StoreErrorKind::TooLarge => libc::EFBIG,
            StoreErrorKind::NotAVolume | StoreErrorKind::Invalid => libc::EINVAL,
            StoreErrorKind::Unsupported => libc::EOPNOTSUPP,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        write!(f, "{}: {}", inner.doing, inner.detail)?;
        let mut separator = " (";
        let mut place = |name: &str, value: Option<u64>| -> fmt::Result {
            if let Some(value) = value {
                write!(f, "{separator}{name} {value}")?;
                separator = ", ";
            }
            Ok(())
        };
        place("inode", inner.inode)?;
        place("offset", inner.offset)?;
        place("block", inner.block)?;
        if separator == ", " { f.write_str(")") } else { Ok(()) }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

impl From<BlockError> for StoreError {
    fn from(error: BlockError) -> Self {
        let detail = error.to_string();
        Self::new(StoreErrorKind::Io, "using the device", detail).caused_by(error)
    }
}

impl From<FormatError> for StoreError {
    fn from(error: FormatError) -> Self {
        let kind = match error.kind {
            FormatErrorKind::Unsupported => StoreErrorKind::Unsupported,
            FormatErrorKind::TooLarge => StoreErrorKind::TooLarge,
            _ => StoreErrorKind::Corrupt,
        };
        Self::new(kind, "reading the volume", error.to_string()).caused_by(error)
    }
}

/// Adds to an error what was being done, and where.
pub trait ErrorContext<T> {
    /// Says what was being done.
    fn doing(self, doing: &'static str) -> Result<T, StoreError>;
    /// Says at which block of the volume.
    fn at_block(self, block: BlockAddress) -> Result<T, StoreError>;
}

impl<T, E: Into<StoreError>> ErrorContext<T> for Result<T, E> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| error.into().doing(doing))
    }

    fn at_block(self, block: BlockAddress) -> Result<T, StoreError> {
        self.map_err(|error| error.into().at_block(block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_what_and_where() {
        let error = StoreError::corrupt("reading data", "the checksum does not fit");
        assert_eq!(error.to_string(), "reading data: the checksum does not fit");
        let error = error.at_block(77).of_inode(5).at_offset(4096);
        assert_eq!(
            error.to_string(),
            "reading data: the checksum does not fit (inode 5, offset 4096, block 77)"
        );
        assert_eq!(error.errno(), libc::EIO);
    }

    #[test]
    fn a_format_error_keeps_its_kind_and_gets_its_place() {
        let wrong: Result<(), _> =
            Err(FormatError::new(FormatErrorKind::BadChecksum, "node", 12, "crc32c differs"));
        let error = wrong.at_block(9).doing("reading a tree node").unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt);
        assert_eq!(error.block(), Some(9));
        assert!(error.to_string().contains("node at byte 12"), "{error}");
        assert!(error.source().is_some());
    }

    #[test]
    fn poison_tells_the_first_cause() {
        let first = StoreError::new(StoreErrorKind::Io, "flushing the device", "no medium");
        let later = StoreError::poisoned_by(&first);
        assert_eq!(later.kind(), StoreErrorKind::Poisoned);
        assert!(later.to_string().contains("no medium"), "{later}");
    }
}
