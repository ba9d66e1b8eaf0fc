//! The memory that a program gets.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::range::Section;
use super::{FaultHandler, FaultMechanism, LiveError, LiveRange};
use crate::PAGE_SIZE;
use crate::shared::SharedBytes;

/// Mapped memory of a program. Unmaps it when dropped.
///
/// # Using it
///
/// The bytes are shared: with other mappings of the same pages, and with the cache, which reads and
/// writes them on behalf of others. So they are read and written as atomics (see
/// [`word`](Self::word), [`load`](Self::load), [`store`](Self::store)); who knows that nobody else
/// writes there may make slices ([`slice`](Self::slice), [`slice_mut`](Self::slice_mut)).
///
/// An access beyond the end of what is mapped, or to a page that cannot be had, raises SIGBUS, as
/// with any mapped file.
#[derive(Debug)]
pub struct MappedMemory {
    range: Arc<LiveRange>,
}

impl MappedMemory {
    /// Maps sections of arenas, one after the other; `end` pages of them are there at first. What
    /// they show is up to `handler`.
    pub fn new(
        sections: Vec<Section>,
        writable: bool,
        mechanism: FaultMechanism,
        handler: Arc<dyn FaultHandler>,
        end: u64,
    ) -> Result<Self, LiveError> {
        Ok(Self { range: LiveRange::new(sections, writable, mechanism, handler, end)? })
    }

    /// The range, for whoever decides what it shows.
    pub fn range(&self) -> &Arc<LiveRange> {
        &self.range
    }

    /// Bytes of the range.
    pub fn len(&self) -> usize {
        self.range.pages() as usize * PAGE_SIZE
    }

    /// Whether it has no bytes; it always has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Address of the first byte. To use it is subject to what the type's documentation says.
    pub fn as_ptr(&self) -> *mut u8 {
        self.range.start()
    }

    /// The word at an offset that is a multiple of 8; `None` for others, and beyond the range.
    pub fn word(&self, offset: usize) -> Option<&AtomicU64> {
        self.bytes().atomic_word(offset)
    }

    /// Copies bytes out, from `offset` on, and says how many: fewer only at the end of the range.
    pub fn load(&self, offset: usize, target: &mut [u8]) -> usize {
        self.bytes().load(offset, target)
    }

    /// Copies bytes in, from `offset` on, and says how many: fewer only at the end of the range.
    /// What is stored beyond the file's end within its last page is not kept.
    pub fn store(&self, offset: usize, source: &[u8]) -> usize {
        self.bytes().store(offset, source)
    }

    /// The memory as a slice.
    ///
    /// # Safety
    ///
    /// While the slice is used nobody writes those bytes: not through another mapping or slice, and
    /// not by writing or truncating the file. No function of this library is given a part of it
    /// except as data to read or write.
    pub unsafe fn slice(&self) -> &[u8] {
        // SAFETY: the addresses belong to the mapping for as long as it is borrowed; that nobody
        // writes is the caller's promise.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len()) }
    }

    /// The memory as a slice, to write it.
    ///
    /// # Safety
    ///
    /// As [`slice`](Self::slice), and nobody else reads those bytes by a slice of their own either.
    /// That the cache reads them, to make them durable, is all right. The range is writable.
    pub unsafe fn slice_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; the mapping is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.as_ptr(), self.len()) }
    }

    fn bytes(&self) -> SharedBytes<'_> {
        // SAFETY: the addresses belong to the mapping for as long as it is borrowed, and are
        // page-aligned; an access that is not allowed does not happen, but raises a signal.
        // References that are not to atomics are only made by those who promised that nobody else
        // is there.
        unsafe { SharedBytes::new(self.as_ptr(), self.len()) }
    }
}

impl Drop for MappedMemory {
    fn drop(&mut self) {
        self.range.close();
    }
}
