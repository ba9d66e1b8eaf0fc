//! Changing one entry: down to its leaf, breaking what is shared on the way, and up again to keep
//! the sums.

use super::bitmap::Bitmap;
use super::link::{LinkMut, Place};
use super::node::Means;
use super::{Entry, EntryMark, TableCounts, Tag, TagSet, slot_of};
use crate::TableError;
use crate::frame::EntriesMut;

/// A slot of a leaf that nobody shares, to be changed.
pub(super) struct SlotMut<'a> {
    entries: EntriesMut<'a>,
    tags: &'a mut [Bitmap; Tag::COUNT],
    counts: &'a mut TableCounts,
    slot: usize,
}

impl<'a> SlotMut<'a> {
    /// A slot of a leaf.
    pub(super) fn new(
        entries: EntriesMut<'a>,
        tags: &'a mut [Bitmap; Tag::COUNT],
        counts: &'a mut TableCounts,
        slot: usize,
    ) -> Self {
        Self { entries, tags, counts, slot }
    }

    /// The tags of the entry.
    pub(super) fn tags(&self) -> TagSet {
        Tag::ALL.into_iter().filter(|tag| self.tags[*tag as usize].get(self.slot)).collect()
    }

    /// Gives the entry these tags and no others; an empty slot stays untagged.
    pub(super) fn set_tags(&mut self, tags: TagSet) {
        let before = self.tags();
        if let Some((content, _)) = self.entries.get(self.slot) {
            self.counts.subtract(content, before);
            self.counts.add(content, tags);
            self.assign_tags(tags);
        }
    }

    /// Gives the entry that mark; an empty slot stays empty.
    pub(super) fn set_mark(&mut self, mark: EntryMark) {
        self.entries.set_mark(self.slot, mark);
    }

    /// Puts an entry there with these tags, and takes out what was there.
    pub(super) fn put(&mut self, entry: Entry, tags: TagSet) -> Result<Option<Entry>, TableError> {
        let old_tags = self.tags();
        let before = self.entries.replace(self.slot, entry)?;
        self.count_out(&before, old_tags);
        if let Some((content, _)) = self.entries.get(self.slot) {
            self.counts.add(content, tags);
        }
        self.assign_tags(tags);
        Ok(before)
    }

    /// Empties the slot, and takes out what was there.
    pub(super) fn take(&mut self) -> Option<Entry> {
        let old_tags = self.tags();
        let before = self.entries.take(self.slot);
        self.count_out(&before, old_tags);
        self.assign_tags(TagSet::EMPTY);
        before
    }

    fn count_out(&mut self, entry: &Option<Entry>, tags: TagSet) {
        if let Some(entry) = entry {
            self.counts.subtract(entry.content.as_ref(), tags);
        }
    }

    fn assign_tags(&mut self, tags: TagSet) {
        for tag in Tag::ALL {
            self.tags[tag as usize].assign(self.slot, tags.contains(tag));
        }
    }
}

/// Changes the entry of an index with `change`, which sees a slot that no other table shares. The
/// funds must cover the path.
pub(super) fn edit<R>(
    link: &mut LinkMut<'_>,
    level: u8,
    index: u64,
    means: &mut Means<'_>,
    change: impl FnOnce(&mut SlotMut<'_>) -> R,
) -> R {
    let slot = slot_of(index, level);
    let mut node = link.open(level, slot, means);
    let result = match node.place(slot) {
        Place::Entry(mut slot) => change(&mut slot),
        Place::Child(mut child) => {
            let before = child.node().map_or_else(TableCounts::default, |child| *child.counts());
            let result = edit(&mut child, level.saturating_sub(1), index, means, change);
            node.settle(slot, &before);
            result
        }
        // A node that is open is none of zeros.
        Place::Zeros => return edit(link, level, index, means, change),
    };
    link.collapse();
    result
}
