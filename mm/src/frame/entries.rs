//! The entries of a leaf: words that own the frames they name.
//!
//! A leaf is looked at by readers without a lock while its only owner changes it, so the words are
//! atomic. Three types keep apart who may do what: anybody who sees [`Entries`] may load a word, and
//! try to hold the frame it names; an owner, who may share the leaf with others, has an
//! [`OwnedEntries`] and reads the frames it names; the only owner has an [`EntriesMut`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Frame, FrameNumber, FramePool, FrameRef, PageMut, PlacedFrame, PlacedRef};
use crate::TableError;
use crate::sync::step;
use crate::table::entry::{Content, ContentRef, Entry, EntryMark, Kind, Word};

/// A fixed number of table entries, each one word. An entry that names a frame stands for one count
/// of it, which whoever owns the leaf gives up with [`OwnedEntries::release_all`].
pub(crate) struct Entries(Box<[AtomicU64]>);

impl Entries {
    /// So many empty entries.
    pub(crate) fn new(slots: usize) -> Self {
        Self::filled(Word::EMPTY, slots)
    }

    /// That many entries which hold all the same zeros; all empty if `word` names a frame.
    pub(crate) fn filled(word: Word, slots: usize) -> Self {
        let word = if word.kind() == Kind::Frame { Word::EMPTY } else { word };
        Self((0..slots).map(|_| AtomicU64::new(word.to_bits())).collect())
    }

    /// Slots there are memory for; those beyond are empty.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The word in a slot. Acquire: what was written to the frame it names before it was put there
    /// is seen.
    pub(crate) fn word(&self, slot: usize) -> Word {
        self.0.get(slot).map_or(Word::EMPTY, |word| Word::from_bits(word.load(Ordering::Acquire)))
    }

    /// The same words with room for `slots`, which is no less: they stand for the counts in place
    /// of these, which must not be released any more.
    pub(crate) fn moved(&self, slots: usize) -> Self {
        Self((0..slots).map(|slot| AtomicU64::new(self.word(slot).to_bits())).collect())
    }
}

/// The entries of a leaf that the caller owns, alone or with others.
#[derive(Clone, Copy)]
pub(crate) struct OwnedEntries<'a> {
    entries: &'a Entries,
    pool: &'a Arc<FramePool>,
}

impl<'a> OwnedEntries<'a> {
    /// The entries of a leaf, for its owner.
    ///
    /// # Safety
    ///
    /// The words stand for counts of frames of that pool and go on doing so for `'a`, in which
    /// nobody changes them and nobody gets a page of them to write.
    pub(crate) unsafe fn new(entries: &'a Entries, pool: &'a Arc<FramePool>) -> Self {
        Self { entries, pool }
    }

    /// What a slot holds, borrowed.
    pub(crate) fn get(self, slot: usize) -> Option<(ContentRef<'a>, EntryMark)> {
        let word = self.entries.word(slot);
        let content = match word.kind() {
            Kind::Empty => return None,
            Kind::HoleZero => ContentRef::HoleZero,
            Kind::DedupZero => ContentRef::DedupZero,
            Kind::Frame if FrameNumber(word.frame()).is_placed() => {
                // SAFETY: the word stands for a count, which stays while the entries are borrowed.
                ContentRef::Placed(unsafe {
                    PlacedRef::from_borrow(self.pool, FrameNumber(word.frame()))
                })
            }
            Kind::Frame => {
                // SAFETY: the word stands for a count for `'a`, in which nobody gets a `&mut Page`:
                // the promise made to `new`.
                ContentRef::Frame(unsafe {
                    FrameRef::from_borrow(self.pool, FrameNumber(word.frame()))
                })
            }
        };
        Some((content, word.mark()))
    }

    /// A copy with room for `slots`, which is no less: all frames are counted once more.
    pub(crate) fn to_copy(self, slots: usize) -> Entries {
        for word in self.frames() {
            // SAFETY: the word stands for a count of the frame; the copy's word will stand for the
            // new one.
            unsafe { self.pool.retain(word) }
        }
        self.entries.moved(slots)
    }

