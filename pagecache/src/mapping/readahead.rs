//! Whether a file is read in sequence, and how far ahead to read then.
//!
//! Hints only: the words are relaxed atomics, because readers update them side by side. Two readers
//! who interleave in one file look random to it and lose the readahead, nothing else.

use std::sync::atomic::{AtomicU64, Ordering};

/// Pages read ahead at first.
const FIRST_WINDOW_PAGES: u64 = 4;
/// Pages read ahead at most (256 KiB).
const LARGEST_WINDOW_PAGES: u64 = 64;

/// What the last reads were like.
#[derive(Debug, Default)]
pub(crate) struct Readahead {
    expected_offset: AtomicU64,
    window_pages: AtomicU64,
}

impl Readahead {
    /// Notes a read, and says whether it goes on where the last one ended. The first read of a file
    /// at its start does.
    pub(crate) fn note_read(&self, offset: u64, end: u64) -> bool {
        let sequential = self.expected_offset.load(Ordering::Relaxed) == offset;
        self.expected_offset.store(end, Ordering::Relaxed);
        sequential
    }

    /// Pages to read beyond those that are missing: more with every miss in sequence.
    pub(crate) fn window(&self, sequential: bool) -> u64 {
        let window = match self.window_pages.load(Ordering::Relaxed) {
            _ if !sequential => 0,
            0 => FIRST_WINDOW_PAGES,
            window => (2 * window).min(LARGEST_WINDOW_PAGES),
        };
        self.window_pages.store(window, Ordering::Relaxed);
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_grows_in_sequence_and_collapses_otherwise() {
        let readahead = Readahead::default();
        assert!(readahead.note_read(0, 4096));
        let windows: Vec<_> = (0..6).map(|_| readahead.window(true)).collect();
        assert_eq!(windows, [4, 8, 16, 32, 64, 64]);
        assert!(!readahead.note_read(8192, 12288));
        assert_eq!(readahead.window(false), 0);
        assert!(readahead.note_read(12288, 16384));
        assert_eq!(readahead.window(true), 4);
    }
}
