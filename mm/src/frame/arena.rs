//! Arenas: frames whose place in memory is fixed, for pages that a program maps.
//!
//! A virtual page that a program sees maps one page of a memfd for good: to remap pages one by one
//! would cost a kernel mapping each, and there may be 65,530 of them. So a mapped file gets arenas
//! of its own, [`Arena::PAGES`] frames side by side in a sparse memfd, in which the frame of a page
//! follows from its index. An arena takes no memory until a page is [placed](Arena::place) in it,
//! and gives it back when the last count of the frame goes. A placed frame counts against the
//! budget of the pool: it takes the promise of a frame (see [`FreeMap`](super::free_map)) without
//! taking the frame.
//!
//! # Invariants
//!
//! * Numbers from [`FIRST_NUMBER`] on are those of placed frames; the bits above the index within
//!   an arena say which slot of the [`Directory`] it is in.
//! * A slot holds its arena as long as somebody has a count of one of its frames, or its handle.
//! * A frame is free (count 0) only when its memory was given back, so what is placed next starts
//!   from zeros, and no mapping of the arena still shows what was there.
//! * Bytes of placed frames may be changed by whoever maps the arena, at any time. They are read
//!   and written as atomics only, and no reference to them is ever made (see
//!   [`PlacedRef`](super::PlacedRef)).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::FallocateFlags;
use rustix::mm::Advice;
use zerocopy::FromZeros;

use super::pool::{FrameNumber, FramePool, sealed_memfd};
use super::{FrameMetadata, PlacedFrame};
use crate::{PAGE_SIZE, Page, PoolError};

/// The number of the first placed frame; numbers below are those of the pool's own frames.
pub(super) const FIRST_NUMBER: u32 = 1 << 31;
/// Bits of a number that say where in its arena the frame is.
const INDEX_BITS: u32 = 18;
/// Arenas that a pool may have.
const SLOTS: usize = ((u32::MAX - FIRST_NUMBER) >> INDEX_BITS) as usize + 1;

/// The memory of an arena.
pub(super) struct ArenaMemory {
    memory: MmapRaw,
    memfd: OwnedFd,
    metadata: Box<[FrameMetadata]>,
    /// Handles of the arena, and frames with a count.
    users: AtomicUsize,
}

impl ArenaMemory {
    fn new() -> Result<Self, PoolError> {
        let bytes = Arena::PAGES * PAGE_SIZE;
        let memfd = sealed_memfd(bytes as u64)?;
        let memory = MmapOptions::new()
            .len(bytes)
            .map_raw(&memfd)
            .map_err(|source| PoolError::System { operation: "mmap", source })?;
        let metadata = <[FrameMetadata]>::new_box_zeroed_with_elems(Arena::PAGES)
            .map_err(|_| PoolError::TooManyArenas)?;
        Ok(Self { memory, memfd, metadata, users: AtomicUsize::new(1) })
    }

    /// Gives the memory of frames back; whoever maps them sees nothing there any more.
    fn punch(&self, first: usize, count: usize) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let (offset, length) = ((first * PAGE_SIZE) as u64, (count * PAGE_SIZE) as u64);
        let punched = rustix::fs::fallocate(&self.memfd, flags, offset, length);
        // The range is within a memfd that is not sealed against it: there is nothing to refuse.
        debug_assert!(punched.is_ok(), "punching {count} frames: {punched:?}");
    }
}

/// Where the arenas of a pool are.
pub(super) struct Directory {
    slots: Box<[AtomicPtr<ArenaMemory>]>,
}

impl Directory {
    pub(super) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| AtomicPtr::new(ptr::null_mut())).collect() }
    }

    /// Puts an arena in a free slot, and says which.
    fn add(&self, memory: ArenaMemory) -> Result<usize, PoolError> {
        let memory = Box::into_raw(Box::new(memory));
        for (slot, place) in self.slots.iter().enumerate() {
            let free = ptr::null_mut();
            let put = place.compare_exchange(free, memory, Ordering::AcqRel, Ordering::Relaxed);
            if put.is_ok() {
                return Ok(slot);
            }
        }
        // SAFETY: the pointer comes from the box above, and nobody else has seen it.
        drop(unsafe { Box::from_raw(memory) });
        Err(PoolError::TooManyArenas)
    }

    /// The arena in a slot.
    ///
    /// # Safety
    ///
    /// For as long as the borrow is used, somebody has the handle of that arena, or a count of one
    /// of its frames.
    unsafe fn get(&self, slot: usize) -> &ArenaMemory {
        // Acquire: pairs with the release of `add`.
        let memory = self.slots[slot].load(Ordering::Acquire);
        // SAFETY: the slot holds its arena while it is in use, which the caller promises it is.
        unsafe { &*memory }
    }

    /// Takes note that one user of an arena is gone, and takes it down after the last.
    ///
    /// # Safety
    ///
    /// The caller is a user of that arena, and is none after this.
    unsafe fn leave(&self, slot: usize) {
        // SAFETY: the caller is a user until the count goes down.
        let users = unsafe { &self.get(slot).users };
        if users.fetch_sub(1, Ordering::AcqRel) == 1 {
            let memory = self.slots[slot].swap(ptr::null_mut(), Ordering::AcqRel);
            // SAFETY: the pointer came from a box in `add`; the last user is gone, new ones are only
            // made by users, and the swap took the pointer out once.
            drop(unsafe { Box::from_raw(memory) });
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Handles and frames keep the pool alive, and with it the directory.
        debug_assert!(self.slots.iter().all(|slot| slot.load(Ordering::Relaxed).is_null()));
    }
}

