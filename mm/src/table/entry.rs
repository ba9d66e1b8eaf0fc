//! Table entries: owned, borrowed, and as the word a leaf stores.

use super::TagSet;
use crate::{Frame, FrameMut, FrameRef, Page, PlacedFrame, PlacedRef, ZeroPages};

/// What a page table knows of a page.
#[derive(Debug, Clone)]
pub enum Content {
    /// The page is in this frame.
    Frame(Frame),
    /// The page is in this frame of an arena, where a program may change it.
    Placed(PlacedFrame),
    /// The page was never written: it reads as zeros and takes no frame.
    HoleZero,
    /// The page was written, with nothing but zeros: it takes no frame either.
    DedupZero,
}

/// Bits of an entry that are the owner's: they are stored with the entry, and mean nothing to the
/// table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EntryMark {
    flags: u8,
    stamp: u32,
}

impl EntryMark {
    /// The flags an entry has room for.
    pub const FLAGS: u8 = 0x3f;
    /// The largest stamp; larger ones wrap around.
    pub const MAX_STAMP: u32 = (1 << 24) - 1;

    /// A mark of these flags and the low bits of that stamp, such as the number of a delta.
    pub fn new(flags: u8, stamp: u64) -> Self {
        Self { flags: flags & Self::FLAGS, stamp: stamp as u32 & Self::MAX_STAMP }
    }

    /// The flags.
    pub fn flags(self) -> u8 {
        self.flags
    }

    /// The stamp.
    pub fn stamp(self) -> u32 {
        self.stamp
    }
}

/// An entry that owns what it names.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What the page holds.
    pub content: Content,
    /// The owner's bits.
    pub mark: EntryMark,
}

impl Entry {
    /// An entry of that content without a mark.
    pub fn new(content: Content) -> Self {
        Self { content, mark: EntryMark::default() }
    }

    /// The same with a mark.
    pub fn with_mark(self, mark: EntryMark) -> Self {
        Self { mark, ..self }
    }

    /// The frame, if the page is in one that nobody maps.
    pub fn into_frame(self) -> Option<Frame> {
        match self.content {
            Content::Frame(frame) => Some(frame),
            Content::Placed(_) | Content::HoleZero | Content::DedupZero => None,
        }
    }
}

impl From<Content> for Entry {
    fn from(content: Content) -> Self {
        Self::new(content)
    }
}

impl From<Frame> for Entry {
    fn from(frame: Frame) -> Self {
        Self::new(Content::Frame(frame))
    }
}

impl From<FrameMut> for Entry {
    fn from(frame: FrameMut) -> Self {
        Self::from(frame.share())
    }
}

/// What a page table knows of a page, borrowed from the table.
#[derive(Debug, Clone, Copy)]
pub enum ContentRef<'a> {
    /// The page is in this frame.
    Frame(FrameRef<'a>),
    /// The page is in this frame of an arena, where a program may change it.
    Placed(PlacedRef<'a>),
    /// The page was never written.
    HoleZero,
    /// The page was written, with nothing but zeros.
    DedupZero,
}

impl Content {
    /// The same, borrowed.
    pub fn as_ref(&self) -> ContentRef<'_> {
        match self {
            Self::Frame(frame) => ContentRef::Frame(frame.as_ref()),
            Self::Placed(frame) => ContentRef::Placed(frame.as_ref()),
            Self::HoleZero => ContentRef::HoleZero,
            Self::DedupZero => ContentRef::DedupZero,
        }
    }
}

