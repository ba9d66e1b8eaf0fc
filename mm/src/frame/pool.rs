//! The pool: memory for a bounded number of frames, and who has which.

use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, SealFlags};
use zerocopy::FromZeros;

use super::arena::{Directory, FIRST_NUMBER};
use super::free_map::{FreeMap, WORD_FRAMES};
use super::{Frame, FrameMetadata, FrameMut, FrameRun, PlacedFrame};
use crate::table_memory::TableMemory;
use crate::{PAGE_SIZE, Page, PoolError};

/// Number of a frame in its pool, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameNumber(pub(crate) u32);

impl FrameNumber {
    /// Whether the frame is in an arena.
    pub(crate) fn is_placed(self) -> bool {
        self.0 >= FIRST_NUMBER
    }

    /// The number as an index, below [`FramePool::frames`].
    pub fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// How to make a [`FramePool`].
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Memory for frames, in bytes; rounded down to whole frames. It is backed when it is first
    /// touched.
    pub bytes: u64,
    /// Free frames below which evictors should start; by default a sixteenth of the pool.
    pub low_watermark_frames: usize,
    /// Free frames at which they may stop; by default an eighth of the pool.
    pub high_watermark_frames: usize,
    /// Memory that the page tables over the pool may use, in bytes; by default half of the pool,
    /// and 16 MiB at least.
    pub table_bytes: usize,
}

impl PoolConfig {
    /// The defaults for a pool of that many bytes.
    pub fn new(bytes: u64) -> Self {
        let bytes_in_memory = usize::try_from(bytes).unwrap_or(usize::MAX);
        let frames = bytes_in_memory / PAGE_SIZE;
        Self {
            bytes,
            low_watermark_frames: frames / 16,
            high_watermark_frames: frames / 8,
            table_bytes: (bytes_in_memory / 2).max(16 << 20),
        }
    }
}

/// What a pool has done and has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolCounters {
    /// Frames of the pool.
    pub frames: usize,
    /// Frames that are free now.
    pub free_frames: usize,
    /// The most frames that were in use at once.
    pub peak_used_frames: usize,
    /// Allocations that found nothing free.
    pub exhausted: u64,
    /// Bytes page tables use or have reserved.
    pub table_bytes: usize,
    /// The most bytes page tables used or had reserved at once.
    pub peak_table_bytes: usize,
    /// Bytes that page tables gave up but that are not freed yet, since readers without a lock may
    /// be looking at them.
    pub retired_table_bytes: usize,
}

/// A bounded pool of page frames over one shared memory mapping.
///
/// All methods may be called from any thread; none takes a lock.
pub struct FramePool {
    memory: MmapRaw,
    /// Keeps the memory reachable for further mappings of it.
    memfd: OwnedFd,
    metadata: Box<[FrameMetadata]>,
    free: FreeMap,
    low_watermark_frames: usize,
    high_watermark_frames: usize,
    peak_used_frames: AtomicUsize,
    exhausted: AtomicU64,
    tables: Arc<TableMemory>,
    arenas: Directory,
}

impl FramePool {
    /// Makes a pool.
    pub fn new(config: &PoolConfig) -> Result<Arc<Self>, PoolError> {
        let frames = frame_count(config.bytes)?;
        let bytes = frames * PAGE_SIZE;
        let (memory, memfd) = shared_memory(bytes)?;
        let metadata = <[FrameMetadata]>::new_box_zeroed_with_elems(frames)
            .map_err(|_| bad_size(config.bytes))?;
        Ok(Arc::new(Self {
            memory,
            memfd,
            metadata,
            free: FreeMap::new(frames),
            low_watermark_frames: config.low_watermark_frames,
            high_watermark_frames: config.high_watermark_frames,
            peak_used_frames: AtomicUsize::new(0),
            exhausted: AtomicU64::new(0),
            tables: Arc::new(TableMemory::new(config.table_bytes)),
            arenas: Directory::new(),
        }))
    }

    /// Takes a frame. Its bytes are whatever its last user left: fill all of it before anybody sees
    /// it.
    pub fn allocate(self: &Arc<Self>) -> Result<FrameMut, PoolError> {
        let taken = self.free.take().ok_or_else(|| self.report_exhausted())?;
        let number = self.hand_out(taken);
        // SAFETY: `hand_out` gave the frame one count, which the handle now stands for.
        let frame = unsafe { Frame::from_count(Arc::clone(self), number) };
        Ok(FrameMut::new(frame))
    }

    /// Takes a frame and fills it with zeros.
    pub fn allocate_zeroed(self: &Arc<Self>) -> Result<FrameMut, PoolError> {
        let mut frame = self.allocate()?;
        frame.fill(0);
        Ok(frame)
    }

    /// Takes a frame and copies the page into it.
    pub fn allocate_copy(self: &Arc<Self>, page: &Page) -> Result<FrameMut, PoolError> {
        let mut frame = self.allocate()?;
        *frame = *page;
        Ok(frame)
    }

