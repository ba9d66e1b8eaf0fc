//! Handles to frames in an [`Arena`](super::Arena), whose bytes a program may change at any time.
//!
//! Such bytes are never borrowed, but copied in and out (see [`shared`](crate::shared)).

use std::mem::ManuallyDrop;
use std::sync::Arc;

use super::{FrameMetadata, FrameNumber, FramePool};
use crate::shared::SharedBytes;
use crate::{PAGE_SIZE, Page};

/// A counted handle to a placed frame.
pub struct PlacedFrame {
    pool: Arc<FramePool>,
    number: FrameNumber,
}

impl PlacedFrame {
    /// Makes a handle of a count.
    ///
    /// # Safety
    ///
    /// The frame is in an arena of this pool, and the caller holds a count of it, which it gives to
    /// the handle.
    pub(super) unsafe fn from_count(pool: Arc<FramePool>, number: FrameNumber) -> Self {
        Self { pool, number }
    }

    /// Takes the count out of the handle: whoever gets the number holds it.
    pub(super) fn into_count(self) -> FrameNumber {
        let frame = ManuallyDrop::new(self);
        // SAFETY: the handle is never used or dropped again, so the pool is moved out of it once
        // only.
        drop(unsafe { std::ptr::read(&frame.pool) });
        frame.number
    }

    /// A borrowed handle to the same frame.
    pub fn as_ref(&self) -> PlacedRef<'_> {
        PlacedRef { pool: &self.pool, number: self.number }
    }

    /// Whether the frame belongs to that pool.
    pub(super) fn is_of(&self, pool: &Arc<FramePool>) -> bool {
        Arc::ptr_eq(&self.pool, pool)
    }
}

impl Clone for PlacedFrame {
    fn clone(&self) -> Self {
        self.as_ref().to_frame()
    }
}

impl Drop for PlacedFrame {
    fn drop(&mut self) {
        // SAFETY: the handle stands for one count, and nobody uses the handle after this.
        unsafe { self.pool.release(self.number) }
    }
}

impl std::fmt::Debug for PlacedFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// A placed frame borrowed from somebody who holds a count of it.
#[derive(Clone, Copy)]
pub struct PlacedRef<'a> {
    pool: &'a Arc<FramePool>,
    number: FrameNumber,
}

impl<'a> PlacedRef<'a> {
    /// Borrows a frame.
    ///
    /// # Safety
    ///
    /// The frame is in an arena of this pool, and for `'a` somebody holds a count of it.
    pub(super) unsafe fn from_borrow(pool: &'a Arc<FramePool>, number: FrameNumber) -> Self {
        Self { pool, number }
    }

    /// The words beside the frame.
    pub fn metadata(self) -> &'a FrameMetadata {
        self.pool.words(self.number)
    }

    /// A counted handle to the frame, which may outlive this borrow.
    pub fn to_frame(self) -> PlacedFrame {
        // SAFETY: a count is held for the borrow, so the frame is in use; the new count goes into
        // the handle.
        unsafe {
            self.pool.retain(self.number);
            PlacedFrame::from_count(Arc::clone(self.pool), self.number)
        }
    }

    /// Copies bytes out, from `start` on. Those beyond the page are left as they are.
    pub fn load(self, start: usize, target: &mut [u8]) {
        self.bytes().load(start, target);
    }

    /// Copies bytes in, from `start` on. Those beyond the page are left out.
    pub fn store(self, start: usize, source: &[u8]) {
        self.bytes().store(start, source);
    }

    /// A copy of the whole page.
    pub fn to_page(self) -> Page {
        let mut page = [0; PAGE_SIZE];
        self.load(0, &mut page);
        page
    }

    fn bytes(self) -> SharedBytes<'a> {
        let start = self.pool.address(self.number).cast();
        // SAFETY: a count is held for `'a`, which keeps the frame's memory, a page of a mapping that
        // is valid for reads and writes. Nobody of us makes a reference to it: numbers of placed
        // frames only ever get into this type.
        unsafe { SharedBytes::new(start, PAGE_SIZE) }
    }
}

impl std::fmt::Debug for PlacedRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlacedFrame").field("number", &self.number.0).finish_non_exhaustive()
    }
}
