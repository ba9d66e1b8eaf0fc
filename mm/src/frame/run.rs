//! Several frames side by side, held exclusively.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::free_map::WORD_FRAMES;
use super::{Frame, FrameMut, FrameNumber, FramePool};
use crate::Page;

/// The only handle to a run of frames that lie side by side: reads and writes as a slice of pages,
/// to be filled by one read. As an iterator it gives out its frames one by one, from the first.
#[derive(Debug)]
pub struct FrameRun {
    pool: Arc<FramePool>,
    first: FrameNumber,
    count: usize,
}

impl FrameRun {
    /// The longest run there is.
    pub const MAX_FRAMES: usize = WORD_FRAMES;

    /// Makes a run of counts.
    ///
    /// # Safety
    ///
    /// The `count` frames from `first` on are of this pool and have one count each, which the
    /// caller gives to the run.
    pub(super) unsafe fn from_counts(
        pool: Arc<FramePool>,
        first: FrameNumber,
        count: usize,
    ) -> Self {
        Self { pool, first, count }
    }

    /// Number of the first frame left.
    pub(super) fn first(&self) -> FrameNumber {
        self.first
    }
}

impl Deref for FrameRun {
    type Target = [Page];

    fn deref(&self) -> &[Page] {
        // SAFETY: the frames lie side by side within the mapping, and the run has the only count of
        // each while it is borrowed, so nobody writes them.
        unsafe { std::slice::from_raw_parts(self.pool.address(self.first), self.count) }
    }
}

impl DerefMut for FrameRun {
    fn deref_mut(&mut self) -> &mut [Page] {
        // SAFETY: as above; the run is borrowed mutably, so this is the only access.
        unsafe { std::slice::from_raw_parts_mut(self.pool.address(self.first), self.count) }
    }
}

impl Iterator for FrameRun {
    type Item = FrameMut;

    fn next(&mut self) -> Option<FrameMut> {
        self.count = self.count.checked_sub(1)?;
        let number = self.first;
        self.first = FrameNumber(number.0.wrapping_add(1));
        // SAFETY: the run just gave up the count of its first frame, the only one, to this handle.
        let frame = unsafe { Frame::from_count(Arc::clone(&self.pool), number) };
        Some(FrameMut::new(frame))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for FrameRun {}

impl Drop for FrameRun {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
