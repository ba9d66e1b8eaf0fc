//! The scanner: looks for pages full of zeros among those at rest, a few at a time.
//!
//! Pages written as whole pages of zeros never get here: a write sees them. Here come those that
//! became zeros otherwise (see [`crate::mapping`]'s `zeros`). After the deduplication of zero pages in
//! the kernel's same-page merging, but without its checksum: that reads a whole page to rule it out,
//! while a comparison with zeros ends at the first word that is not, mostly in the first cache line.
//!
//! # Pace
//!
//! The scanner goes round the frames of the pool, as far at a time as its caller says. A page is looked
//! at if it was not used since the scanner last came by: so one that is being written is left alone,
//! and turned back and forth at most once a round. When two rounds found nothing and nothing is dirty,
//! the scanner [rests](PageCache::wants_zero_scan).

use std::ops::Range;

use crate::cache::PageCache;
use crate::candidates::{hand_in, sole_page};
use crate::counters::Event;
use crate::heat;
use crate::sync::Mutex;

/// Frames passed before what was collected is handed in.
const STRIDE_FRAMES: usize = 256;
/// Rounds without a find after which the scanner rests: one to see which pages are at rest, and one
/// to look at them.
const FRUITLESS_ROUNDS: u32 = 2;

/// Where the scanner is.
#[derive(Debug, Default)]
pub(crate) struct ZeroScanner {
    place: Mutex<Place>,
}

#[derive(Debug, Default)]
struct Place {
    frame: usize,
    fruitless_rounds: u32,
}

/// Pages that are cached without memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ZeroPageCounts {
    /// Pages that were never written.
    pub holes: u64,
    /// Pages that were written, with nothing but zeros.
    pub deduplicated: u64,
}

impl PageCache {
    /// Looks at so many frames of the pool for pages at rest that are full of zeros, and turns them
    /// into pages without memory. Returns how many it turned. Does nothing while
    /// [deduplication](Self::set_dedup_zero) is off, or if somebody else is scanning.
    pub fn scan_for_zeros(&self, frames: usize) -> u64 {
        let Some(mut place) = self.zero_scanner().place.try_lock() else { return 0 };
        let (mut left, mut turned) = (frames.min(self.pool().frames()), 0);
        while left > 0 && self.dedups_zero() {
            let stride = left.min(STRIDE_FRAMES);
            let frames = place.frame..self.pool().frames().min(place.frame + stride);
            left -= frames.len();
            place.frame = frames.end;
            let found = self.dedup_resting(frames);
            turned += found;
            if found > 0 {
                place.fruitless_rounds = 0;
            }
            if place.frame == self.pool().frames() {
                place.frame = 0;
                place.fruitless_rounds = place.fruitless_rounds.saturating_add(1);
            }
        }
        turned
    }

    /// Whether there may be something to find: deduplication is on, and the last rounds found
    /// something, or something was written since.
    pub fn wants_zero_scan(&self) -> bool {
        if !self.dedups_zero() {
            return false;
        }
        let Some(mut place) = self.zero_scanner().place.try_lock() else { return false };
        // Asked as well as counted: a page that is fsynced at once is dirty for a moment only.
        if self.pressure().take_dirtied() || self.pressure().dirty_pages() > 0 {
            place.fruitless_rounds = 0;
        }
        place.fruitless_rounds < FRUITLESS_ROUNDS
    }

    /// How many pages are cached without memory now. Counted in the page tables when it is asked for,
    /// one file after the other: nobody keeps a count that could go wrong.
    pub fn zero_page_counts(&self) -> ZeroPageCounts {
        let mut sum = ZeroPageCounts::default();
        let mut from = 0;
        while let Some((next, mapping)) = self.registry().next_from(from) {
            let counts = mapping.table_counts();
            sum.holes += counts.hole_zeros;
            sum.deduplicated += counts.dedup_zeros;
            from = next;
        }
        sum
    }

    /// Turns the pages of zeros among some frames that are at rest.
    fn dedup_resting(&self, frames: Range<usize>) -> u64 {
        let mut looked_at = 0;
        let resting = frames.filter_map(|frame| sole_page(self.pool(), frame, heat::is_at_rest));
        let turned = hand_in(self.registry(), resting, |mapping, batch| {
            looked_at += batch.len() as u64;
            mapping.dedup_zeros(batch)
        });
        self.events().add(Event::ZeroScans, looked_at);
        self.events().add(Event::ZeroFinds, turned);
        if turned > 0 {
            // Frames became free.
            self.pressure().progress().wake_all();
        }
        turned
    }
}
