//! What can be wrong with bytes from a disk.

use thiserror::Error;

/// The kind of a [`FormatError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FormatErrorKind {
    /// The magic number is not there: not a braidfs structure at all.
    BadMagic,
    /// The checksum does not fit the bytes.
    BadChecksum,
    /// The input ends before the structure does.
    Truncated,
    /// A field has a value that it must not have.
    BadField,
    /// The volume's size or regions make no sense.
    BadGeometry,
    /// The format or a feature is newer than this code.
    Unsupported,
    /// It names another volume, another address or another delta than it should: stale or misdirected.
    Misplaced,
    /// What is to be encoded does not fit.
    TooLarge,
}

/// Bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{record} at byte {offset}: {detail}")]
pub struct FormatError {
    /// What sort of damage.
    pub kind: FormatErrorKind,
    /// The structure that was decoded, as "superblock" or "inode record".
    pub record: &'static str,
    /// The byte within the input where it went wrong.
    pub offset: usize,
    /// What is wrong, in words.
    pub detail: String,
}

impl FormatError {
    /// An error of `kind` in `record` at byte `offset` of the input.
    pub fn new(
        kind: FormatErrorKind,
        record: &'static str,
        offset: usize,
        detail: impl Into<String>,
    ) -> Self {
        Self { kind, record, offset, detail: detail.into() }
    }

    /// The same error, seen from an input in which the record begins at byte `base`.
    pub(crate) fn behind(mut self, base: usize) -> Self {
        self.offset += base;
        self
    }

    /// A [`FormatErrorKind::BadField`] in `record` at byte `offset`.
    pub(crate) fn bad_field(
        record: &'static str,
        offset: usize,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(FormatErrorKind::BadField, record, offset, detail)
    }
}
