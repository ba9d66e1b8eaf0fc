//! Where the regions lie, and which addresses are asked for.
//!
//! As in a virtual machine: four large regions of memory, and small ones of devices behind them, with
//! gaps as large as they are.

use std::ops::Range;

/// Addresses in a trace: few enough to stay in the cache.
const LENGTH: usize = 1 << 14;
const LARGE_REGIONS: u64 = 4;
const LARGE_PAGES: u64 = 1 << 20;
const SMALL_PAGES: u64 = 16;

/// A kind of trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// Memory is touched, some pages at a time.
    HitHeavy,
    /// Gaps are asked for, some addresses at a time.
    MissHeavy,
    /// A device in one gap is asked for, and memory now and then.
    Mixed,
    /// Anywhere, each address on its own.
    Scattered,
}

impl Trace {
    pub const ALL: [Self; 4] = [Self::HitHeavy, Self::MissHeavy, Self::Mixed, Self::Scattered];

    pub fn name(self) -> &'static str {
        match self {
            Self::HitHeavy => "hit-heavy",
            Self::MissHeavy => "miss-heavy",
            Self::Mixed => "mixed",
            Self::Scattered => "scattered",
        }
    }

    pub fn note(self) -> &'static str {
        match self {
            Self::HitHeavy => {
                "runs of 1 to 32 addresses in one region; four of five runs in a large one"
            }
            Self::MissHeavy => "runs of 1 to 32 addresses in one gap, any gap",
            Self::Mixed => {
                "98% in one gap, 1.9% in large regions, 0.1% in small ones, in random order"
            }
            Self::Scattered => "any region or gap, another each time: nothing to remember",
        }
    }

    /// Whether anything is promised: where nothing repeats itself, nothing can be remembered.
    pub fn has_goal(self) -> bool {
        self != Self::Scattered
    }
}

/// Where regions lie.
pub struct Layout {
    regions: Vec<Range<u64>>,
}

impl Layout {
    /// So many regions.
    pub fn of(count: u64) -> Self {
        let large = (0..LARGE_REGIONS).map(|at| 2 * at * LARGE_PAGES..(2 * at + 1) * LARGE_PAGES);
        let small_from = 2 * LARGE_REGIONS * LARGE_PAGES;
        let small = (0..count - LARGE_REGIONS).map(|at| {
            let start = small_from + 2 * at * SMALL_PAGES;
            start..start + SMALL_PAGES
        });
        Self { regions: large.chain(small).collect() }
    }

    /// The regions in random order, with values.
    pub fn shuffled(&self) -> impl Iterator<Item = (Range<u64>, u64)> {
        let count = self.regions.len();
        let mut order: Vec<usize> = (0..count).collect();
        let mut random = Random(7);
        for at in (1..count).rev() {
            order.swap(at, random.below(at as u64 + 1) as usize);
        }
        order.into_iter().map(|at| (self.regions[at].clone(), at as u64 + 1))
    }

    /// Addresses in one gap, in the middle.
    pub fn one_gap(&self) -> Vec<u64> {
        let gap = self.gap(self.regions.len() as u64 / 2);
        let mut random = Random(3);
        (0..LENGTH).map(|_| random.within(&gap)).collect()
    }

    /// A trace.
    pub fn trace(&self, trace: Trace) -> Vec<u64> {
        let mut random = Random(11);
        let mut addresses = Vec::with_capacity(LENGTH + 32);
        while addresses.len() < LENGTH {
            let (range, length) = self.step(trace, &mut random);
            addresses.extend((0..length).map(|_| random.within(&range)));
        }
        addresses.truncate(LENGTH);
        addresses
    }

    /// The next range of a trace, and how many addresses in it.
    fn step(&self, trace: Trace, random: &mut Random) -> (Range<u64>, u64) {
        let count = self.regions.len() as u64;
        let run = 1 + random.below(32);
        let large = random.below(LARGE_REGIONS);
        let small = LARGE_REGIONS + random.below(count - LARGE_REGIONS);
        let any = random.below(count);
        let region = |at: u64| self.regions[at as usize].clone();
        match (trace, random.below(1000)) {
            (Trace::HitHeavy, 0..800) => (region(large), run),
            (Trace::HitHeavy, _) => (region(small), run),
            (Trace::MissHeavy, _) => (self.gap(any), run),
            (Trace::Mixed, 0..980) => (self.gap(count / 2), 1),
            (Trace::Mixed, 980..999) => (region(large), 1),
            (Trace::Mixed, _) => (region(small), 1),
            (Trace::Scattered, 0..500) => (region(any), 1),
            (Trace::Scattered, _) => (self.gap(any), 1),
        }
    }

    /// The gap behind a region.
    fn gap(&self, at: u64) -> Range<u64> {
        let end = self.regions[at as usize].end;
        end..self.regions.get(at as usize + 1).map_or(end + SMALL_PAGES, |next| next.start)
    }
}

/// Numbers that are the same each time (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn within(&mut self, range: &Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }
}