    /// Gives up the counts the words stand for.
    ///
    /// # Safety
    ///
    /// The caller is the last owner, and the words stand for nothing from now on.
    pub(crate) unsafe fn release_all(self) {
        for word in self.frames() {
            // SAFETY: the word stands for a count, which the caller gives up.
            unsafe { self.pool.release(word) }
        }
    }

    fn frames(self) -> impl Iterator<Item = FrameNumber> {
        let words = (0..self.entries.len()).map(move |slot| self.entries.word(slot));
        words.filter(|word| word.kind() == Kind::Frame).map(|word| FrameNumber(word.frame()))
    }
}

/// The entries of a leaf that nobody else owns, to change them. Readers may look on.
pub(crate) struct EntriesMut<'a> {
    entries: &'a Entries,
    pool: &'a Arc<FramePool>,
}

impl<'a> EntriesMut<'a> {
    /// The entries of a leaf, for its only owner.
    ///
    /// # Safety
    ///
    /// As of [`OwnedEntries::new`]; and nobody else owns the leaf for `'a`, or borrows a frame of it
    /// from the owner.
    pub(crate) unsafe fn new(entries: &'a Entries, pool: &'a Arc<FramePool>) -> Self {
        Self { entries, pool }
    }

    /// What a slot holds.
    pub(crate) fn get(&self, slot: usize) -> Option<(ContentRef<'_>, EntryMark)> {
        // SAFETY: the promise made to `new`; while this is borrowed nothing is changed through it.
        unsafe { OwnedEntries::new(self.entries, self.pool) }.get(slot)
    }

    /// The page in a slot, to write it: if it is in a frame that nobody else holds, not even a
    /// reader in passing.
    pub(crate) fn into_page_mut(self, slot: usize) -> Option<PageMut<'a>> {
        let word = self.entries.word(slot);
        if word.kind() != Kind::Frame || FrameNumber(word.frame()).is_placed() {
            return None;
        }
        // SAFETY: the word stands for a count for `'a`, which nobody else can make another one of:
        // the leaf is ours alone for `'a`, and this was the way to it.
        unsafe { PageMut::lock(self.pool, FrameNumber(word.frame())) }
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
        if let Some(word) = self.entries.0.get(slot) {
            word.store(self.entries.word(slot).with_mark(mark).to_bits(), Ordering::Release);
        }
    }

    /// Swaps the word in a slot, and makes the old one an entry. There must be room for the slot.
    fn exchange(&mut self, slot: usize, word: Word) -> Option<Entry> {
        let before = self.entries.word(slot);
        step();
        // Release: whoever finds the frame finds its bytes.
        self.entries.0[slot].store(word.to_bits(), Ordering::Release);
        step();
        // SAFETY: `before` is no longer among the words, and only we change them, so its count, if
        // it stands for one, is ours to give.
        unsafe { own(self.pool, before) }
    }

    /// The word of an entry; if it names a frame, the word stands for its count from now on.
    fn word_for(&self, Entry { content, mark }: Entry) -> Result<Word, TableError> {
        match content {
            Content::HoleZero => Ok(Word::new(Kind::HoleZero, 0, mark)),
            Content::DedupZero => Ok(Word::new(Kind::DedupZero, 0, mark)),
            Content::Frame(frame) if !frame.is_of(self.pool) => Err(TableError::ForeignFrame),
            Content::Frame(frame) => Ok(Word::new(Kind::Frame, frame.into_count().0, mark)),
            Content::Placed(frame) if !frame.is_of(self.pool) => Err(TableError::ForeignFrame),
            Content::Placed(frame) => Ok(Word::new(Kind::Frame, frame.into_count().0, mark)),
        }
    }
}

/// Makes a word that was taken out of a leaf an entry.
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
