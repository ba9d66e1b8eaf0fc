//! Tags: what the owner of a table notes of pages and wants to find again fast.

use std::ops::{BitOr, Sub};

/// A tag of a page. Each node keeps a bitmap a tag, in which a bit says that the page, or some page
/// below, has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tag {
    /// The page was written since it was last made durable.
    Dirty,
    /// The page is to be written by the writeback that is under way.
    ToWrite,
    /// The page is being written.
    Writeback,
}

impl Tag {
    /// Number of tags.
    pub const COUNT: usize = 3;
    /// All tags.
    pub const ALL: [Self; Self::COUNT] = [Self::Dirty, Self::ToWrite, Self::Writeback];
}

/// A set of tags.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TagSet(u8);

impl TagSet {
    /// No tag.
    pub const EMPTY: Self = Self(0);

    /// Whether the tag is in the set.
    pub fn contains(self, tag: Tag) -> bool {
        self.0 & Self::from(tag).0 != 0
    }

    /// Whether no tag is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The tags in the set.
    pub fn iter(self) -> impl Iterator<Item = Tag> {
        Tag::ALL.into_iter().filter(move |tag| self.contains(*tag))
    }
}

impl From<Tag> for TagSet {
    fn from(tag: Tag) -> Self {
        Self(1 << tag as u8)
    }
}

impl FromIterator<Tag> for TagSet {
    fn from_iter<I: IntoIterator<Item = Tag>>(tags: I) -> Self {
        tags.into_iter().fold(Self::EMPTY, |set, tag| set | Self::from(tag))
    }
}

impl BitOr for TagSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Sub for TagSet {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl std::fmt::Debug for TagSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
