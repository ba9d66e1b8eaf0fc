//! What the cache counts, cheaply enough to count always.
//!
//! Counts of events live in stripes, one for each of a few groups of threads, so that readers on
//! different processors do not fight over a cache line. Amounts (dirty, frozen) are kept by
//! [`Pressure`](crate::pressure::Pressure), which decides by them.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam::utils::CachePadded;

const STRIPES: usize = 8;
const EVENTS: usize = 18;

/// An event that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Forks,
    BytesCopied,
    Waits,
    WaitNanoseconds,
    MemoryWaits,
    MemoryWaitNanoseconds,
    Throttles,
    ThrottleNanoseconds,
    Hits,
    Misses,
    Evictions,
    ZeroDedups,
    PagesReadAhead,
    ZeroScans,
    ZeroFinds,
    ZeroUnshares,
    MappedFaults,
    ProtectNanoseconds,
}

/// The state of the counters at one moment; see
/// [`PageCache::counters`](crate::PageCache::counters).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CacheCounters {
    /// Pages forked because an earlier delta still had to write them.
    pub forks: u64,
    /// Bytes copied so that writing and writeback of the same page could go on side by side, under
    /// any policy.
    pub bytes_copied: u64,
    /// Memory now held by copies that only writeback needs.
    pub frozen_bytes: u64,
    /// The highest `frozen_bytes` so far.
    pub frozen_bytes_peak: u64,
    /// Bytes that are not durable yet: dirty in the open delta, or under writeback.
    pub dirty_bytes: u64,
    /// How often a writer waited for the writeback of a page: always under the policy `wait`, with
    /// the limit of frozen copies reached under the others.
    pub waits: u64,
    /// How long they waited, in nanoseconds.
    pub wait_ns: u64,
    /// How often a writer waited for memory, everything cached being dirty or in use.
    pub memory_waits: u64,
    /// How long they waited, in nanoseconds.
    pub memory_wait_ns: u64,
    /// How often writers were held back by the throttle.
    pub throttles: u64,
    /// How long writers were held back by the throttle, in nanoseconds.
    pub throttle_ns: u64,
    /// Pages read from the cache.
    pub hits: u64,
    /// Pages that had to be asked for.
    pub misses: u64,
    /// Clean pages given up for others.
    pub evictions: u64,
    /// Pages written full of zeros and kept without memory.
    pub zero_dedups: u64,
    /// Pages read before anybody asked for them.
    pub pages_read_ahead: u64,
    /// Pages at rest that the scanner looked at.
    pub zero_scans: u64,
    /// Pages full of zeros that the scanner found: their memory was given back.
    pub zero_finds: u64,
    /// Pages of zeros that got memory again because something else was written to them.
    pub zero_unshares: u64,
    /// Faults of mapped memory that were answered.
    pub mapped_faults: u64,
    /// How long stores to mapped memory were kept waiting by freezes, in nanoseconds.
    pub mapped_pause_ns: u64,
    /// Frames of the pool in use.
    pub frames_used: u64,
    /// Frames of the pool.
    pub frames_total: u64,
    /// Memory of the page tables.
    pub table_bytes: u64,
}

/// Striped event counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    stripes: [CachePadded<[AtomicU64; EVENTS]>; STRIPES],
}

impl Counters {
    pub(crate) fn add(&self, event: Event, amount: u64) {
        if amount != 0 {
            self.stripes[stripe_of_thread()][event as usize].fetch_add(amount, Ordering::Relaxed);
        }
    }

    pub(crate) fn add_duration(&self, event: Event, duration: Duration) {
        self.add(event, u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn get(&self, event: Event) -> u64 {
        let values =
            self.stripes.iter().map(|stripe| stripe[event as usize].load(Ordering::Relaxed));
        values.fold(0, u64::wrapping_add)
    }
}

/// Deals the stripes out to the threads in turn.
fn stripe_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    STRIPE.with(|stripe| {
        if stripe.get() == usize::MAX {
            stripe.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        stripe.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_threads_add_up() {
        let counters = Counters::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * STRIPES {
                scope.spawn(|| (0..100).for_each(|_| counters.add(Event::Hits, 2)));
            }
        });
        assert_eq!(counters.get(Event::Hits), 2 * STRIPES as u64 * 200);
        assert_eq!(counters.get(Event::Misses), 0);
    }
}
