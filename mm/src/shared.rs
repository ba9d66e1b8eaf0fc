//! Bytes that a program may change while we look at them.
//!
//! They are never borrowed: they are copied in and out, by atomic accesses, so that a store of the
//! program at the same time can give a mixture of old and new bytes and nothing worse. What the
//! program does there is, for us, what another process does to memory that we share with it.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Bytes of a word.
const WORD: usize = size_of::<u64>();

/// A run of such bytes.
#[derive(Clone, Copy)]
pub(crate) struct SharedBytes<'a> {
    start: *mut u8,
    length: usize,
    lifetime: PhantomData<&'a AtomicU8>,
}

impl<'a> SharedBytes<'a> {
    /// The `length` bytes from `start` on.
    ///
    /// # Safety
    ///
    /// They are valid for reads and writes for `'a`, nobody has a reference to them that is not to
    /// atomics, and `start` is aligned to a word.
    pub(crate) unsafe fn new(start: *mut u8, length: usize) -> Self {
        Self { start, length, lifetime: PhantomData }
    }

    /// Copies bytes out, from `start` on. Says how many there were: those beyond the end are left
    /// as they are.
    pub(crate) fn load(self, start: usize, target: &mut [u8]) -> usize {
        let bytes = self.clip(start, target.len());
        let words = whole_words(&bytes);
        let (head, rest) = target[..bytes.len()].split_at_mut(words.start - bytes.start);
        let (middle, tail) = rest.split_at_mut(words.len());
        self.bytes(bytes.start).zip(head).for_each(|(at, to)| *to = at.load(Ordering::Relaxed));
        for (at, to) in (words.start..).step_by(WORD).zip(middle.as_chunks_mut::<WORD>().0) {
            *to = self.word(at).load(Ordering::Relaxed).to_ne_bytes();
        }
        self.bytes(words.end).zip(tail).for_each(|(at, to)| *to = at.load(Ordering::Relaxed));
        bytes.len()
    }

    /// Copies bytes in, from `start` on. Says how many: those beyond the end are left out.
    pub(crate) fn store(self, start: usize, source: &[u8]) -> usize {
        let bytes = self.clip(start, source.len());
        let words = whole_words(&bytes);
        let (head, rest) = source[..bytes.len()].split_at(words.start - bytes.start);
        let (middle, tail) = rest.split_at(words.len());
        self.bytes(bytes.start).zip(head).for_each(|(at, from)| at.store(*from, Ordering::Relaxed));
        for (at, from) in (words.start..).step_by(WORD).zip(middle.as_chunks::<WORD>().0) {
            self.word(at).store(u64::from_ne_bytes(*from), Ordering::Relaxed);
        }
        self.bytes(words.end).zip(tail).for_each(|(at, from)| at.store(*from, Ordering::Relaxed));
        bytes.len()
    }

    /// The word at an offset that is a multiple of its size; `None` for others, and beyond the end.
    pub(crate) fn atomic_word(self, at: usize) -> Option<&'a AtomicU64> {
        let fits = at.is_multiple_of(WORD) && at.checked_add(WORD)? <= self.length;
        fits.then(|| self.word(at))
    }

    fn clip(self, start: usize, length: usize) -> Range<usize> {
        let start = start.min(self.length);
        start..start + length.min(self.length - start)
    }

    /// The bytes from `start` to the end.
    fn bytes(self, start: usize) -> impl Iterator<Item = &'a AtomicU8> {
        (start..self.length).map(move |at| {
            // SAFETY: valid and shared for `'a`, by the promise of `new`; `at` is below the length.
            unsafe { AtomicU8::from_ptr(self.start.wrapping_add(at)) }
        })
    }

    /// The word at `at`, which is a multiple of its size and leaves room for it.
    fn word(self, at: usize) -> &'a AtomicU64 {
        debug_assert!(at.is_multiple_of(WORD) && at + WORD <= self.length);
        // SAFETY: as in `bytes`; the start is aligned, and so is a multiple from there.
        unsafe { AtomicU64::from_ptr(self.start.wrapping_add(at).cast()) }
    }
}

/// From the first boundary of a word to the last one; empty, within the range, if there is none.
fn whole_words(bytes: &Range<usize>) -> Range<usize> {
    let start = bytes.start.next_multiple_of(WORD).min(bytes.end);
    start..(bytes.end - bytes.end % WORD).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_in_and_out_wherever_they_start() {
        let mut memory = [0_u64; 16];
        let mut model = [0_u8; 128];
        // SAFETY: the array is there until the end, and not used but through this.
        let shared = unsafe { SharedBytes::new(memory.as_mut_ptr().cast(), model.len()) };
        for (start, length) in [(0, 1), (1, 6), (3, 17), (7, 1), (8, 8), (122, 6), (0, 128), (5, 0)]
        {
            let bytes: Vec<u8> = (0..length).map(|at| (start * 7 + at + 1) as u8).collect();
            assert_eq!(shared.store(start, &bytes), length);
            model[start..start + length].copy_from_slice(&bytes);
            let mut back = vec![0; length];
            assert_eq!(shared.load(start, &mut back), length);
            assert_eq!(back, bytes);
            let mut all = [0; 128];
            shared.load(0, &mut all);
            assert_eq!(all, model, "{start} {length}");
        }
        assert_eq!(shared.store(127, &[9, 9]), 1, "what lies beyond is left out");
        assert_eq!(shared.load(500, &mut [0]), 0);
        assert!(shared.atomic_word(120).is_some() && shared.atomic_word(121).is_none());
        assert!(shared.atomic_word(128).is_none() && shared.atomic_word(usize::MAX - 7).is_none());
    }
}
