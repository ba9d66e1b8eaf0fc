//! Where the content of a page comes from when the cache does not have it.

use crate::error::CacheError;
use crate::page::PageBytes;

/// The store under a [`Mapping`](crate::Mapping): fills pages that are not cached.
///
/// # What the cache promises
///
/// `fill` is called without any lock of the cache held, so it may sleep, take locks of its own, and
/// run for several threads at once, also for the same page. Its outcome is used only if nothing
/// happened meanwhile that could make it stale; otherwise the cache asks again.
///
/// # What the implementor promises
///
/// Whatever was truncated, punched, or published by a completed writeback *before* `fill` is called
/// must show in what it fills. Pages past the end of the file are holes.
pub trait Backing {
    /// How a fill fails. Failures of the cache itself, for instance no memory, are converted into
    /// it.
    type Error: From<CacheError>;

    /// Fills the pages `first .. first + pages.len()`. A page whose buffer is not asked for is a
    /// hole.
    ///
    /// The cache may ask for more than the reader wanted (readahead). Of the pages beyond, it keeps
    /// those with data and those declared with [`PageFill::set_hole`].
    fn fill(&self, first: u64, pages: &mut [PageFill<'_>]) -> Result<(), Self::Error>;
}

impl<B: Backing + ?Sized> Backing for &B {
    type Error = B::Error;

    fn fill(&self, first: u64, pages: &mut [PageFill<'_>]) -> Result<(), Self::Error> {
        (**self).fill(first, pages)
    }
}

/// What a [`Backing`] said about a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filled {
    /// Nothing: a hole, if the page was asked for by the reader.
    Untouched,
    /// It is a hole.
    Hole,
    /// Its buffer holds the content.
    Data,
}

/// A page to be filled by a [`Backing`].
#[derive(Debug)]
pub struct PageFill<'a> {
    bytes: &'a mut PageBytes,
    filled: Filled,
}

impl<'a> PageFill<'a> {
    /// A page that is a hole until its buffer is taken.
    ///
    /// The cache makes these itself; it is public so that a backing can be tested without a cache.
    pub fn new(bytes: &'a mut PageBytes) -> Self {
        Self { bytes, filled: Filled::Untouched }
    }

    /// The buffer of the page, which thereby has data.
    ///
    /// What it contains at first is arbitrary: all of it must be overwritten.
    pub fn buffer(&mut self) -> &mut PageBytes {
        self.filled = Filled::Data;
        self.bytes
    }

    /// Declares the page a hole, so that even readahead remembers it.
    pub fn set_hole(&mut self) {
        self.filled = Filled::Hole;
    }

    /// Whether the page has data.
    pub fn has_data(&self) -> bool {
        self.filled == Filled::Data
    }

    /// What the backing said.
    pub(crate) fn outcome(&self) -> Filled {
        self.filled
    }
}
