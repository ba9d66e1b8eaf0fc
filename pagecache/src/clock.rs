//! Which clean pages to give up when memory is low.
//!
//! A clock: a hand goes round the frames of the pool. A frame that was used again since the hand last came gets a second chance, others go.
//! Frames start cold, so pages that are read once, however many, push out each other and not what is used repeatedly.
//!
//! What the hand reads are hints in the metadata of the frames (see [`FrameMetadata`](braidfs_mm::FrameMetadata)); the mapping confirms
//! them under its lock. Neighbouring frames of one mapping are handed to it together.
//!
//! The page tables themselves take memory too, mostly for files read here and there. When they take too much, mappings lose all their
//! clean pages in turn.

use std::ops::Range;
use std::time::{Duration, Instant};

use braidfs_mm::FramePool;
use parking_lot::Mutex;

use crate::mapping::Candidate;
use crate::page::PAGE_INDEX_END;
use crate::registry::{OwnerId, Registry};

/// Frames the hand passes before it hands in what it collected.
const STRIDE_FRAMES: usize = 256;
/// After a sweep that found nothing to evict, optional sweeps pause this many times as long as it took.
const PAUSE_FACTOR: u32 = 8;

/// The hands of the clock.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    hands: Mutex<Hands>,
}

#[derive(Debug, Default)]
struct Hands {
    frame: usize,
    mapping: usize,
    /// Until when optional sweeps are not worth it.
    pause_until: Option<Instant>,
}

impl Clock {
    /// Evicts about `wanted` clean pages. If somebody else does so already, leaves it to them unless it `must`.
    /// Returns how many pages were evicted.
    pub(crate) fn evict(
        &self,
        pool: &FramePool,
        registry: &Registry,
        wanted: u64,
        must: bool,
    ) -> u64 {
        let hands = if must { Some(self.hands.lock()) } else { self.hands.try_lock() };
        let Some(mut hands) = hands else { return 0 };
        if !must && hands.is_pausing() {
            return 0;
        }
        let evicted = hands.sweep(pool, registry, wanted, false);
        if evicted == 0 && must { hands.sweep(pool, registry, wanted, true) } else { evicted }
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
    fn is_pausing(&self) -> bool {
        self.pause_until.is_some_and(|until| Instant::now() < until)
    }

    /// Goes round twice at most: once to take second chances away, once to find what that made cold.
    fn sweep(&mut self, pool: &FramePool, registry: &Registry, wanted: u64, thorough: bool) -> u64 {
        let started = Instant::now();
        let frames = pool.frames();
        let mut evicted = 0;
        let mut passed = 0;
        while evicted < wanted && passed < 2 * frames {
            let stride = self.frame..frames.min(self.frame + STRIDE_FRAMES);
            passed += stride.len().max(1);
            self.frame = if stride.end == frames { 0 } else { stride.end };
            evicted += evict_cold(pool, registry, stride, thorough);
        }
        self.pause_until = (evicted == 0).then(|| pause_after(started));
        evicted
    }
}

fn pause_after(started: Instant) -> Instant {
    let pause: Duration = started.elapsed().saturating_mul(PAUSE_FACTOR);
    Instant::now() + pause
}

/// Evicts the cold pages among some frames.
fn evict_cold(pool: &FramePool, registry: &Registry, frames: Range<usize>, thorough: bool) -> u64 {
    let mut evicted = 0;
    let mut batch: Vec<Candidate> = Vec::new();
    let mut batch_owner = None;
    for frame in frames {
        let Some((owner, candidate)) = cold_page(pool, frame) else { continue };
        if batch_owner != Some(owner) {
            evicted += hand_in(registry, batch_owner, &batch, thorough);
            batch.clear();
            batch_owner = Some(owner);
        }
        batch.push(candidate);
    }
    evicted + hand_in(registry, batch_owner, &batch, thorough)
}

/// What a frame holds, if nobody used it again since the hand last passed and only a table has it.
fn cold_page(pool: &FramePool, frame: usize) -> Option<(OwnerId, Candidate)> {
    let metadata = pool.metadata(frame).filter(|metadata| metadata.references() == 1)?;
    let owner = OwnerId::from_word(metadata.owner())?;
    (!metadata.take_referenced()).then(|| (owner, Candidate { frame, page: metadata.index() }))
}

fn hand_in(
    registry: &Registry,
    owner: Option<OwnerId>,
    batch: &[Candidate],
    thorough: bool,
) -> u64 {
    let mapping = owner.and_then(|owner| registry.get(owner));
    mapping.map_or(0, |mapping| mapping.evict(batch, thorough))
}
