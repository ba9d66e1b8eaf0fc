//! Giving free blocks back to the device, so that an image shrinks on its host.
//!
//! What is free here is free for good: blocks that a crash could need yet, or that a reader looks
//! at, are not free in the bitmaps in memory. Blocks are taken for the moment of their discard, a few at
//! a time, so that nobody writes them meanwhile and a writer does not find the volume full.

use braidfs_format::BLOCK_SIZE;

use crate::error::{ErrorContext, StoreError};
use crate::store::Store;

/// Blocks that are looked at in one go: 16 MiB.
const WINDOW_BLOCKS: u64 = 4096;

impl Store {
    /// Discards free runs of at least `least_blocks`. Returns how many blocks those were; none if
    /// the device cannot discard.
    ///
    /// # Errors
    /// A failure of the device, which changes nothing for the volume.
    pub fn trim(&self, least_blocks: u64) -> Result<u64, StoreError> {
        self.check_writable()?;
        let area = self.space.data_area();
        let mut trimmed = 0;
        let mut start = area.start;
        while start < area.end && self.device.geometry().discards {
            let end = area.end.min(start + WINDOW_BLOCKS);
            trimmed += self.trim_window(start, end, least_blocks)?;
            start = end;
        }
        Ok(trimmed)
    }

    fn trim_window(&self, start: u64, end: u64, least_blocks: u64) -> Result<u64, StoreError> {
        let runs = self.space.borrow_free(start..end);
        let mut trimmed = 0;
        let mut outcome = Ok(());
        for run in runs.iter().filter(|run| run.length >= least_blocks) {
            let (offset, length) = (run.start * BLOCK_SIZE as u64, run.length * BLOCK_SIZE as u64);
            outcome = self.device.discard(offset, length).doing("discarding free blocks");
            if outcome.is_err() {
                break;
            }
            trimmed += run.length;
        }
        self.free_unused(&runs);
        outcome.map(|()| trimmed)
    }
}
