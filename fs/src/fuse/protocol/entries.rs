//! The entries of a directory, packed as the kernel wants them.

use crate::types::{Attributes, DirectoryEntry, FileKind, InodeNumber};

use super::bytes::Structure;
use super::layout::{ENTRY_BYTES, put_entry};

/// Bytes of an entry before its name.
const ENTRY_HEADER_BYTES: usize = 24;
/// Entries begin at multiples of this.
const ALIGNMENT: usize = 8;
/// The most that is gathered, whatever is asked for.
const MOST_BYTES: usize = 1 << 20;

/// Entries for one reply.
#[derive(Debug)]
pub struct Entries {
    packed: Structure,
    space: usize,
}

impl Entries {
    /// For a reply of at most `size` bytes.
    pub fn with_space(size: u32) -> Self {
        let space = (size as usize).min(MOST_BYTES);
        Self { packed: Structure::with_size(space), space }
    }

    /// Adds an entry; false if there is no space for it.
    pub fn add(&mut self, entry: &DirectoryEntry) -> bool {
        let fits = self.fits(entry, 0);
        if fits {
            self.put(entry, entry.inode);
        }
        fits
    }

    /// Adds an entry with attributes; false if there is no space for it. Without attributes the
    /// kernel counts no reference, and looks the name up itself when it needs to.
    pub fn add_with(&mut self, entry: &DirectoryEntry, attributes: Option<&Attributes>) -> bool {
        let fits = self.fits(entry, ENTRY_BYTES);
        if fits {
            put_entry(&mut self.packed, attributes);
            self.put(entry, attributes.map_or(entry.inode, |attributes| attributes.inode));
        }
        fits
    }

    fn fits(&self, entry: &DirectoryEntry, before: usize) -> bool {
        let length = before + (ENTRY_HEADER_BYTES + entry.name.len()).next_multiple_of(ALIGNMENT);
        self.packed.len() + length <= self.space
    }

    fn put(&mut self, entry: &DirectoryEntry, inode: InodeNumber) {
        self.packed.u64(inode).u64(entry.cookie);
        // A name has 255 bytes at most.
        self.packed.u32(entry.name.len() as u32).u32(type_number(entry.kind)).bytes(&entry.name);
        let padding = self.packed.len().next_multiple_of(ALIGNMENT) - self.packed.len();
        self.packed.zeros(padding);
    }

    /// What was added.
    pub fn as_slice(&self) -> &[u8] {
        self.packed.as_slice()
    }
}

/// The type as `d_type` has it.
fn type_number(kind: FileKind) -> u32 {
    u32::from(kind as u8)
}

#[cfg(test)]
mod tests {
    use super::super::bytes::Fields;
    use super::*;

    fn entry(name: &[u8]) -> DirectoryEntry {
        DirectoryEntry { inode: 7, cookie: 300, kind: FileKind::Directory, name: name.to_vec() }
    }

    #[test]
    fn entries_are_aligned_and_end_with_the_space() {
        let mut entries = Entries::with_space(64);
        assert!(entries.add(&entry(b"a")));
        assert_eq!(entries.as_slice().len(), 32);
        assert!(!entries.add(&entry(b"123456789")));
        assert!(entries.add(&entry(b"12345678")));
        assert_eq!(entries.as_slice().len(), 64);
        let mut fields = Fields::new(entries.as_slice());
        assert_eq!((fields.u64(), fields.u64()), (Ok(7), Ok(300)));
        assert_eq!((fields.u32(), fields.u32()), (Ok(1), Ok(4)));
        assert_eq!(fields.name(), Ok(b"a".as_slice()));
    }

    #[test]
    fn without_attributes_no_reference_is_counted() {
        let mut entries = Entries::with_space(4096);
        assert!(entries.add_with(&entry(b".."), None));
        let mut fields = Fields::new(entries.as_slice());
        assert_eq!(fields.u64(), Ok(0));
        fields.skip(ENTRY_BYTES - 8).unwrap();
        assert_eq!(fields.u64(), Ok(7));
    }
}
