//! Which clean pages to give up when memory is low.
//!
//! A clock: a hand goes round the frames of the pool, cools what it passes (see [`heat`]), and
//! takes what is cold. Pages start cold, so those that are read once, however many, push out each
//! other and not what is used repeatedly.
//!
//! What the hand reads are hints in the metadata of the frames (see
//! [`FrameMetadata`](braidfs_mm::FrameMetadata)); the mapping confirms them under its lock.
//! Neighbouring frames of one mapping are handed to it together.
//!
//! The page tables take memory too, mostly those of files read here and there. When they take too
//! much, mappings lose all their clean pages in turn.

use std::ops::Range;
use std::time::{Duration, Instant};

use braidfs_mm::FramePool;

use crate::candidates::{Candidate, hand_in, sole_page};
use crate::heat;
use crate::page::PAGE_INDEX_END;
use crate::registry::{OwnerId, Registry};
use crate::sync::Mutex;

/// Frames the hand passes before it hands in what it collected.
const STRIDE_FRAMES: usize = 256;
/// Frames the hand passes at most for somebody who could do without (64 MiB).
const OPTIONAL_SWEEP_FRAMES: usize = 16384;
/// Rounds after which even a hot page has cooled down and can be taken.
const ROUNDS: usize = heat::HOT as usize + 1;
/// How long nobody is made to look who could do without, when there was nothing in so many rounds.
const PAUSE: Duration = Duration::from_millis(5);

/// The hands of the clock.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    hands: Mutex<Hands>,
}

#[derive(Debug, Default)]
struct Hands {
    frame: usize,
    mapping: usize,
    /// Frames passed since something was evicted.
    fruitless_frames: usize,
    /// Until when optional sweeps are not worth it.
    pause_until: Option<Instant>,
}

impl Clock {
    /// Evicts about `wanted` clean pages. If somebody else does so already, leaves it to them
    /// unless it `must`. Returns how many pages were evicted.
    pub(crate) fn evict(
        &self,
        pool: &FramePool,
        registry: &Registry,
        wanted: u64,
        must: bool,
    ) -> u64 {
        let hands = if must { Some(self.hands.lock()) } else { self.hands.try_lock() };
        let Some(mut hands) = hands else { return 0 };
        let all = ROUNDS * pool.frames();
        if !must {
            return hands.sweep_if_worth_it(pool, registry, wanted, all);
        }
        let evicted = hands.sweep(pool, registry, wanted, all, false);
        if evicted == 0 { hands.sweep(pool, registry, wanted, all, true) } else { evicted }
    }

    /// Makes the next mapping drop all its clean pages and what its table knows of holes.
    pub(crate) fn shed_table(&self, registry: &Registry) {
        let Some(mut hands) = self.hands.try_lock() else { return };
        let next = registry.next_from(hands.mapping);
        hands.mapping = next.as_ref().map_or(0, |(slot, _)| *slot);
        if let Some((_, mapping)) = next {
            mapping.drop_clean(0..PAGE_INDEX_END);
        }
    }
}

impl Hands {
    /// Passes some frames, unless there was nothing to be had of late.
    fn sweep_if_worth_it(
        &mut self,
        pool: &FramePool,
        registry: &Registry,
        wanted: u64,
        all: usize,
    ) -> u64 {
        if self.pause_until.is_some_and(|until| Instant::now() < until) {
            return 0;
        }
        let evicted = self.sweep(pool, registry, wanted, all.min(OPTIONAL_SWEEP_FRAMES), false);
        self.pause_until = (self.fruitless_frames >= all).then(|| Instant::now() + PAUSE);
        evicted
    }

    /// Passes frames until enough pages are evicted, or so many frames were passed.
    fn sweep(
        &mut self,
        pool: &FramePool,
        registry: &Registry,
        wanted: u64,
        frames: usize,
        thorough: bool,
    ) -> u64 {
        let (mut evicted, mut passed) = (0, 0);
        while evicted < wanted && passed < frames {
            let stride = self.frame..pool.frames().min(self.frame + STRIDE_FRAMES);
            self.frame = if stride.end == pool.frames() { 0 } else { stride.end };
            passed += stride.len();
            self.fruitless_frames += stride.len();
            let cold = evict_cold(pool, registry, stride, thorough);
            if cold > 0 {
                self.fruitless_frames = 0;
            }
            evicted += cold;
        }
        evicted
    }
}

/// Evicts the cold pages among some frames.
fn evict_cold(pool: &FramePool, registry: &Registry, frames: Range<usize>, thorough: bool) -> u64 {
    let cold = frames.filter_map(|frame| cold_page(pool, frame));
    hand_in(registry, cold, |mapping, batch| mapping.evict(batch, thorough))
}

/// What a frame holds, if it is cold and only a table has it.
fn cold_page(pool: &FramePool, frame: usize) -> Option<(OwnerId, Candidate)> {
    sole_page(pool, frame, heat::cool)
}
