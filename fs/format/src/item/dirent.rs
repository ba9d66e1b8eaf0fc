//! Names in a directory: all of one hash share a bucket.

use std::collections::BTreeSet;

use super::MAX_NAME_BYTES;
use super::inode::FileKind;
use crate::codec::{Put, Reader};
use crate::error::FormatError;
use crate::geometry::InodeNumber;

/// Bytes of an encoded [`DirentEntry`] before its name.
pub const DIRENT_HEADER_BYTES: usize = 11;
/// The highest slot: what seven bits of a readdir cookie hold.
pub const MAX_DIRENT_SLOT: u8 = 127;

/// The name of the record in errors.
pub(super) const RECORD: &str = "directory entry";

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirentEntry {
    /// Distinguishes entries of one bucket; stays the same while the entry lives (0..=127), so
    /// that readdir cookies are stable.
    pub slot: u8,
    /// The file's type.
    pub kind: FileKind,
    /// The inode the name points to.
    pub inode: InodeNumber,
    /// The name: 1 to 255 bytes, no NUL, no '/', not "." or "..".
    pub name: Box<[u8]>,
}

/// All entries of a directory whose names have one hash; nearly always exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DirentBucket {
    /// The entries, in order of their slots. Never empty on disk.
    pub entries: Vec<DirentEntry>,
}

/// Whether a directory entry may have this name.
fn is_valid_name(name: &[u8]) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name != b"."
        && name != b".."
        && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
}

impl DirentEntry {
    fn encoded_bytes(&self) -> usize {
        DIRENT_HEADER_BYTES + self.name.len()
    }

    fn check(&self) -> Result<(), FormatError> {
        let bad = |offset, detail| Err(FormatError::bad_field(RECORD, offset, detail));
        if self.inode == 0 {
            return bad(0, "the name points to inode 0");
        }
        if self.slot > MAX_DIRENT_SLOT {
            return bad(8, "the slot is above 127");
        }
        if !is_valid_name(&self.name) {
            return bad(DIRENT_HEADER_BYTES, "no file can have this name");
        }
        Ok(())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let start = reader.offset();
        let inode = reader.u64()?;
        let slot = reader.u8()?;
        let number = reader.u8()?;
        let kind = FileKind::from_u8(number).ok_or_else(|| {
            reader.bad_field_at(start + 9, format!("{number} is no type of a file"))
        })?;
        let name_bytes = reader.u8()?;
        let name = reader.take(usize::from(name_bytes))?.into();
        let entry = Self { slot, kind, inode, name };
        entry.check().map_err(|error| error.behind(start))?;
        Ok(entry)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.put_u64(self.inode);
        out.put_u8(self.slot);
        out.put_u8(self.kind as u8);
        // A checked name is at most 255 bytes long.
        out.put_u8(self.name.len() as u8);
        out.put(&self.name);
    }
}

impl DirentBucket {
    pub(super) fn encoded_bytes(&self) -> usize {
        self.entries.iter().map(DirentEntry::encoded_bytes).sum()
    }

    pub(super) fn check(&self) -> Result<(), FormatError> {
        self.entries.iter().try_for_each(DirentEntry::check)?;
        self.check_set()
    }

    /// Checks what the entries must be to each other.
    fn check_set(&self) -> Result<(), FormatError> {
        let bad = |detail| Err(FormatError::bad_field(RECORD, 0, detail));
        if self.entries.is_empty() {
            return bad("the bucket is empty");
        }
        if !self.entries.is_sorted_by(|one, next| one.slot < next.slot) {
            return bad("the slots do not ascend");
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
            bucket.entries.push(DirentEntry::read(&mut reader)?);
        }
        bucket.check_set().map_err(|error| error.behind(start))?;
        Ok(bucket)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.entries.iter().for_each(|entry| entry.write(out));
    }
}
