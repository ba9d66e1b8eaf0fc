//! Shared ranges: how many extents beyond the first refer to blocks.
//!
//! After the reference count B+tree of XFS: only what has more than one owner has an item, so a
//! volume that never shares has none, and a block without one has exactly the owner that its
//! bitmap bit stands for.

use crate::codec::{Put, Reader};
use crate::error::FormatError;

/// Bytes of an encoded [`SharedRange`].
pub const SHARED_RANGE_BYTES: usize = 8;

/// Blocks that several extents of the tree refer to; the first of them is in its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedRange {
    /// Blocks, at least 1.
    pub length: u32,
    /// References to each of them beyond the first, at least 1.
    pub extra_references: u32,
}

impl SharedRange {
    /// The name of the record in errors.
    pub(crate) const RECORD: &str = "shared range";

    pub(super) fn check(&self) -> Result<(), FormatError> {
        let bad = |offset, detail| Err(FormatError::bad_field(Self::RECORD, offset, detail));
        match (self.length, self.extra_references) {
            (0, _) => bad(0, "the length is 0"),
            (_, 0) => bad(4, "blocks with one owner are not shared"),
            _ => Ok(()),
        }
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Result<Self, FormatError> {
        let start = reader.offset();
        let range = Self { length: reader.u32()?, extra_references: reader.u32()? };
        reader.finish()?;
        range.check().map_err(|error| error.behind(start))?;
        Ok(range)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.put_u32(self.length);
        out.put_u32(self.extra_references);
    }
}
