//! A range of addresses, and what lies there: places of arenas, or an empty file.

use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;

use rustix::fs::MemfdFlags;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};

use super::LiveError;
use crate::PAGE_SIZE;

/// Addresses that are ours until this is dropped. They are page-aligned.
pub(super) struct Place {
    start: *mut u8,
    pages: usize,
    /// A file without content: a mapping of it raises SIGBUS.
    empty: OwnedFd,
}

// SAFETY: the pointer is an address range that belongs to this value; nothing is ever read or
// written through it here, and the kernel orders changes of mappings.
unsafe impl Send for Place {}
// SAFETY: as above.
unsafe impl Sync for Place {}

impl Place {
    /// Takes addresses for so many pages, all of which raise SIGBUS for now.
    pub(super) fn new(pages: usize) -> Result<Self, LiveError> {
        let empty = rustix::fs::memfd_create("braidfs-nothing", MemfdFlags::CLOEXEC)
            .map_err(LiveError::of("memfd_create"))?;
        // SAFETY: the kernel chooses addresses where nothing is.
        let start = unsafe {
            rustix::mm::mmap(
                ptr::null_mut(),
                pages * PAGE_SIZE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &empty,
                0,
            )
        };
        let start = start.map_err(LiveError::of("mmap"))?.cast();
        let place = Self { start, pages, empty };
        place.keep_from_children(0..pages)?;
        Ok(place)
    }

    /// Pages there are.
    pub(super) fn pages(&self) -> usize {
        self.pages
    }

    /// Address of the first byte.
    pub(super) fn start(&self) -> *mut u8 {
        self.start
    }

    /// The addresses of some pages.
    pub(super) fn addresses(&self, pages: &Range<usize>) -> Range<usize> {
        let start = self.start.addr();
        start + pages.start * PAGE_SIZE..start + pages.end * PAGE_SIZE
    }

    /// Puts pages of a file there, from `first` on. Nothing of them may be touched until they are
    /// [protected](Self::protect) otherwise.
    pub(super) fn put(
        &self,
        pages: Range<usize>,
        file: BorrowedFd<'_>,
        first: usize,
    ) -> Result<(), LiveError> {
        self.map_over(pages, ProtFlags::empty(), file, first)
    }

    /// Puts the empty file there: whoever touches the pages gets SIGBUS.
    pub(super) fn put_nothing(&self, pages: Range<usize>) -> Result<(), LiveError> {
        self.map_over(pages, ProtFlags::READ | ProtFlags::WRITE, self.empty.as_fd(), 0)
    }

    fn map_over(
        &self,
        pages: Range<usize>,
        protection: ProtFlags,
        file: BorrowedFd<'_>,
        first: usize,
    ) -> Result<(), LiveError> {
        let (address, length) = self.part(&pages);
        // SAFETY: the addresses belong to this value. What was mapped there is the program's, which
        // was told by `MappedMemory` that pages may come and go.
        let mapped = unsafe {
            let flags = MapFlags::SHARED | MapFlags::FIXED;
            let offset = (first * PAGE_SIZE) as u64;
            rustix::mm::mmap(address.cast(), length, protection, flags, file, offset)
        };
        mapped.map_err(LiveError::of("mmap"))?;
        self.keep_from_children(pages)
    }

    /// Says what may be done to pages.
    pub(super) fn protect(
        &self,
        pages: Range<usize>,
        flags: MprotectFlags,
    ) -> Result<(), LiveError> {
        let (address, length) = self.part(&pages);
        // SAFETY: the addresses belong to this value, and no code of ours relies on what may be done
        // there.
        unsafe { rustix::mm::mprotect(address.cast(), length, flags) }
            .map_err(LiveError::of("mprotect"))
    }

    /// Forgets what is shown of pages of arenas; their memory stays.
    pub(super) fn zap(&self, pages: Range<usize>) -> Result<(), LiveError> {
        self.advise(&pages, Advice::LinuxDontNeed)
    }

    fn keep_from_children(&self, pages: Range<usize>) -> Result<(), LiveError> {
        self.advise(&pages, Advice::LinuxDontFork)?;
        // A kernel without huge pages refuses, and is right.
        let _ = self.advise(&pages, Advice::LinuxNoHugepage);
        Ok(())
    }

    fn advise(&self, pages: &Range<usize>, advice: Advice) -> Result<(), LiveError> {
        let (address, length) = self.part(pages);
        // SAFETY: the addresses belong to this value; of a shared mapping no advice given here loses
        // bytes, which are the file's.
        unsafe { rustix::mm::madvise(address.cast(), length, advice) }
            .map_err(LiveError::of("madvise"))
    }

    /// Address and length of some pages, cut to what there is.
    fn part(&self, pages: &Range<usize>) -> (*mut u8, usize) {
        let (start, end) = (pages.start.min(self.pages), pages.end.min(self.pages));
        (self.start.wrapping_add(start * PAGE_SIZE), end.saturating_sub(start) * PAGE_SIZE)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // SAFETY: the addresses belong to this value, which ends here; the program was told by
        // `MappedMemory` not to use them any more.
        let unmapped = unsafe { rustix::mm::munmap(self.start.cast(), self.pages * PAGE_SIZE) };
        debug_assert!(unmapped.is_ok(), "munmap: {unmapped:?}");
    }
}
