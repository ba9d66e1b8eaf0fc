//! A file that the kernel maps into memory, for those who compare its cache with ours.
//!
//! Nothing is borrowed from the mapping: bytes are stored one word at a time, atomically, so that
//! it does not matter who else changes the file meanwhile. A file that is cut short while it is
//! mapped ends the program with SIGBUS, as for any program that maps files.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

const WORD_BYTES: usize = size_of::<u64>();

/// A shared, writable mapping of a whole file.
#[derive(Debug)]
pub struct MappedFile {
    map: MmapRaw,
}

impl MappedFile {
    /// Maps the file as long as it is now.
    ///
    /// # Errors
    /// What mmap(2) says.
    pub fn new(file: &File) -> io::Result<Self> {
        Ok(Self { map: MmapOptions::new().map_raw(file)? })
    }

    /// Stores the same word all over a range, as far as the file reaches. Start and length are
    /// counted in words of 8 bytes.
    pub fn fill(&self, first_word: usize, words: usize, value: u64) {
        let end = first_word.saturating_add(words).min(self.map.len() / WORD_BYTES);
        let start = self.map.as_mut_ptr().cast::<u64>();
        for word in first_word..end {
            // SAFETY: the word lies within the mapping, which lives as long as `self` and begins at
            // a page, so it is aligned. All access to it from this process is atomic, since nothing
            // else hands out its address; other processes may change it at any time, which an atomic
            // store tolerates.
            let word = unsafe { AtomicU64::from_ptr(start.add(word)) };
            word.store(value, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_stored_is_in_the_file() {
        let path = std::env::temp_dir().join(format!("mapped-file-{}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.set_len(8192).unwrap();
        let map = MappedFile::new(&file).unwrap();
        map.fill(512, 2, u64::MAX);
        map.fill(1023, 100, 1);
        let mut bytes = Vec::new();
        (&file).read_to_end(&mut bytes).unwrap();
        assert!(bytes[4096..4112].iter().all(|byte| *byte == 255));
        assert_eq!((bytes[4095], bytes[4112], bytes[8184]), (0, 0, 1));
    }
}