impl<'a> ContentRef<'a> {
    /// The frame, if the page is in one that nobody maps.
    pub fn frame(self) -> Option<FrameRef<'a>> {
        match self {
            Self::Frame(frame) => Some(frame),
            Self::Placed(_) | Self::HoleZero | Self::DedupZero => None,
        }
    }

    /// The bytes of the page of that index; `None` if a program may change them, so that they can
    /// only be copied.
    pub fn page(self, index: u64, zero: &'a ZeroPages) -> Option<&'a Page> {
        match self {
            Self::Frame(frame) => Some(frame.page()),
            Self::Placed(_) => None,
            Self::HoleZero | Self::DedupZero => Some(zero.page(index)),
        }
    }

    /// Lets `read` see the bytes of the page of that index: of a placed one, a copy.
    pub fn read<R>(self, index: u64, zero: &ZeroPages, read: impl FnOnce(&Page) -> R) -> R {
        match self {
            Self::Frame(frame) => read(frame.page()),
            Self::Placed(frame) => read(&frame.to_page()),
            Self::HoleZero | Self::DedupZero => read(zero.page(index)),
        }
    }

    /// Whether the page takes no frame.
    pub fn is_zero(self) -> bool {
        matches!(self, Self::HoleZero | Self::DedupZero)
    }

    /// The same, owned.
    pub fn to_owned(self) -> Content {
        match self {
            Self::Frame(frame) => Content::Frame(frame.to_frame()),
            Self::Placed(frame) => Content::Placed(frame.to_frame()),
            Self::HoleZero => Content::HoleZero,
            Self::DedupZero => Content::DedupZero,
        }
    }
}

/// An entry borrowed from its table.
#[derive(Debug, Clone, Copy)]
pub struct EntryRef<'a> {
    /// What the page holds.
    pub content: ContentRef<'a>,
    /// The owner's bits.
    pub mark: EntryMark,
    /// The tags of the page.
    pub tags: TagSet,
}

impl<'a> EntryRef<'a> {
    /// The frame, if the page is in one that nobody maps.
    pub fn frame(&self) -> Option<FrameRef<'a>> {
        self.content.frame()
    }
}

/// What a word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing is known of the page.
    Empty,
    /// A frame.
    Frame,
    /// See [`Content::HoleZero`].
    HoleZero,
    /// See [`Content::DedupZero`].
    DedupZero,
}

/// An entry as a leaf stores it, in 64 bits: bits 0 and 1 the kind, 2 to 7 flags, 8 to 31 the
/// stamp, 32 to 63 the number of the frame. Only [`Entries`](crate::frame::Entries) knows which
/// words stand for a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    /// Nothing is known of the page.
    pub(crate) const EMPTY: Self = Self(0);

    /// The word of an entry; `frame` is 0 unless it names one.
    pub(crate) fn new(kind: Kind, frame: u32, mark: EntryMark) -> Self {
        let kind = match kind {
            Kind::Empty => 0,
            Kind::Frame => 1,
            Kind::HoleZero => 2,
            Kind::DedupZero => 3,
        };
        Self(
            kind | u64::from(mark.flags) << 2 | u64::from(mark.stamp) << 8 | u64::from(frame) << 32,
        )
    }

    /// The word as it lies in a leaf.
    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    /// A word that lay in a leaf.
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// What the word says.
    pub(crate) fn kind(self) -> Kind {
        match self.0 & 3 {
            0 => Kind::Empty,
            1 => Kind::Frame,
            2 => Kind::HoleZero,
            _ => Kind::DedupZero,
        }
    }

    /// The owner's bits.
    pub(crate) fn mark(self) -> EntryMark {
        EntryMark::new((self.0 >> 2) as u8, self.0 >> 8)
    }

    /// The same with another mark; nothing stays nothing.
    pub(crate) fn with_mark(self, mark: EntryMark) -> Self {
        match self.kind() {
            Kind::Empty => self,
            kind => Self::new(kind, self.frame(), mark),
        }
    }

    /// Number of the frame.
    pub(crate) fn frame(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// What zeros the word names, if any.
    pub(crate) fn zeros(self) -> Option<ContentRef<'static>> {
        match self.kind() {
            Kind::HoleZero => Some(ContentRef::HoleZero),
            Kind::DedupZero => Some(ContentRef::DedupZero),
            Kind::Empty | Kind::Frame => None,
        }
    }
}