/// Which slot a number of a placed frame is in, and where there.
fn split(number: FrameNumber) -> (usize, usize) {
    let within = (number.0 - FIRST_NUMBER) as usize;
    (within >> INDEX_BITS, within % Arena::PAGES)
}

/// What the pool does with the numbers of placed frames.
impl Directory {
    /// Address of the frame's bytes.
    ///
    /// # Safety
    ///
    /// Somebody has a count of the frame.
    pub(super) unsafe fn address(&self, number: FrameNumber) -> *mut Page {
        let (slot, index) = split(number);
        // SAFETY: the count makes its holder a user of the arena.
        let memory = unsafe { self.get(slot) };
        // In bounds: `split` keeps the index below the frames of an arena.
        memory.memory.as_mut_ptr().cast::<Page>().wrapping_add(index)
    }

    /// The words of the frame.
    ///
    /// # Safety
    ///
    /// Somebody has a count of the frame for as long as the borrow is used.
    pub(super) unsafe fn words(&self, number: FrameNumber) -> &FrameMetadata {
        let (slot, index) = split(number);
        // SAFETY: the count makes its holder a user of the arena.
        unsafe { &self.get(slot).metadata[index] }
    }

    /// Gives up a count of a frame; says whether that was the last one. Then the memory is given
    /// back.
    ///
    /// # Safety
    ///
    /// The caller holds a count of the frame and forgets it with this call.
    pub(super) unsafe fn release(&self, number: FrameNumber) -> bool {
        let (slot, index) = split(number);
        // SAFETY: the caller's count makes it a user of the arena until the count is given up.
        let memory = unsafe { self.get(slot) };
        let count = &memory.metadata[index].count;
        // Whoever holds the only count is alone with the frame: others are only made from it.
        if count.release_unless_last() {
            return false;
        }
        // First the memory, then the count: else it could be placed anew in between.
        memory.punch(index, 1);
        count.end();
        // SAFETY: the frame was a user because it had a count, and has none now.
        unsafe { self.leave(slot) };
        true
    }
}

/// A run of places for the pages of a file that is mapped; see the module.
pub struct Arena {
    pool: Arc<FramePool>,
    slot: usize,
}

impl Arena {
    /// Frames of an arena: 1 GiB.
    pub const PAGES: usize = 1 << INDEX_BITS;

    /// An arena without any page in it. It takes address space, and no memory to speak of.
    pub fn new(pool: &Arc<FramePool>) -> Result<Arc<Self>, PoolError> {
        let slot = pool.arenas().add(ArenaMemory::new()?)?;
        Ok(Arc::new(Self { pool: Arc::clone(pool), slot }))
    }

    /// Fills the place of that index, with zeros or a copy of a page, and hands out its frame.
    ///
    /// # Errors
    ///
    /// `Exhausted` if the pool has no frame to spare, `Occupied` if there is a frame already.
    pub fn place(&self, index: usize, page: Option<&Page>) -> Result<PlacedFrame, PoolError> {
        let memory = self.memory();
        let metadata = memory.metadata.get(index).ok_or(PoolError::Occupied { index })?;
        if metadata.references() > 0 {
            return Err(PoolError::Occupied { index });
        }
        self.pool.take_promise()?;
        // The first to count the frame has it.
        if !metadata.count.try_begin() {
            self.pool.give_promise_back();
            return Err(PoolError::Occupied { index });
        }
        metadata.reset();
        memory.users.fetch_add(1, Ordering::Relaxed);
        let number = FIRST_NUMBER + ((self.slot << INDEX_BITS) | index) as u32;
        // SAFETY: the frame is of this pool, has one count, which goes into the handle, and made
        // the frame a user of the arena.
        let frame = unsafe { PlacedFrame::from_count(Arc::clone(&self.pool), FrameNumber(number)) };
        match page {
            Some(page) => frame.as_ref().store(0, page),
            // What was given back is zeros; the store is for the memory to be there, to be shown.
            None => frame.as_ref().store(0, &[0]),
        }
        Ok(frame)
    }

    /// Has the system make memory for places that are about to be filled, all at once: cheaper than
    /// a fault for each. A hint.
    pub fn prepare(&self, first: usize, count: usize) {
        let count = count.min(Self::PAGES.saturating_sub(first));
        let start = self.memory().memory.as_mut_ptr().wrapping_add(first * PAGE_SIZE);
        // SAFETY: the range is within the mapping, which stays; populating changes no bytes.
        let _ = unsafe {
            rustix::mm::madvise(start.cast(), count * PAGE_SIZE, Advice::LinuxPopulateWrite)
        };
    }

    /// Whether there is a frame in that place.
    pub fn is_occupied(&self, index: usize) -> bool {
        self.metadata(index).is_some_and(|metadata| metadata.references() > 0)
    }

    /// What is known of the frame in that place, if there is one or not; `None` beyond the last.
    pub fn metadata(&self, index: usize) -> Option<&FrameMetadata> {
        self.memory().metadata.get(index)
    }

    /// The memory, to map it.
    pub(crate) fn memfd(&self) -> BorrowedFd<'_> {
        self.memory().memfd.as_fd()
    }

    fn memory(&self) -> &ArenaMemory {
        // SAFETY: the handle is a user of its arena.
        unsafe { self.pool.arenas().get(self.slot) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the handle was counted as a user when the arena was made, and ends here.
        unsafe { self.pool.arenas().leave(self.slot) }
    }
}

impl std::fmt::Debug for Arena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arena").field("slot", &self.slot).finish_non_exhaustive()
    }
}
