//! What the store said about a file's blocks, so that it is not asked again for each read that misses.
//!
//! Runs and holes that the store was asked about are regions here; what it was not asked about is a
//! gap. The map knows what is *published* only: changes that are not (see [`super::state`]) come before
//! it, as they come before the store.
//!
//! # What makes it right
//!
//! It is asked for pages that are not cached. What backs such a page changes in the store only when
//! a delta is published that changed it, and then the committer has the map [forget](ExtentMap::forget)
//! it: after publishing, and before the page can leave the cache (which it cannot while the delta is
//! not durable) or the hole is dropped from the unpublished changes. Someone who asked the store before
//! the publishing may come to tell what he learned after it; he says when he asked, and is not
//! listened to if anything was forgotten since. That a unify moves inline content to a block changes
//! nothing: inline content is not kept here.
//!
//! Blocks of a page that is not cached are not freed while the caller holds the inode's `io` lock (see
//! [`super::filler`]), so nothing here needs a pin.
//!
//! # Memory
//!
//! Bounded: by [`FILE_RUNS`] a file, and by [`TOTAL_RUNS`] for all files of the process. Who reads on in
//! a file that reached its bound begins anew; who reads here and there goes on asking the store, rather
//! than to learn and forget in turns. While the other bound is reached, nobody learns anything.
//!
//! Lock: one mutex, a leaf.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use braidfs_format::{Extent, ExtentContent};
use braidfs_mm::{RegionValue, Regions};
use braidfs_store::Mapped;
use parking_lot::Mutex;

use super::Backed;

/// Runs and holes that are remembered of one file: at most about 5 MiB with their checksums.
const FILE_RUNS: usize = 4096;
/// Of all files together: at most about 80 MiB.
const TOTAL_RUNS: usize = 1 << 16;

/// Runs that all files remember now.
static REMEMBERED: AtomicUsize = AtomicUsize::new(0);

/// What is known of a range of blocks.
#[derive(Debug, Clone)]
enum Known {
    /// Nothing backs it.
    Hole,
    /// This extent does, from that block of it on.
    Run { extent: Arc<Extent>, skip: u32 },
}

impl RegionValue for Known {
    fn part(&self, blocks: u64, _length: u64) -> Self {
        match self {
            Self::Hole => Self::Hole,
            Self::Run { extent, skip } => {
                // Within the extent, whose length fits.
                let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
                Self::Run { extent: Arc::clone(extent), skip: skip.saturating_add(blocks) }
            }
        }
    }

    fn join(&self, _length: u64, next: &Self) -> Option<Self> {
        matches!((self, next), (Self::Hole, Self::Hole)).then_some(Self::Hole)
    }
}

/// A run of blocks that one extent backs.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// Its first logical block.
    pub start: u64,
    /// How many blocks.
    pub length: u64,
    /// What backs it, from its block `skip` on.
    pub extent: Arc<Extent>,
    /// See `extent`.
    pub skip: u32,
}

/// When somebody asked the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    forgets: u64,
    /// Whether as much was known as may be.
    pub is_full: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ExtentMap {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: Regions<Known>,
    forgets: u64,
}

impl ExtentMap {
    /// Adds the runs that are known in a range to `runs`, and returns what is not known of it, with
    /// the moment at which it was not.
    pub fn look_up(&self, blocks: Range<u64>, runs: &mut Vec<Run>) -> (Vec<Range<u64>>, Moment) {
        let state = self.state.lock();
        let mut unknown = Vec::new();
        let mut at = blocks.start;
        for (range, known) in state.known.iter(blocks.clone()) {
            if range.start > at {
                unknown.push(at..range.start);
            }
            let within = at.max(range.start)..range.end.min(blocks.end);
            if let Known::Run { extent, skip } =
                known.part(within.start - range.start, within.end - within.start)
            {
                let length = within.end - within.start;
                runs.push(Run { start: within.start, length, extent, skip });
            }
            at = range.end;
        }
        if at < blocks.end {
            unknown.push(at..blocks.end);
        }
        let is_full = state.known.len() >= FILE_RUNS;
        (unknown, Moment { forgets: state.forgets, is_full })
    }

    /// Remembers what the store said about a range, if nothing was forgotten since it was asked.
    pub fn learn(&self, blocks: Range<u64>, runs: &[Run], asked: Moment) {
        let mut state = self.state.lock();
        if state.forgets != asked.forgets {
            return;
        }
        let before = state.known.len();
        if before >= FILE_RUNS {
            state.known.clear();
        }
        if REMEMBERED.load(Ordering::Relaxed) < TOTAL_RUNS {
            state.learn(blocks, runs);
        }
        account(before, state.known.len());
    }

    /// Forgets what the store says otherwise now.
    pub fn forget(&self, changes: impl IntoIterator<Item = Range<u64>>) {
        let mut state = self.state.lock();
        let before = state.known.len();
        state.forgets += 1;
        for blocks in changes {
            state.known.remove(blocks);
        }
        account(before, state.known.len());
    }
}

