//! The entries of a leaf: words that own the frames they name.

use std::sync::Arc;

use super::{Frame, FrameNumber, FramePool, FrameRef, PlacedFrame, PlacedRef};
use crate::table::entry::{Content, ContentRef, Entry, EntryMark, Kind, Word};
use crate::{Page, TableError};

/// A vector of table entries, each one word. An entry that names a frame stands for one count of
/// it, so a clone of the vector counts all its frames and dropping it gives up all of them.
pub(crate) struct Entries {
    pool: Arc<FramePool>,
    words: Vec<Word>,
}

impl Entries {
    /// Empty entries over the frames of that pool.
    pub(crate) fn new(pool: Arc<FramePool>) -> Self {
        Self { pool, words: Vec::new() }
    }

    /// That many entries which hold all the same zeros; all empty if `word` names a frame.
    pub(crate) fn filled(pool: Arc<FramePool>, word: Word, count: usize) -> Self {
        let word = if word.kind() == Kind::Frame { Word::EMPTY } else { word };
        Self { pool, words: vec![word; count] }
    }

    /// Slots there are memory for; those beyond are empty.
    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    /// Makes room for so many slots.
    pub(crate) fn grow(&mut self, slots: usize) {
        if slots > self.words.len() {
            self.words.reserve_exact(slots - self.words.len());
            self.words.resize(slots, Word::EMPTY);
        }
    }

    /// The word in a slot.
    pub(crate) fn word(&self, slot: usize) -> Word {
        self.words.get(slot).copied().unwrap_or(Word::EMPTY)
    }

    /// What a slot holds, borrowed.
    pub(crate) fn get(&self, slot: usize) -> Option<(ContentRef<'_>, EntryMark)> {
        let word = self.word(slot);
        let content = match word.kind() {
            Kind::Empty => return None,
            Kind::HoleZero => ContentRef::HoleZero,
            Kind::DedupZero => ContentRef::DedupZero,
            Kind::Frame if FrameNumber(word.frame()).is_placed() => {
                // SAFETY: the word stands for a count, which stays while the entries are borrowed.
                ContentRef::Placed(unsafe {
                    PlacedRef::from_borrow(&self.pool, FrameNumber(word.frame()))
                })
            }
            Kind::Frame => {
                // SAFETY: the word stands for a count, which stays while the entries are borrowed;
                // a `&mut Page` of it is only given out by `page_mut` under a mutable borrow of the
                // entries.
                ContentRef::Frame(unsafe {
                    FrameRef::from_borrow(&self.pool, FrameNumber(word.frame()))
                })
            }
        };
        Some((content, word.mark()))
    }

    /// The page in a slot, to write it: if it is in a frame that nobody else holds.
    pub(crate) fn page_mut(&mut self, slot: usize) -> Option<&mut Page> {
        let word = self.word(slot);
        let number = FrameNumber(word.frame());
        if word.kind() != Kind::Frame || number.is_placed() || !self.pool.is_alone(number) {
            return None;
        }
        // SAFETY: the word stands for the only count, so no other holder has a `&Page`; the entries
        // are borrowed mutably, so no borrow or count is made of it through them meanwhile.
        Some(unsafe { &mut *self.pool.address(number) })
    }

    /// Puts an entry in a slot and takes out what was there. A frame of another pool is refused.
    pub(crate) fn replace(
        &mut self,
        slot: usize,
        entry: Entry,
    ) -> Result<Option<Entry>, TableError> {
        let word = self.word_for(entry)?;
        Ok(self.exchange(slot, word))
    }

    /// Takes out what is in a slot.
    pub(crate) fn take(&mut self, slot: usize) -> Option<Entry> {
        self.exchange(slot, Word::EMPTY)
    }

    /// Gives the entry in a slot that mark.
    pub(crate) fn set_mark(&mut self, slot: usize, mark: EntryMark) {
        if let Some(word) = self.words.get_mut(slot) {
            *word = word.with_mark(mark);
        }
    }

    /// Swaps the word in a slot, and makes the old one an entry.
    fn exchange(&mut self, slot: usize, word: Word) -> Option<Entry> {
        self.grow(slot + 1);
        let before = std::mem::replace(&mut self.words[slot], word);
        // SAFETY: `before` is no longer in the vector, so its count, if it stands for one, is ours
        // to give.
        unsafe { own(&self.pool, before) }
    }

    /// The word of an entry; if it names a frame, the word stands for its count from now on.
    fn word_for(&self, Entry { content, mark }: Entry) -> Result<Word, TableError> {
        match content {
            Content::HoleZero => Ok(Word::new(Kind::HoleZero, 0, mark)),
            Content::DedupZero => Ok(Word::new(Kind::DedupZero, 0, mark)),
            Content::Frame(frame) if !frame.is_of(&self.pool) => Err(TableError::ForeignFrame),
            Content::Frame(frame) => Ok(Word::new(Kind::Frame, frame.into_count().0, mark)),
            Content::Placed(frame) if !frame.is_of(&self.pool) => Err(TableError::ForeignFrame),
            Content::Placed(frame) => Ok(Word::new(Kind::Frame, frame.into_count().0, mark)),
        }
    }
}

impl Clone for Entries {
    fn clone(&self) -> Self {
        for word in self.words.iter().filter(|word| word.kind() == Kind::Frame) {
            // SAFETY: the word stands for a count of the frame; the clone's word will stand for the
            // new one.
            unsafe { self.pool.retain(FrameNumber(word.frame())) }
        }
        Self { pool: Arc::clone(&self.pool), words: self.words.clone() }
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        for word in self.words.iter().filter(|word| word.kind() == Kind::Frame) {
            // SAFETY: the word stands for a count, and nobody looks at the vector after this.
            unsafe { self.pool.release(FrameNumber(word.frame())) }
        }
    }
}

/// Makes a word that was taken out of a vector an entry.
///
/// # Safety
///
/// If the word names a frame, it is of this pool and the caller holds the count that the word
/// stands for.
unsafe fn own(pool: &Arc<FramePool>, word: Word) -> Option<Entry> {
    let content = match word.kind() {
        Kind::Empty => return None,
        Kind::HoleZero => Content::HoleZero,
        Kind::DedupZero => Content::DedupZero,
        Kind::Frame if FrameNumber(word.frame()).is_placed() => {
            // SAFETY: passed on to our caller.
            Content::Placed(unsafe {
                PlacedFrame::from_count(Arc::clone(pool), FrameNumber(word.frame()))
            })
        }
        Kind::Frame => {
            // SAFETY: passed on to our caller.
            Content::Frame(unsafe {
                Frame::from_count(Arc::clone(pool), FrameNumber(word.frame()))
            })
        }
    };
    Some(Entry { content, mark: word.mark() })
}
