//! Arithmetic of byte ranges and pages.

use std::ops::Range;

use crate::error::CacheError;

/// Bytes of a page, and of a block.
pub const PAGE_SIZE: usize = 4096;

/// The content of a page.
pub type PageBytes = [u8; PAGE_SIZE];

const PAGE_SIZE_U64: u64 = PAGE_SIZE as u64;

/// The first page index that no file reaches (files end below 2^63 bytes).
pub(crate) const PAGE_INDEX_END: u64 = 1 << 51;

/// The page a byte lies in.
pub(crate) fn page_of(offset: u64) -> u64 {
    offset / PAGE_SIZE_U64
}

/// The number of pages it takes to hold `bytes`.
pub(crate) fn pages_spanned(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE_SIZE_U64)
}

/// Where a byte lies in its page.
pub(crate) fn offset_in_page(offset: u64) -> usize {
    // The remainder is below the page size, so it fits.
    (offset % PAGE_SIZE_U64) as usize
}

/// Where a page starts.
pub(crate) fn page_start(page: u64) -> u64 {
    page * PAGE_SIZE_U64
}

/// Checks that `offset + length` stays within what a file can have.
pub(crate) fn check_range(offset: u64, length: u64) -> Result<u64, CacheError> {
    offset
        .checked_add(length)
        .filter(|end| *end <= page_start(PAGE_INDEX_END))
        .ok_or(CacheError::Range { offset, length })
}

/// The part of a byte range that lies in one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The page.
    pub(crate) page: u64,
    /// First byte within the page.
    pub(crate) start: usize,
    /// Number of bytes, at least one.
    pub(crate) length: usize,
}

impl Segment {
    /// The segment of the range of `length` bytes at `offset` that holds its first byte.
    pub(crate) fn first(offset: u64, length: usize) -> Self {
        let start = offset_in_page(offset);
        Self { page: page_of(offset), start, length: length.min(PAGE_SIZE - start) }
    }

    /// Whether the segment is the whole page.
    pub(crate) fn is_whole_page(&self) -> bool {
        self.length == PAGE_SIZE
    }

    /// The bytes within the page.
    pub(crate) fn range(&self) -> Range<usize> {
        self.start..self.start + self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_ends_with_its_page() {
        assert_eq!(Segment::first(4000, 200), Segment { page: 0, start: 4000, length: 96 });
        assert_eq!(Segment::first(4096, 200), Segment { page: 1, start: 0, length: 200 });
        assert!(Segment::first(8192, 5000).is_whole_page());
        assert!(!Segment::first(8193, 5000).is_whole_page());
    }

    #[test]
    fn ranges_beyond_the_largest_file_are_refused() {
        assert_eq!(check_range(0, 1 << 63), Ok(1 << 63));
        assert!(check_range(1, 1 << 63).is_err());
        assert!(check_range(u64::MAX, 1).is_err());
    }

    #[test]
    fn pages_are_counted_upwards() {
        assert_eq!(pages_spanned(0), 0);
        assert_eq!(pages_spanned(1), 1);
        assert_eq!(pages_spanned(4096), 1);
        assert_eq!(pages_spanned(4097), 2);
    }
}
