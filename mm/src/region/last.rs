//! The memory of a reader: what it found last, and where it last found nothing.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Found;

/// What one reader, or one thread, found last in some [`Regions`](super::Regions): one region, and
/// one gap.
///
/// Both are known as *whole ranges*, so all addresses of a hole are answered after the first. Each
/// remembers the generation in which it was found: a region is forgotten when something was removed
/// since, a gap when something was added. What is remembered of other regions, or of those that these
/// are a copy of, is never taken for an answer: they never have the same generations.
#[derive(Debug, Clone)]
pub struct LastLookup<V> {
    region: Option<(Range<u64>, V)>,
    region_generation: u64,
    gap: Range<u64>,
    gap_generation: u64,
}

/// Which changes [`LastLookup`] must know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Generations {
    /// The last change that added something where nothing was.
    pub(super) added: u64,
    /// The last change that removed a region, or changed its value.
    pub(super) removed: u64,
}

impl Generations {
    /// Those of regions that nobody has looked at.
    pub(super) fn new() -> Self {
        let now = next_generation();
        Self { added: now, removed: now }
    }

    /// Notes that something was added.
    pub(super) fn note_added(&mut self) {
        self.added = next_generation();
    }

    /// Notes that something was removed, or has another value.
    pub(super) fn note_removed(&mut self) {
        self.removed = next_generation();
    }
}

/// A number that no change had before: in no regions of the process, so that what a reader
/// remembers of some regions is never taken for an answer by others.
fn next_generation() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: the numbers need only differ; who may see the regions they stand for is settled by
    // the lock of their owner.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl<V> Default for LastLookup<V> {
    fn default() -> Self {
        Self { region: None, region_generation: 0, gap: 0..0, gap_generation: 0 }
    }
}

impl<V> LastLookup<V> {
    /// Nothing remembered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a gap is remembered that holds the address and is still one.
    #[inline]
    pub(super) fn knows_gap(&self, at: u64, now: &Generations) -> bool {
        self.gap_generation == now.added && self.gap.contains(&at)
    }

    /// Whether a region is remembered that holds the address and is still the same.
    #[inline]
    pub(super) fn knows_region(&self, at: u64, now: &Generations) -> bool {
        self.region_generation == now.removed
            && self.region.as_ref().is_some_and(|(range, _)| range.contains(&at))
    }

    /// What is remembered: of the gap, or of the region.
    #[inline]
    pub(super) fn recall(&self, gap: bool) -> Found<'_, V> {
        match &self.region {
            Some((range, value)) if !gap => Found::Region { range: range.clone(), value },
            _ => Found::Gap(self.gap.clone()),
        }
    }
}

impl<V: Clone> LastLookup<V> {
    /// Remembers what was found; says whether it was a gap.
    pub(super) fn note(&mut self, found: &Found<'_, V>, now: &Generations) -> bool {
        match found {
            Found::Region { range, value } => {
                self.region = Some((range.clone(), (*value).clone()));
                self.region_generation = now.removed;
            }
            Found::Gap(range) => {
                self.gap = range.clone();
                self.gap_generation = now.added;
            }
        }
        found.is_gap()
    }
}
