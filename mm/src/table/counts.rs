//! How much of what lies below a node.

use super::{ContentRef, Tag, TagSet};

/// Entries of a table, or of a part of it, by kind and by tag. Exact at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TableCounts {
    /// Pages in frames.
    pub frames: u64,
    /// Pages that were never written and are known to be holes.
    pub hole_zeros: u64,
    /// Pages that were written with zeros only.
    pub dedup_zeros: u64,
    tagged: [u64; Tag::COUNT],
}

impl TableCounts {
    /// Entries of any kind: what a node's `used` count is.
    pub fn present(&self) -> u64 {
        self.frames + self.hole_zeros + self.dedup_zeros
    }

    /// Entries with that tag.
    pub fn tagged(&self, tag: Tag) -> u64 {
        self.tagged[tag as usize]
    }

    /// The counts of so many untagged pages of zeros.
    pub(super) fn of_zeros(content: ContentRef<'_>, pages: u64) -> Self {
        let mut counts = Self::default();
        *counts.of_kind(content) = pages;
        counts
    }

    /// Counts an entry in.
    pub(super) fn add(&mut self, content: ContentRef<'_>, tags: TagSet) {
        *self.of_kind(content) += 1;
        tags.iter().for_each(|tag| self.tagged[tag as usize] += 1);
    }

    /// Counts an entry out.
    pub(super) fn subtract(&mut self, content: ContentRef<'_>, tags: TagSet) {
        *self.of_kind(content) -= 1;
        tags.iter().for_each(|tag| self.tagged[tag as usize] -= 1);
    }

    /// Counts a part that was `before` as what it is `after`.
    pub(super) fn replace_part(&mut self, before: &Self, after: &Self) {
        self.frames = self.frames - before.frames + after.frames;
        self.hole_zeros = self.hole_zeros - before.hole_zeros + after.hole_zeros;
        self.dedup_zeros = self.dedup_zeros - before.dedup_zeros + after.dedup_zeros;
        for tag in Tag::ALL {
            let at = tag as usize;
            self.tagged[at] = self.tagged[at] - before.tagged[at] + after.tagged[at];
        }
    }

    /// Whether these are so many pages of zeros of one kind, none of them tagged.
    pub(super) fn is_all_zeros(&self, pages: u64) -> bool {
        (self.hole_zeros == pages || self.dedup_zeros == pages) && self.tagged == [0; Tag::COUNT]
    }

    fn of_kind(&mut self, content: ContentRef<'_>) -> &mut u64 {
        match content {
            ContentRef::Frame(_) | ContentRef::Placed(_) => &mut self.frames,
            ContentRef::HoleZero => &mut self.hole_zeros,
            ContentRef::DedupZero => &mut self.dedup_zeros,
        }
    }
}