impl State {
    fn learn(&mut self, blocks: Range<u64>, runs: &[Run]) {
        self.known.remove(blocks.clone());
        let mut at = blocks.start;
        for run in runs {
            let end = run.start.saturating_add(run.length).min(blocks.end);
            self.put(at..run.start, Known::Hole);
            if !matches!(run.extent.content, ExtentContent::Inline { .. }) {
                let known = Known::Run { extent: Arc::clone(&run.extent), skip: run.skip };
                self.put(run.start..end, known);
            }
            at = end;
        }
        self.put(at..blocks.end, Known::Hole);
    }

    /// Adds a range, unless it is empty. It cannot overlap another: the runs of a map do not.
    fn put(&mut self, blocks: Range<u64>, known: Known) {
        let added = self.known.insert(blocks.clone(), known);
        debug_assert!(added.is_ok() || blocks.is_empty(), "{added:?}");
    }
}

impl Drop for ExtentMap {
    fn drop(&mut self) {
        account(self.state.get_mut().known.len(), 0);
    }
}

/// Brings the count of all files up to date.
fn account(before: usize, after: usize) {
    // Relaxed: a bound on memory that nothing else depends on. Each file takes off what it added, so
    // it never wraps.
    if after > before {
        REMEMBERED.fetch_add(after - before, Ordering::Relaxed);
    } else {
        REMEMBERED.fetch_sub(before - after, Ordering::Relaxed);
    }
}

impl Run {
    /// The part of it that lies within a range.
    pub fn within(self, blocks: &Range<u64>) -> Option<Self> {
        let start = self.start.max(blocks.start);
        let end = self.start.saturating_add(self.length).min(blocks.end);
        // Within the extent, whose length fits.
        let skip = self.skip.saturating_add(u32::try_from(start - self.start).unwrap_or(u32::MAX));
        (start < end).then(|| Self { start, length: end - start, skip, ..self })
    }
}

impl From<Backed> for Run {
    fn from(backed: Backed) -> Self {
        let length = u64::from(backed.extent.length);
        Self { start: backed.start, length, extent: Arc::new(backed.extent), skip: 0 }
    }
}

impl From<Mapped> for Run {
    fn from(mapped: Mapped) -> Self {
        let length = u64::from(mapped.extent.length);
        Self { start: mapped.start, length, extent: Arc::new(mapped.extent), skip: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: u64, length: u32) -> Run {
        let content = ExtentContent::Unwritten { address: 1000 + start, birth: 1 };
        let extent = Arc::new(Extent { length, content });
        Run { start, length: u64::from(length), extent, skip: 0 }
    }

    /// Where a run begins, how long it is, and how far into its extent.
    type Place = (u64, u64, u32);

    /// The runs that are known, and what is not.
    fn look_up(map: &ExtentMap, blocks: Range<u64>) -> (Vec<Place>, Vec<Range<u64>>) {
        let mut runs = Vec::new();
        let (unknown, _) = map.look_up(blocks, &mut runs);
        (runs.iter().map(|run| (run.start, run.length, run.skip)).collect(), unknown)
    }

    fn now(map: &ExtentMap) -> Moment {
        map.look_up(0..1, &mut Vec::new()).1
    }

    #[test]
    fn runs_and_holes_are_known_and_the_rest_is_not() {
        let map = ExtentMap::default();
        assert_eq!(look_up(&map, 0..10), (vec![], vec![0..10; 1]));
        map.learn(10..40, &[run(12, 8), run(30, 4)], now(&map));
        assert_eq!(look_up(&map, 0..50), (vec![(12, 8, 0), (30, 4, 0)], vec![0..10, 40..50]));
        assert_eq!(look_up(&map, 15..31), (vec![(15, 5, 3), (30, 1, 0)], vec![]));
        assert_eq!(look_up(&map, 20..30), (vec![], vec![]), "a hole is known as such");
    }

    #[test]
    fn what_changed_is_forgotten_and_nothing_else() {
        let map = ExtentMap::default();
        map.learn(0..40, &[run(10, 20)], now(&map));
        map.forget([15..17, 35..36]);
        assert_eq!(look_up(&map, 0..40), (vec![(10, 5, 0), (17, 13, 7)], vec![15..17, 35..36]));
    }

    #[test]
    fn what_was_asked_before_something_was_forgotten_is_not_learned() {
        let map = ExtentMap::default();
        let asked = now(&map);
        // A delta is published that changes other blocks, even.
        map.forget(std::iter::once(100..101));
        map.learn(0..10, &[run(0, 10)], asked);
        assert_eq!(look_up(&map, 0..10), (vec![], vec![0..10; 1]));
        map.learn(0..10, &[run(0, 10)], now(&map));
        assert_eq!(look_up(&map, 0..10).1, vec![]);
    }

    #[test]
    fn memory_is_bounded() {
        let map = ExtentMap::default();
        for at in 0..3 * FILE_RUNS as u64 {
            map.learn(2 * at..2 * at + 2, &[run(2 * at, 1)], now(&map));
            assert!(map.state.lock().known.len() <= FILE_RUNS + 2);
        }
        let inline = Extent { length: 1, content: ExtentContent::Inline { bytes: [1].into() } };
        let inline = Run { start: 0, length: 1, extent: Arc::new(inline), skip: 0 };
        map.learn(0..2, &[inline], now(&map));
        assert_eq!(look_up(&map, 0..2), (vec![], vec![0..1; 1]), "content is not kept here");
    }
}
