//! Memory of braidfs: page frames, zero pages, and page tables that are copied on write.
//!
//! Depends on nothing else of the project, and knows nothing of files or disks.
//!
//! # Frames
//!
//! A [`FramePool`] is a bounded number of 4 KiB frames over one mapping. Frames are handed out as
//! [`FrameMut`], the only handle to a frame, which reads and writes as its [`Page`].
//! [`FrameMut::share`] makes it a [`Frame`]: cloned by counting, read as its page, and written only
//! where [`Frame::get_mut`] or [`Frame::try_into_mut`] finds it unshared. The bytes of a new frame
//! are what its last user left, unless it is asked for with [`FramePool::allocate_zeroed`] or
//! [`FramePool::allocate_copy`]. [`FramePool::allocate_run`] gives frames side by side as one
//! slice. Beside each frame the pool keeps [words](FrameMetadata) of the owner's: whose page it is,
//! a version, whether it was used. They can be read without a handle, so an evictor can walk the
//! pool with [`FramePool::metadata`]; [`FramePool::is_low`] and [`FramePool::shortfall_frames`]
//! tell it when, and how much.
//!
//! An [`Arena`] has fixed places for frames that a program maps. What is [placed](Arena::place)
//! there counts against the pool like any other frame; its bytes are copied in and out and never
//! borrowed, since the program may change them at any time.
//!
//! # Page tables
//!
//! A [`PageTable`] maps page indexes to [entries](Entry): a frame, [`Content::HoleZero`] (known
//! never to have been written), or [`Content::DedupZero`] (written, all zeros), each with an
//! [`EntryMark`] of the owner's and with [tags](Tag). [`PageTable::fork`] shares everything in
//! constant time; the first change through either table copies the few nodes on its way. A page can
//! be written in place ([`PageTable::page_mut`]) only if nobody else can see its frame: not another
//! handle, and not another table. [`PageTable::reader`] gives a handle that looks up pages while the
//! table is changed; what it finds is held against being written. Operations fail before they change anything or not at all;
//! [`PageTable::reserve`] pays in advance.
//!
//! # Regions and address spaces
//!
//! [`Regions`] are ranges with a value each, for thousands of them: where a mapped range lies, or
//! which blocks a file has. A reader's [`LastLookup`] answers what it asked last without a search,
//! misses included. An [`AddressSpace`] is regions over a page table: [map](AddressSpace::map),
//! [unmap](AddressSpace::unmap), [fault](AddressSpace::fault), [protect](AddressSpace::protect),
//! [discard](AddressSpace::discard), [fork](AddressSpace::fork); what fills a page is a
//! [`PageSource`].
//!
//! # Example
//!
//! ```
//! use braidfs_mm::{FramePool, PAGE_SIZE, PageTable, PoolConfig, Tag};
//!
//! let pool = FramePool::new(&PoolConfig::new(1 << 20))?;
//! let mut live = PageTable::new(&pool);
//! live.insert_tagged(7, pool.allocate_copy(&[1; PAGE_SIZE])?, Tag::Dirty)?;
//!
//! // Writeback reads the frozen table; the live one is written on, in a frame of its own.
//! let frozen = live.fork();
//! assert!(live.page_mut(7).is_none());
//! live.insert(7, pool.allocate_copy(&[2; PAGE_SIZE])?)?;
//!
//! let dirty: Vec<u64> = frozen.tagged(Tag::Dirty, 0..u64::MAX).map(|(index, _)| index).collect();
//! assert_eq!(dirty, [7]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! No safe code can write a page that somebody reads:
//!
//! ```compile_fail,E0502
//! # use braidfs_mm::{PageTable, FramePool, PoolConfig};
//! # fn example(table: &mut PageTable) -> Option<()> {
//! let read = table.get(0)?.frame()?.page();
//! let written = table.page_mut(0)?;
//! written[0] = read[1];
//! # Some(()) }
//! ```
//!
//! ```compile_fail,E0505
//! # use braidfs_mm::FrameMut;
//! # fn example(frame: FrameMut) {
//! let page = &frame[..];
//! let mut other = frame.share();
//! assert_eq!(page[0], 0);
//! # }
//! ```
//!
//! Nobody can fill a table again between the look whether it is empty and its freeing, and no walker
//! can change what it did not break the sharing of:
//!
//! ```compile_fail,E0499
//! # use braidfs_mm::{Content, PageTable};
//! # fn example(table: &mut PageTable) {
//! let _ = table.remove_range(0..512, |_, _| drop(table.insert(7, Content::HoleZero)));
//! # }
//! ```
//!
//! ```compile_fail,E0596
//! # use braidfs_mm::PageTable;
//! # fn walk(table: &PageTable) -> Option<()> {
//! table.page_mut(7)?[0] = 1;
//! # Some(()) }
//! ```
//!
//! # Locks
//!
//! A pool is lock-free; tables and regions are data that their owner locks. A [`TableReader`] reads
//! a table beside its owner without any lock. Only an [`AddressSpace`] has a lock of its own, which it holds while nobody else is asked for anything.

#![deny(unsafe_code)]
// `tests/loom.rs` takes the file it checks, and nothing else of the crate: the checker's atomics can't
// be made of zeroed memory.
#![cfg(not(loom))]

mod address_space;
mod error;
#[allow(unsafe_code)]
mod frame;
#[allow(unsafe_code)]
mod live;
#[allow(unsafe_code)]
mod mapped_file;
mod page;
#[allow(unsafe_code)]
mod reclaim;
mod region;
#[allow(unsafe_code)]
mod shared;
mod sync;
mod table;
mod table_memory;
mod zero;

pub use address_space::{
    Access, AddressSpace, Backing, Fault, Mapped, PageSource, Protection, Resolved, Signal,
    SourcePage, SpaceError, WritablePage,
};
pub use error::{PoolError, TableError};
pub use frame::{
    Arena, Frame, FrameMetadata, FrameMut, FrameNumber, FramePool, FrameRef, FrameRun, HeldFrame,
    PageMut, PlacedFrame, PlacedRef, PoolConfig, PoolCounters,
};
pub use live::{
    FaultHandler, FaultMechanism, LiveError, LiveRange, MappedMemory, Section, Unresolvable,
    is_mapped,
};
pub use mapped_file::MappedFile;
pub use page::{PAGE_SIZE, Page};
pub use region::{Found, LastLookup, RegionError, RegionIter, RegionValue, Regions, Uniform};
pub use table::{
    Content, ContentRef, Entry, EntryIter, EntryMark, EntryRef, HeldEntry, MAX_PAGES, PageTable,
    ReadSection, SLOTS, TableCounts, TableReader, Tag, TagSet, TaggedRuns,
};
pub use zero::{MAX_COLOURS, ZeroPages, is_zero_page};
