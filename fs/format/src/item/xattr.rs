//! Extended attributes: all of one hash share a bucket.

use std::collections::BTreeSet;

use super::{MAX_NAME_BYTES, MAX_XATTR_VALUE_BYTES};
use crate::codec::{Put, Reader};
use crate::error::FormatError;

/// Bytes of an encoded [`XattrEntry`] before its name.
pub const XATTR_HEADER_BYTES: usize = 3;

/// The name of the record in errors.
pub(super) const RECORD: &str = "extended attribute";

/// One extended attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XattrEntry {
    /// The full name with its namespace, as `user.comment`: 1 to 255 bytes, no NUL.
    pub name: Box<[u8]>,
    /// The value, up to [`MAX_XATTR_VALUE_BYTES`].
    pub value: Box<[u8]>,
}

/// All extended attributes of an inode whose names have one hash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct XattrBucket {
    /// The attributes. Never empty on disk.
    pub entries: Vec<XattrEntry>,
}

impl XattrEntry {
    fn encoded_bytes(&self) -> usize {
        XATTR_HEADER_BYTES + self.name.len() + self.value.len()
    }

    fn check(&self) -> Result<(), FormatError> {
        let bad = |offset, detail| Err(FormatError::bad_field(RECORD, offset, detail));
        if !(1..=MAX_NAME_BYTES).contains(&self.name.len()) || self.name.contains(&0) {
            return bad(XATTR_HEADER_BYTES, "no attribute can have this name");
        }
        if self.value.len() > MAX_XATTR_VALUE_BYTES {
            return bad(1, "the value is longer than 4096 bytes");
        }
        Ok(())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let start = reader.offset();
        let name_bytes = reader.u8()?;
        let value_bytes = reader.u16()?;
        let name = reader.take(usize::from(name_bytes))?.into();
        let value = reader.take(usize::from(value_bytes))?.into();
        let entry = Self { name, value };
        entry.check().map_err(|error| error.behind(start))?;
        Ok(entry)
    }

    fn write(&self, out: &mut Vec<u8>) {
        // Checked lengths: a name of at most 255 bytes, a value of at most 4096.
        out.put_u8(self.name.len() as u8);
        out.put_u16(self.value.len() as u16);
        out.put(&self.name);
        out.put(&self.value);
    }
}

impl XattrBucket {
    pub(super) fn encoded_bytes(&self) -> usize {
        self.entries.iter().map(XattrEntry::encoded_bytes).sum()
    }

    pub(super) fn check(&self) -> Result<(), FormatError> {
        self.entries.iter().try_for_each(XattrEntry::check)?;
        self.check_set()
    }

    /// Checks what the attributes must be to each other.
    fn check_set(&self) -> Result<(), FormatError> {
        let bad = |detail| Err(FormatError::bad_field(RECORD, 0, detail));
        if self.entries.is_empty() {
            return bad("the bucket is empty");
        }
        let mut names = BTreeSet::new();
        if !self.entries.iter().all(|entry| names.insert(&entry.name)) {
            return bad("a name is there twice");
        }
        Ok(())
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Result<Self, FormatError> {
        let start = reader.offset();
        let mut bucket = Self::default();
        while reader.remaining() > 0 {
            bucket.entries.push(XattrEntry::read(&mut reader)?);
        }
        bucket.check_set().map_err(|error| error.behind(start))?;
        Ok(bucket)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.entries.iter().for_each(|entry| entry.write(out));
    }
}
