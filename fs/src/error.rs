//! What can go wrong in an operation, typed, with the place it went wrong at.

use std::fmt;

use braidfs_pagecache::CacheError;
use braidfs_store::StoreError;
use thiserror::Error;

use crate::types::InodeNumber;

/// The kind of an [`FsError`]; callers match on this or on [`FsError::errno`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FsErrorKind {
    /// ENOENT: there is no such file or name.
    NotFound,
    /// EEXIST: the name is taken.
    Exists,
    /// ENOTDIR: a directory is needed.
    NotADirectory,
    /// EISDIR: a directory can't be used here.
    IsADirectory,
    /// ENOTEMPTY: the directory has entries.
    NotEmpty,
    /// EINVAL: an argument makes no sense.
    Invalid,
    /// ENAMETOOLONG: the name is longer than 255 bytes (or the link target than 4095).
    NameTooLong,
    /// EMLINK: the inode has as many links as it may.
    TooManyLinks,
    /// EFBIG: past the largest file.
    FileTooLarge,
    /// ENOSPC: the volume is full.
    NoSpace,
    /// EROFS: the mount is read-only, or became so after an I/O error.
    ReadOnly,
    /// EIO: the device failed, or a block's checksum does not fit.
    Io,
    /// ENODATA: there is no such extended attribute.
    NoAttribute,
    /// ERANGE / E2BIG: the value of an extended attribute is too long.
    ValueTooLong,
    /// ENXIO: nothing to seek to behind this offset.
    NoSuchOffset,
    /// EOPNOTSUPP: this file can't do that.
    NotSupported,
    /// ENOMEM: the page cache could not give a page in time.
    OutOfMemory,
    /// EPERM: not allowed on this object.
    NotPermitted,
    /// EACCES: this object can't have that.
    AccessDenied,
}

/// An operation that failed: what was being done, where, why.
#[derive(Debug, Clone, Error)]
pub struct FsError {
    kind: FsErrorKind,
    operation: &'static str,
    inode: Option<InodeNumber>,
    offset: Option<u64>,
    detail: String,
}

/// The result of an operation.
pub type FsResult<T> = Result<T, FsError>;

impl FsError {
    /// An error of `kind`; `detail` is a lower-case sentence that says what to do if that helps.
    pub fn new(kind: FsErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, operation: "", inode: None, offset: None, detail: detail.into() }
    }

    /// Names the operation, if none is named yet.
    #[must_use]
    pub fn during(mut self, operation: &'static str) -> Self {
        if self.operation.is_empty() {
            self.operation = operation;
        }
        self
    }

    /// Names the inode, if none is named yet.
    #[must_use]
    pub fn on(mut self, inode: InodeNumber) -> Self {
        self.inode.get_or_insert(inode);
        self
    }

    /// Names the byte offset in the file, if none is named yet.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.offset.get_or_insert(offset);
        self
    }

    /// The kind.
    pub fn kind(&self) -> FsErrorKind {
        self.kind
    }

    /// The errno to answer with.
    pub fn errno(&self) -> i32 {
        match self.kind {
            FsErrorKind::NotFound => libc::ENOENT,
            FsErrorKind::Exists => libc::EEXIST,
            FsErrorKind::NotADirectory => libc::ENOTDIR,
            FsErrorKind::IsADirectory => libc::EISDIR,
            FsErrorKind::NotEmpty => libc::ENOTEMPTY,
            FsErrorKind::Invalid => libc::EINVAL,
            FsErrorKind::NameTooLong => libc::ENAMETOOLONG,
            FsErrorKind::TooManyLinks => libc::EMLINK,
            FsErrorKind::FileTooLarge => libc::EFBIG,
            FsErrorKind::NoSpace => libc::ENOSPC,
            FsErrorKind::ReadOnly => libc::EROFS,
            FsErrorKind::Io => libc::EIO,
            FsErrorKind::NoAttribute => libc::ENODATA,
            FsErrorKind::ValueTooLong => libc::E2BIG,
            FsErrorKind::NoSuchOffset => libc::ENXIO,
            FsErrorKind::NotSupported => libc::EOPNOTSUPP,
            FsErrorKind::OutOfMemory => libc::ENOMEM,
            FsErrorKind::NotPermitted => libc::EPERM,
            FsErrorKind::AccessDenied => libc::EACCES,
        }
    }
}

impl fmt::Display for FsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.operation.is_empty() {
            write!(formatter, "{}", self.operation)?;
            if let Some(inode) = self.inode {
                write!(formatter, " of inode {inode}")?;
            }
            if let Some(offset) = self.offset {
                write!(formatter, " at offset {offset}")?;
            }
            write!(formatter, ": ")?;
        }
        formatter.write_str(&self.detail)
    }
}

impl From<StoreError> for FsError {
    fn from(error: StoreError) -> Self {
        let kind = match error.errno() {
            libc::ENOSPC => FsErrorKind::NoSpace,
            libc::EROFS => FsErrorKind::ReadOnly,
            libc::EINVAL => FsErrorKind::Invalid,
            libc::ENOMEM => FsErrorKind::OutOfMemory,
            _ => FsErrorKind::Io,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<CacheError> for FsError {
    fn from(error: CacheError) -> Self {
        let kind = match error {
            CacheError::OutOfMemory { .. } => FsErrorKind::OutOfMemory,
            CacheError::Configuration { .. } => FsErrorKind::Invalid,
            _ => FsErrorKind::Io,
        };
        Self::new(kind, error.to_string())
    }
}