    /// Takes up to `wanted` frames that lie side by side in memory, with the bytes their last users
    /// left. Fewer if that is what can be had; never more than [`FrameRun::MAX_FRAMES`].
    pub fn allocate_run(self: &Arc<Self>, wanted: usize) -> Result<FrameRun, PoolError> {
        self.run_of(self.free.take_run(wanted.max(1))).ok_or_else(|| self.report_exhausted())
    }

    /// The handle to frames that were just taken; `None` if there are none.
    fn run_of(self: &Arc<Self>, taken: Range<usize>) -> Option<FrameRun> {
        let count = taken.len();
        let first = taken.map(|frame| self.hand_out(frame)).reduce(|first, _| first)?;
        // SAFETY: `hand_out` gave each of these frames one count, which the run now stands for.
        Some(unsafe { FrameRun::from_counts(Arc::clone(self), first, count) })
    }

    /// Frames of the pool.
    pub fn frames(&self) -> usize {
        self.metadata.len()
    }

    /// Frames that are free now.
    pub fn free_frames(&self) -> usize {
        self.free.free()
    }

    /// Whether evictors should start: fewer frames are free than the low watermark says.
    pub fn is_low(&self) -> bool {
        self.free_frames() < self.low_watermark_frames
    }

    /// Frames missing to the high watermark; at 0 evictors may stop.
    pub fn shortfall_frames(&self) -> usize {
        self.high_watermark_frames.saturating_sub(self.free_frames())
    }

    /// What the pool knows of that frame, in use or not; `None` beyond the last. For evictors that
    /// walk the pool.
    pub fn metadata(&self, frame: usize) -> Option<&FrameMetadata> {
        self.metadata.get(frame)
    }

    /// The counters of the pool.
    pub fn counters(&self) -> PoolCounters {
        PoolCounters {
            frames: self.frames(),
            free_frames: self.free_frames(),
            peak_used_frames: self.peak_used_frames.load(Ordering::Relaxed),
            exhausted: self.exhausted.load(Ordering::Relaxed),
            table_bytes: self.tables.used_bytes(),
            peak_table_bytes: self.tables.peak_bytes(),
            retired_table_bytes: self.tables.retired_bytes(),
        }
    }

    /// Takes the promise of a frame without taking one: for a page in an arena, which uses as much
    /// memory.
    pub(super) fn take_promise(&self) -> Result<(), PoolError> {
        if self.free.take_promise() { Ok(()) } else { Err(self.report_exhausted()) }
    }

    /// Gives such a promise back.
    pub(super) fn give_promise_back(&self) {
        self.free.add_promise();
    }

    /// Takes a frame in exchange for a placed one, whose place is given up. Fails only if somebody
    /// else has a handle of it.
    pub fn displace(self: &Arc<Self>, placed: PlacedFrame) -> Result<FrameMut, PoolError> {
        let page = placed.as_ref().to_page();
        // SAFETY: the handle stood for the count, and is gone.
        let was_last = unsafe { self.arenas.release(placed.into_count()) };
        // The promise of the place is as good as one of ours.
        let taken = if was_last { Some(self.free.take_promised()) } else { self.free.take() };
        let number = self.hand_out(taken.ok_or_else(|| self.report_exhausted())?);
        // SAFETY: `hand_out` gave the frame one count, which the handle now stands for.
        let frame = unsafe { Frame::from_count(Arc::clone(self), number) };
        let mut frame = FrameMut::new(frame);
        *frame = page;
        Ok(frame)
    }

    /// Where its arenas are.
    pub(super) fn arenas(&self) -> &Directory {
        &self.arenas
    }

    /// What page tables over this pool may use.
    pub(crate) fn tables(&self) -> &Arc<TableMemory> {
        &self.tables
    }

    /// Gives the memory behind frames that are free back to the system, and says how many frames
    /// that were.
    pub fn release_free_memory(self: &Arc<Self>) -> Result<usize, PoolError> {
        let mut released = 0;
        for word in 0..self.free.words() {
            // All runs of the word are held until none is left, or the first one would be found
            // again.
            let mut runs = Vec::new();
            while let Some(run) = self.run_of(self.free.take_run_of(word)) {
                runs.push(run);
            }
            runs.iter_mut().try_for_each(|run| self.punch(run))?;
            released += runs.iter().map(|run| run.len()).sum::<usize>();
        }
        Ok(released)
    }

    /// Drops the memory behind a run, which is borrowed so that nobody reads it meanwhile; it reads
    /// as zeros from then on.
    fn punch(&self, run: &mut FrameRun) -> Result<(), PoolError> {
        use rustix::fs::FallocateFlags as Flags;
        let offset = (run.first().as_usize() * PAGE_SIZE) as u64;
        let length = (run.len() * PAGE_SIZE) as u64;
        rustix::fs::fallocate(&self.memfd, Flags::PUNCH_HOLE | Flags::KEEP_SIZE, offset, length)
            .map_err(|error| PoolError::System { operation: "fallocate", source: error.into() })
    }

