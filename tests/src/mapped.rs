//! Shared mappings of files, which no safe interface offers.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// A shared, writable mapping of a whole file.
pub struct SharedMapping {
    map: MmapMut,
}

impl SharedMapping {
    /// Maps the file as long as it is now.
    ///
    /// # Errors
    /// What mmap(2) says.
    pub fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the files that are mapped here belong to the test that maps them, which cuts none of
        // them short while it is mapped; the bytes are only copied in and out, so that a change by
        // another process at the same time can at most give a mixture of old and new ones.
        let map = unsafe { MmapMut::map_mut(file)? };
        Ok(Self { map })
    }

    /// Waits until what was changed is durable: msync(2) with MS_SYNC.
    ///
    /// # Errors
    /// What msync(2) says.
    pub fn sync(&self) -> io::Result<()> {
        self.map.flush()
    }
}

impl Deref for SharedMapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl DerefMut for SharedMapping {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.map
    }
}
