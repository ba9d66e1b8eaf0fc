//! System calls that no safe interface offers: shared mappings, and the ioctl that shuts down.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use memmap2::{MmapOptions, MmapRaw};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, opcode};

/// FS_IOC_SHUTDOWN, which XFS calls XFS_IOC_GOINGDOWN.
const SHUTDOWN: Opcode = opcode::read::<u32>(b'X', 125);

/// Shuts a filesystem down: `flush_log` 1 makes what the log has durable first, 2 does not, 0
/// writes everything.
pub(super) fn shutdown(of: impl AsFd, flush_log: u32) -> Result<(), Errno> {
    // SAFETY: the kernel (and a server, through it) takes this number to be followed by a pointer to
    // 32 bits, which it reads and perhaps writes; that is what `Setter` hands to it.
    unsafe { rustix::ioctl::ioctl(of, Setter::<SHUTDOWN, u32>::new(flush_log)) }
}

/// A shared mapping of a file, which other processes change at the same time.
pub struct SharedMap {
    map: MmapRaw,
}

impl SharedMap {
    /// Maps a part of a file.
    ///
    /// # Errors
    /// What mmap(2) says.
    pub fn new(file: &File, offset: u64, length: usize, can_write: bool) -> io::Result<Self> {
        let mut options = MmapOptions::new();
        options.offset(offset).len(length);
        let map =
            if can_write { options.map_raw(file)? } else { options.map_raw_read_only(file)? };
        Ok(Self { map })
    }

    /// How long it is.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is nothing in it (never: mmap refuses that).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.len() == 0
    }

    /// What is mapped at `offset`; `None` if that is outside of the mapping.
    #[must_use]
    pub fn read(&self, offset: usize, length: usize) -> Option<Vec<u8>> {
        offset.checked_add(length).filter(|end| *end <= self.map.len())?;
        let read = |at: usize| {
            // SAFETY: `at` is within the mapping, as was checked above, and a byte has no alignment and
            // no invalid values. Others may change it at the same time, hence volatile. If the file
            // is cut short meanwhile, the process gets SIGBUS, which is what a test may want to see.
            unsafe { self.map.as_ptr().add(at).read_volatile() }
        };
        Some((offset..offset + length).map(read).collect())
    }

    /// Writes into it. False if that is outside of the mapping. One that was made without `can_write`
    /// ends the process with SIGSEGV.
    #[must_use]
    pub fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        let end = offset.checked_add(bytes.len());
        if end.is_none_or(|end| end > self.map.len()) {
            return false;
        }
        for (at, byte) in bytes.iter().enumerate() {
            // SAFETY: as in `read`.
            unsafe { self.map.as_mut_ptr().add(offset + at).write_volatile(*byte) };
        }
        true
    }

    /// Waits until what was changed is durable: msync(2) with MS_SYNC.
    ///
    /// # Errors
    /// What msync(2) says.
    pub fn sync(&self) -> io::Result<()> {
        self.map.flush()
    }
}
