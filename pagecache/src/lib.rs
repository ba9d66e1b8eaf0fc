//! Cached file pages for braidfs: forked instead of waited for, tagged by version, written back in
//! order.
//!
//! A page that is being written back is never waited for: a write to it *forks* it. The live page
//! goes on in a new frame, and writeback has the frozen one to itself.
//!
//! # Layers
//!
//! | module | responsibility |
//! |---|---|
//! | [`PageCache`] (`cache`) | what all files share: memory, policy, limits, counters |
//! | [`Mapping`] (`mapping`) | the pages of one file: read, write, truncate, punch, freeze |
//! | [`Frozen`] (`mapping/frozen`) | one version of a file on its way to the disk |
//! | [`Backing`] (`backing`) | what a missing page contains; implemented by the filesystem |
//! | `pressure`, `pacing` | how much is dirty, and who is slowed down for it |
//! | `clock`, `heat`, `registry` | which clean pages go when memory is low |
//! | `zero_scan` | finding pages that became full of zeros |
//!
//! Below is `braidfs-mm`: frames, and page tables that fork in constant time. This crate knows
//! nothing of disks, deltas, or FUSE.
//!
//! # The life of a page
//!
//! ```text
//!            read              write               freeze
//!  missing ---------> clean ----------> open ---------------> in flight
//!     ^                |  ^             ^  ^                    | |  |
//!     |     evict      |  |             |  |  write: a fork     | |  |
//!     +----------------+  |             |  +--------------------+ |  |
//!                         |             |        fail             |  |
//!                         |             +-------------------------+  |
//!                         |                   complete               |
//!                         +------------------------------------------+
//! ```
//!
//! * A dirty page carries the *version* of the mapping in which it was dirtied. [`Mapping::freeze`]
//!   forks the page table and begins the next version: from then on the old version's pages are *in
//!   flight*.
//! * A write to a page in flight puts a new frame in the live table, with the new version. The
//!   frozen table keeps the old frame.
//! * [`Frozen::complete`] cleans the live pages that still carry its version, and no others:
//!   versions may end in any order, and an older one never cleans or replaces newer content.
//!   [`Frozen::fail`] makes the same pages dirty again.
//!
//! # What a user must do
//!
//! * Call [`PageCache::throttle`] before a write, and run writeback while
//!   [`PageCache::needs_writeback`].
//! * Publish versions of a file in the order in which they were frozen.
//! * Let the backing know of a truncation, a hole, or a completed version *before* telling the
//!   mapping; or keep readers and writers of the file out until it knows.
//! * Hold no lock that writeback takes while calling [`Mapping::write`], [`Mapping::truncate`] or
//!   [`Mapping::punch`]: they may wait for it.

#![forbid(unsafe_code)]

mod backing;
mod cache;
mod candidates;
mod clock;
mod config;
mod counters;
mod error;
mod heat;
mod mapping;
mod pacing;
mod page;
mod planted;
mod pressure;
mod registry;
mod sync;
#[cfg(all(test, not(shuttle)))]
mod tests;
mod wait_queue;
mod zero_scan;

pub use backing::{Backing, PageFill};
pub use braidfs_mm::{
    Access, FaultHandler, FaultMechanism, LiveRange, MappedFile, MappedMemory, Unresolvable,
    is_mapped,
};
pub use cache::PageCache;
pub use config::{CacheConfig, WritebackPolicy};
pub use counters::CacheCounters;
pub use error::CacheError;
pub use mapping::{
    Admission, Frozen, FrozenPage, FrozenRun, MappedPages, Mapping, Patience, Stall,
};
pub use page::{PAGE_SIZE, PageBytes};
pub use zero_scan::ZeroPageCounts;
