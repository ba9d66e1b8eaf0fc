//! Who fills the pages of a mapped region.

use std::fmt;
use std::sync::Arc;

use crate::Frame;

/// What a page of a source is to be read.
#[derive(Debug, Clone)]
pub enum SourcePage {
    /// Its bytes are in this frame, which the source may hold as well.
    Frame(Frame),
    /// It reads as zeros and has no memory.
    Zeros,
    /// It lies beyond the end of what the source has.
    BeyondEnd,
}

/// What a page of a source is to be written.
#[derive(Debug, Clone)]
pub enum WritablePage {
    /// Its bytes are in this frame, and a change of them is a change of the source.
    Frame(Frame),
    /// It lies beyond the end of what the source has.
    BeyondEnd,
}

/// Fills the pages of a region: a file, for instance.
///
/// It is asked with no lock of the address space held, so it may sleep, take locks, and call back
/// into the space. What it said is used only if nothing happened to the page meanwhile; otherwise it
/// is asked again. So whoever changes what a source says (cuts a file, say) changes it first, and
/// [discards](super::AddressSpace::discard) the pages then.
pub trait PageSource {
    /// How it fails.
    type Error;

    /// The page of that index, to be read.
    fn read_page(&self, index: u64) -> Result<SourcePage, Self::Error>;

    /// The page of that index, to be written in place: asked for once, then the page stays writable
    /// until [`take_written`](super::AddressSpace::take_written) takes it back. Only shared regions
    /// ask for it.
    fn write_page(&self, index: u64) -> Result<WritablePage, Self::Error>;
}

/// What backs a mapped region.
pub enum Backing<S: ?Sized> {
    /// Nothing: zeros at first, then what this space writes.
    Anonymous,
    /// A source, from that page of it on, until this space writes: what it writes is its own.
    Private {
        /// Who fills the pages.
        source: Arc<S>,
        /// The page of the source where the region begins.
        first: u64,
    },
    /// A source, from that page of it on: what this space writes, it writes to the source.
    Shared {
        /// Who fills the pages.
        source: Arc<S>,
        /// The page of the source where the region begins.
        first: u64,
    },
}

impl<S: ?Sized> Clone for Backing<S> {
    fn clone(&self) -> Self {
        self.part(0)
    }
}

impl<S: ?Sized> fmt::Debug for Backing<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => formatter.write_str("Anonymous"),
            Self::Private { first, .. } => write!(formatter, "Private from page {first}"),
            Self::Shared { first, .. } => write!(formatter, "Shared from page {first}"),
        }
    }
}

impl<S: ?Sized> Backing<S> {
    /// What backs the part that begins `skip` pages in.
    pub(super) fn part(&self, skip: u64) -> Self {
        let beyond = |first: &u64| first.saturating_add(skip);
        match self {
            Self::Anonymous => Self::Anonymous,
            Self::Private { source, first } => {
                Self::Private { source: Arc::clone(source), first: beyond(first) }
            }
            Self::Shared { source, first } => {
                Self::Shared { source: Arc::clone(source), first: beyond(first) }
            }
        }
    }

    /// Whether `next` continues what begins here and is `length` pages long.
    pub(super) fn is_continued_by(&self, length: u64, next: &Self) -> bool {
        match (self, next) {
            (Self::Anonymous, Self::Anonymous) => true,
            (Self::Private { source, first }, Self::Private { source: other, first: second })
            | (Self::Shared { source, first }, Self::Shared { source: other, first: second }) => {
                std::ptr::addr_eq(Arc::as_ptr(source), Arc::as_ptr(other))
                    && first.checked_add(length) == Some(*second)
            }
            _ => false,
        }
    }
}