    /// Address of the frame's bytes.
    pub(super) fn address(&self, number: FrameNumber) -> *mut Page {
        if number.is_placed() {
            // SAFETY: the number of a placed frame is only used by those who have a count of it.
            return unsafe { self.arenas.address(number) };
        }
        // In bounds: a number is only made from an index the free map gave out, so it is below
        // `frames`.
        self.memory.as_mut_ptr().cast::<Page>().wrapping_add(number.as_usize())
    }

    /// The words of the frame.
    pub(super) fn words(&self, number: FrameNumber) -> &FrameMetadata {
        if number.is_placed() {
            // SAFETY: as in `address`; the borrow is used by them only.
            return unsafe { self.arenas.words(number) };
        }
        &self.metadata[number.as_usize()]
    }

    /// Makes one more count of a frame.
    ///
    /// # Safety
    ///
    /// The caller holds a count of the frame, or borrows it from somebody who does; and it makes
    /// sure that the new count is given up through [`release`](Self::release) at most once.
    pub(super) unsafe fn retain(&self, number: FrameNumber) {
        self.words(number).count.retain();
    }

    /// Gives up a count of a frame, and frees it if that was the last.
    ///
    /// # Safety
    ///
    /// The caller holds a count of the frame and forgets it with this call.
    pub(super) unsafe fn release(&self, number: FrameNumber) {
        if number.is_placed() {
            // SAFETY: passed on to our caller.
            if unsafe { self.arenas.release(number) } {
                self.free.add_promise();
            }
            return;
        }
        if self.words(number).count.release() {
            let frame = number.as_usize();
            self.free.give_back(frame..frame + 1);
        }
    }

    /// Whether the caller, who holds a count of the frame, holds the only one.
    pub(super) fn is_alone(&self, number: FrameNumber) -> bool {
        self.words(number).count.is_alone()
    }

    /// Gives a frame that was just taken its first count.
    fn hand_out(&self, frame: usize) -> FrameNumber {
        self.metadata[frame].reset();
        let used = self.frames() - self.free_frames();
        if used > self.peak_used_frames.load(Ordering::Relaxed) {
            self.peak_used_frames.fetch_max(used, Ordering::Relaxed);
        }
        // `frame_count` keeps every index within 32 bits.
        FrameNumber(frame as u32)
    }

    #[cold]
    fn report_exhausted(&self) -> PoolError {
        self.exhausted.fetch_add(1, Ordering::Relaxed);
        PoolError::Exhausted { frames: self.frames() }
    }
}

impl std::fmt::Debug for FramePool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FramePool").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

/// Frames that fit in so many bytes.
fn frame_count(bytes: u64) -> Result<usize, PoolError> {
    let frames = bytes / PAGE_SIZE as u64;
    if frames < WORD_FRAMES as u64 || frames > max_frames() {
        return Err(bad_size(bytes));
    }
    usize::try_from(frames).map_err(|_| bad_size(bytes))
}

/// The most frames: their numbers stay below those of arenas, and all their bytes in an `isize`.
fn max_frames() -> u64 {
    u64::from(FIRST_NUMBER).min(isize::MAX as u64 / PAGE_SIZE as u64)
}

fn bad_size(bytes: u64) -> PoolError {
    let page = PAGE_SIZE as u64;
    PoolError::BadSize { bytes, minimum: WORD_FRAMES as u64 * page, maximum: max_frames() * page }
}

/// A mapping of so many bytes, all zero, and what it maps. Both stay as they are.
#[cfg(not(miri))]
fn shared_memory(bytes: usize) -> Result<(MmapRaw, OwnedFd), PoolError> {
    let memfd = sealed_memfd(bytes as u64)?;
    let memory = MmapOptions::new()
        .len(bytes)
        .map_raw(&memfd)
        .map_err(|source| PoolError::System { operation: "mmap", source })?;
    Ok((memory, memfd))
}

/// The same for the interpreter, which knows no memfd: private memory, and a file that stands in.
#[cfg(miri)]
fn shared_memory(bytes: usize) -> Result<(MmapRaw, OwnedFd), PoolError> {
    let memory = MmapOptions::new().len(bytes).map_anon();
    let memory = memory.map_err(|source| PoolError::System { operation: "mmap", source })?;
    let stand_in = std::fs::File::open("/dev/null");
    let stand_in = stand_in.map_err(|source| PoolError::System { operation: "open", source })?;
    Ok((MmapRaw::from(memory), stand_in.into()))
}

/// Anonymous memory that cannot be shrunk under its mapping.
pub(super) fn sealed_memfd(bytes: u64) -> Result<OwnedFd, PoolError> {
    let failed = |operation| {
        move |error: rustix::io::Errno| PoolError::System { operation, source: error.into() }
    };
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memfd =
        rustix::fs::memfd_create("braidfs-frames", flags).map_err(failed("memfd_create"))?;
    rustix::fs::ftruncate(&memfd, bytes).map_err(failed("ftruncate"))?;
    rustix::fs::fcntl_add_seals(&memfd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)
        .map_err(failed("fcntl"))?;
    Ok(memfd)
}
