//! Memory of braidfs: page frames, zero pages, and page tables that are copied on write.
//!
//! Depends on nothing else of the project, and knows nothing of files or disks.
//!
//! # Frames
//!
//! A [`FramePool`] is a bounded number of 4 KiB frames over one mapping. Frames are handed out as [`FrameMut`], the only
//! handle to a frame, which reads and writes as its [`Page`]. [`FrameMut::share`] makes it a [`Frame`]: cloned by counting, read as
//! its page, and written only where [`Frame::get_mut`] or [`Frame::try_into_mut`] finds it unshared. The bytes of a new frame are what
//! its last user left, unless it is asked for with [`FramePool::allocate_zeroed`] or [`FramePool::allocate_copy`].
//! [`FramePool::allocate_run`] gives frames side by side as one slice. Beside each frame the pool keeps
//! [words](FrameMetadata) of the owner's: whose page it is, a version, whether it was used. They can be read without
//! a handle, so an evictor can walk the pool with [`FramePool::metadata`]; [`FramePool::is_low`] and
//! [`FramePool::shortfall_frames`] tell it when, and how much.
//!
//! # Page tables
//!
//! A [`PageTable`] maps page indexes to [entries](Entry): a frame, [`Content::HoleZero`] (known never to have been written), or
//! [`Content::DedupZero`] (written, all zeros), each with an [`EntryMark`] of the owner's and with [tags](Tag).
//! [`PageTable::fork`] shares everything in constant time; the first change through either table copies the few nodes on its way.
//! A page can be written in place ([`PageTable::page_mut`]) only if nobody else can see its frame: not another handle, and not
//! another table. Operations fail before they change anything or not at all; [`PageTable::reserve`] pays in advance.
//!
//! # Locks
//!
//! There are none here: a pool is lock-free, and a table is data that its owner locks.

#![deny(unsafe_code)]

mod error;
#[allow(unsafe_code)]
mod frame;
mod page;
mod table;
mod table_memory;
mod zero;

pub use error::{PoolError, TableError};
pub use frame::{
    Frame, FrameMetadata, FrameMut, FrameNumber, FramePool, FrameRef, FrameRun, PoolConfig,
    PoolCounters,
};
pub use page::{PAGE_SIZE, Page};
pub use table::{
    Content, ContentRef, Entry, EntryIter, EntryMark, EntryRef, MAX_PAGES, PageTable, SLOTS,
    TableCounts, Tag, TagSet, TaggedRuns,
};
pub use zero::{MAX_COLOURS, ZeroPages, is_zero_page};
