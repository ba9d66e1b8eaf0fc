//! What one hold of a mapping's lock changed in the amounts of the cache.

use crate::cache::PageCache;
use crate::counters::Event;
use crate::page::PAGE_SIZE;

/// Changes that are accounted together, before the lock is let go: so no amount is ever taken back
/// before it was added.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Pages that were clean, or not there, and are dirty now.
    pub(crate) dirtied: u64,
    /// Dirty pages that were dropped.
    pub(crate) dropped_dirty: u64,
    /// Frames that only writeback needs from now on.
    pub(crate) frozen: u64,
    /// Pages under writeback that got a new frame for a write.
    pub(crate) forks: u64,
    /// Pages copied.
    pub(crate) copies: u64,
    /// Pages of zeros kept without memory.
    pub(crate) zero_dedups: u64,
    /// Pages of zeros that got memory again.
    pub(crate) zero_unshares: u64,
}

impl Tally {
    /// Adds everything to the amounts and counters of the cache.
    pub(crate) fn apply(&self, cache: &PageCache) {
        let (pressure, counters) = (cache.pressure(), cache.events());
        pressure.add_dirty(self.dirtied);
        pressure.remove_dirty(self.dropped_dirty);
        pressure.add_frozen(self.frozen);
        counters.add(Event::Forks, self.forks);
        counters.add(Event::BytesCopied, self.copies * PAGE_SIZE as u64);
        counters.add(Event::ZeroDedups, self.zero_dedups);
        counters.add(Event::ZeroUnshares, self.zero_unshares);
    }
}
