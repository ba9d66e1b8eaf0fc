//! Which frames are free: a bitmap that many threads change at once without a lock.
//!
//! Three parts, changed in this order when a frame is freed, and in the reverse order when one is
//! taken:
//!
//! 1. `words`, one bit a frame, set while it is free. The bit decides: whoever clears it has the
//!    frame.
//! 2. `summary`, one bit a word, set while the word may have a bit set. A hint that never stays
//!    wrong: see [`FreeMap::word_emptied`].
//! 3. `free`, the number of frames that may still be promised. A taker first takes its promise from
//!    here, so once it has it there is a bit set for it somewhere, and the search cannot fail but
//!    only be raced.
//!
//! Threads start their search where they last freed something: the frames there are warm in the
//! cache and already backed by memory, and different threads stay out of each other's words.

use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam::utils::{Backoff, CachePadded};

/// Frames a word describes, and so the longest run.
pub(super) const WORD_FRAMES: usize = 64;
/// Hints kept; threads share them when there are more.
const SHARDS: usize = 16;
/// Words with something free that a search for a run looks at before it takes the longest it saw.
const RUN_PROBES: usize = 512;

/// The free frames of a pool.
pub(super) struct FreeMap {
    words: Box<[AtomicU64]>,
    summary: Box<[AtomicU64]>,
    free: CachePadded<AtomicUsize>,
    hints: [CachePadded<AtomicUsize>; SHARDS],
}

impl FreeMap {
    /// A map of that many frames, all of them free.
    pub(super) fn new(frames: usize) -> Self {
        let words: Box<[AtomicU64]> = set_bits(frames);
        let summary = set_bits(words.len());
        let stride = words.len() / SHARDS;
        let hints = std::array::from_fn(|shard| CachePadded::new(AtomicUsize::new(shard * stride)));
        Self { words, summary, free: CachePadded::new(AtomicUsize::new(frames)), hints }
    }

    /// Frames that are free.
    pub(super) fn free(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }

    /// Takes one frame, or says that there is none.
    pub(super) fn take(&self) -> Option<usize> {
        (self.promise(1) == 1).then(|| self.take_promised())
    }

    /// Takes the promise of a frame, and leaves the frames where they are.
    pub(super) fn take_promise(&self) -> bool {
        self.promise(1) == 1
    }

    /// Gives a promise back.
    pub(super) fn add_promise(&self) {
        self.free.fetch_add(1, Ordering::Release);
    }

    /// Takes one frame, for somebody who has the promise of it.
    pub(super) fn take_promised(&self) -> usize {
        let hint = &self.hints[shard()];
        let start = hint.load(Ordering::Relaxed);
        let taken = self.search(start, |map, word| map.claim_run(word, 1));
        hint.store(taken.start / WORD_FRAMES, Ordering::Relaxed);
        taken.start
    }

    /// Takes up to `wanted` frames that lie side by side; fewer if that is what can be had, none
    /// only if none is free.
    pub(super) fn take_run(&self, wanted: usize) -> Range<usize> {
        let hint = &self.hints[shard()];
        let (word, length) = self.find_run(hint.load(Ordering::Relaxed), wanted.min(WORD_FRAMES));
        let promised = self.promise(length.max(1));
        if promised == 0 {
            return 0..0;
        }
        let taken = self.search(word, |map, word| map.claim_run(word, promised));
        hint.store(taken.start / WORD_FRAMES, Ordering::Relaxed);
        self.free.fetch_add(promised - taken.len(), Ordering::Release);
        taken
    }

    /// Takes the longest run of one word, if any of it is free.
    pub(super) fn take_run_of(&self, word: usize) -> Range<usize> {
        let promised = self.promise(self.longest_in(word, WORD_FRAMES));
        let taken = self.claim_run(word, promised).unwrap_or(0..0);
        self.free.fetch_add(promised - taken.len(), Ordering::Release);
        taken
    }

    /// Words of the map.
    pub(super) fn words(&self) -> usize {
        self.words.len()
    }

    /// Gives back frames that lie in one word.
    pub(super) fn give_back(&self, frames: Range<usize>) {
        let word = frames.start / WORD_FRAMES;
        let mask = run_mask(frames.start % WORD_FRAMES, frames.len());
        // Release: what the last user of the frames read or wrote comes before the next one's
        // writes.
        let before = self.words[word].fetch_or(mask, Ordering::AcqRel);
        debug_assert_eq!(before & mask, 0, "frames {frames:?} were free already");
        if before == 0 {
            self.set_summary(word);
        }
        self.hints[shard()].store(word, Ordering::Relaxed);
        self.free.fetch_add(frames.len(), Ordering::Release);
    }

    /// Takes the promise of up to `wanted` frames; says how many it got. Who takes more than it
    /// uses must give them back at once.
    fn promise(&self, wanted: usize) -> usize {
        let taken = self.free.fetch_update(Ordering::Acquire, Ordering::Relaxed, |free| {
            (free > 0).then(|| free - free.min(wanted))
        });
        taken.map_or(0, |free| free.min(wanted))
    }

    /// Tries `claim` on words that may have something free, from `start` on and around, until it
    /// has something. Only for those who hold a promise: else it need not end.
    fn search<T>(&self, start: usize, claim: impl Fn(&Self, usize) -> Option<T>) -> T {
        let backoff = Backoff::new();
        loop {
            if let Some(claimed) = self.hinted_words(start).find_map(|word| claim(self, word)) {
                return claimed;
            }
            // Another thread is between its bit and its summary bit; it needs a moment.
            backoff.snooze();
        }
    }

    /// The words whose summary bit is set, from `start` to the end and then from the beginning.
    fn hinted_words(&self, start: usize) -> impl Iterator<Item = usize> + '_ {
        let (group, bit) = (start / WORD_FRAMES, start % WORD_FRAMES);
        let groups = self.summary.len();
        // The first group is visited twice: its upper part first, its lower part last.
        (0..=groups).flat_map(move |step| {
            let at = (group + step) % groups;
            let mask = match step {
                0 => u64::MAX << bit,
                _ if step == groups => !(u64::MAX << bit),
                _ => u64::MAX,
            };
            bits(self.summary[at].load(Ordering::Acquire) & mask)
                .map(move |bit| at * WORD_FRAMES + bit)
        })
    }

    /// A word with `wanted` frames side by side, or the one with the longest run among those looked
    /// at; and how long.
    fn find_run(&self, start: usize, wanted: usize) -> (usize, usize) {
        let mut best = (start, 0);
        for word in self.hinted_words(start).take(RUN_PROBES) {
            let length = self.longest_in(word, wanted);
            if length > best.1 {
                best = (word, length);
            }
            if length >= wanted {
                break;
            }
        }
        best
    }

    /// Length of the longest run of the word, of at most `wanted` frames.
    fn longest_in(&self, word: usize, wanted: usize) -> usize {
        longest_run(self.words[word].load(Ordering::Relaxed), wanted).len()
    }

    /// Takes the longest run of the word, of at most `wanted` frames.
    fn claim_run(&self, word: usize, wanted: usize) -> Option<Range<usize>> {
        let mut free = self.words[word].load(Ordering::Relaxed);
        while free != 0 && wanted != 0 {
            let run = longest_run(free, wanted);
            let left = free & !run_mask(run.start, run.len());
            // Acquire: pairs with the release of whoever freed these frames.
            match self.words[word].compare_exchange_weak(
                free,
                left,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    if left == 0 {
                        self.word_emptied(word);
                    }
                    let first = word * WORD_FRAMES;
                    return Some(first + run.start..first + run.end);
                }
                Err(now) => free = now,
            }
        }
        None
    }

    /// Clears the summary bit of a word that was just emptied, unless somebody freed a frame of it
    /// meanwhile.
    ///
    /// The bit cannot be lost: who makes a word non-empty sets the summary bit after it. If that
    /// set comes after the clear here, it stands. If it comes before, the clear reads from it (or
    /// from a later change of the same summary word), so the load below sees the freed frame and
    /// sets the bit again.
    fn word_emptied(&self, word: usize) {
        let (at, mask) = (word / WORD_FRAMES, 1 << (word % WORD_FRAMES));
        self.summary[at].fetch_and(!mask, Ordering::AcqRel);
        if self.words[word].load(Ordering::Acquire) != 0 {
            self.set_summary(word);
        }
    }

    fn set_summary(&self, word: usize) {
        self.summary[word / WORD_FRAMES].fetch_or(1 << (word % WORD_FRAMES), Ordering::AcqRel);
    }
}

/// Words with the first `count` bits set and the rest clear.
fn set_bits(count: usize) -> Box<[AtomicU64]> {
    let word = |at: usize| run_mask(0, (count - at * WORD_FRAMES).min(WORD_FRAMES));
    (0..count.div_ceil(WORD_FRAMES)).map(|at| AtomicU64::new(word(at))).collect()
}

/// A mask of `length` bits (0 to 64) from bit `start` on.
fn run_mask(start: usize, length: usize) -> u64 {
    match length {
        0 => 0,
        _ => (u64::MAX >> (WORD_FRAMES - length)) << start,
    }
}

/// The positions of the bits that are set.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}

/// The first run of set bits that has `wanted` of them, or else the longest there is.
fn longest_run(word: u64, wanted: usize) -> Range<usize> {
    let mut best = 0..0;
    let mut at = 0;
    while at < WORD_FRAMES && word >> at != 0 {
        let start = at + (word >> at).trailing_zeros() as usize;
        let length = (word >> start).trailing_ones() as usize;
        if length > best.len() {
            best = start..start + length.min(wanted);
        }
        if best.len() == wanted {
            break;
        }
        at = start + length;
    }
    best
}

/// The shard of this thread.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
    }
    SHARD.with(|shard| {
        let number = shard.get().unwrap_or_else(|| NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        shard.set(Some(number));
        number
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_and_runs() {
        assert_eq!(run_mask(0, 64), u64::MAX);
        assert_eq!(run_mask(3, 2), 0b11000);
        assert_eq!(longest_run(0b1101_1101, 3), 2..5);
        assert_eq!(longest_run(0b1101_1101, 2), 2..4);
        assert_eq!(longest_run(0b1101_1101, 1), 0..1);
        assert_eq!(longest_run(0b1101_1101, 64), 2..5);
        assert_eq!(longest_run(u64::MAX, 64), 0..64);
        assert_eq!(longest_run(1 << 63, 5), 63..64);
        assert_eq!(bits(0b1010_0001).collect::<Vec<_>>(), [0, 5, 7]);
    }

    #[test]
    fn every_frame_is_given_out_once() {
        for frames in [1, 63, 64, 65, 1000, 64 * 64 * 3 + 5] {
            let map = FreeMap::new(frames);
            let mut taken: Vec<_> = std::iter::from_fn(|| map.take()).collect();
            taken.sort_unstable();
            assert!(taken.into_iter().eq(0..frames));
            assert_eq!(map.free(), 0);
            assert!(map.take_run(3).is_empty());
            map.give_back(frames - 1..frames);
            assert_eq!(map.take(), Some(frames - 1));
        }
    }

    #[test]
    fn runs_are_as_long_as_can_be_had() {
        let map = FreeMap::new(256);
        assert_eq!(map.take_run(64).len(), 64);
        let held: Vec<_> = std::iter::from_fn(|| map.take()).collect();
        assert_eq!(held.len(), 192);
        for frame in held.iter().filter(|frame| !(*frame).is_multiple_of(10)) {
            map.give_back(*frame..frame + 1);
        }
        assert_eq!(map.take_run(30).len(), 9);
        assert_eq!(map.take_run(4).len(), 4);
    }

    /// Two threads empty and refill the same word all the time; if the summary ever lost it, a
    /// search would not end.
    #[test]
    fn a_word_that_two_threads_empty_is_not_lost() {
        let map = FreeMap::new(WORD_FRAMES);
        assert_eq!(map.take_run(WORD_FRAMES - 2).len(), WORD_FRAMES - 2);
        let start = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..3_000_000 {
                        let frame = map.take().unwrap();
                        map.give_back(frame..frame + 1);
                    }
                });
            }
        });
        assert_eq!(map.free(), 2);
    }
}
