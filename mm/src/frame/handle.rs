//! Handles to single frames: shared, exclusive, borrowed.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::{FrameMetadata, FrameNumber, FramePool};
use crate::Page;

/// A counted, shared handle to a frame. Reads as its page; can be written only while it is the only
/// one.
pub struct Frame {
    pool: Arc<FramePool>,
    number: FrameNumber,
}

impl Frame {
    /// Makes a handle of a count.
    ///
    /// # Safety
    ///
    /// The frame is of this pool, and the caller holds a count of it, which it gives to the handle.
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
    pub fn as_ref(&self) -> FrameRef<'_> {
        FrameRef { pool: &self.pool, number: self.number }
    }

    /// Number of the frame in its pool.
    pub fn number(&self) -> FrameNumber {
        self.number
    }

    /// The words beside the frame.
    pub fn metadata(&self) -> &FrameMetadata {
        self.pool.words(self.number)
    }

    /// The page, to write it, if this is the only handle.
    pub fn get_mut(&mut self) -> Option<&mut Page> {
        if !self.pool.is_alone(self.number) {
            return None;
        }
        // SAFETY: this handle has the only count, so no other `&Page` can be alive; it is borrowed
        // mutably, so no second count and no second borrow can be made of it meanwhile.
        Some(unsafe { &mut *self.pool.address(self.number) })
    }

    /// The handle as one that can be written, if it is the only one; else gives it back.
    pub fn try_into_mut(self) -> Result<FrameMut, Self> {
        if self.pool.is_alone(self.number) { Ok(FrameMut(self)) } else { Err(self) }
    }

    /// Whether the frame belongs to that pool.
    pub fn is_of(&self, pool: &Arc<FramePool>) -> bool {
        Arc::ptr_eq(&self.pool, pool)
    }
}

impl Clone for Frame {
    fn clone(&self) -> Self {
        self.as_ref().to_frame()
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: the handle stands for one count, and nobody uses the handle after this.
        unsafe { self.pool.release(self.number) }
    }
}

impl Deref for Frame {
    type Target = Page;

    fn deref(&self) -> &Page {
        // SAFETY: the handle stands for a count while it is borrowed, so nobody gets a `&mut Page`.
        unsafe { &*self.pool.address(self.number) }
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// The only handle to a frame: reads and writes as its page. Becomes a [`Frame`] to be shared.
#[derive(Debug)]
pub struct FrameMut(Frame);

impl FrameMut {
    /// Wraps the only handle to a frame that was just allocated.
    pub(super) fn new(frame: Frame) -> Self {
        debug_assert_eq!(frame.metadata().references(), 1);
        Self(frame)
    }

    /// Gives up writing, so that the frame can be shared.
    pub fn share(self) -> Frame {
        self.0
    }

    /// Number of the frame in its pool.
    pub fn number(&self) -> FrameNumber {
        self.0.number
    }

    /// The words beside the frame.
    pub fn metadata(&self) -> &FrameMetadata {
        self.0.metadata()
    }
}

impl Deref for FrameMut {
    type Target = Page;

    fn deref(&self) -> &Page {
        &self.0
    }
}

impl DerefMut for FrameMut {
    fn deref_mut(&mut self) -> &mut Page {
        // SAFETY: the handle inside has the only count: it did when it was wrapped, and while it is
        // wrapped nothing clones it. It is borrowed mutably, so this is the only access.
        unsafe { &mut *self.0.pool.address(self.0.number) }
    }
}

impl From<FrameMut> for Frame {
    fn from(frame: FrameMut) -> Self {
        frame.share()
    }
}

/// A frame borrowed from somebody who holds a count of it: costs nothing to copy, and reads as its
/// page.
#[derive(Clone, Copy)]
pub struct FrameRef<'a> {
    pool: &'a Arc<FramePool>,
    number: FrameNumber,
}

impl<'a> FrameRef<'a> {
    /// Borrows a frame.
    ///
    /// # Safety
    ///
    /// The frame is of this pool, and for `'a` somebody holds a count of it and gives nobody a
    /// `&mut Page` of it.
    pub(super) unsafe fn from_borrow(pool: &'a Arc<FramePool>, number: FrameNumber) -> Self {
        Self { pool, number }
    }

    /// The page, for as long as the holder of the count is borrowed.
    pub fn page(self) -> &'a Page {
        // SAFETY: for `'a` a count is held and nobody gets a `&mut Page`: the promise of
        // `from_borrow`, or the borrow of a `Frame`.
        unsafe { &*self.pool.address(self.number) }
    }

    /// Number of the frame in its pool.
    pub fn number(self) -> FrameNumber {
        self.number
    }

    /// The words beside the frame.
    pub fn metadata(self) -> &'a FrameMetadata {
        self.pool.words(self.number)
    }

    /// A counted handle to the frame, which may outlive this borrow.
    pub fn to_frame(self) -> Frame {
        // SAFETY: a count is held for the borrow, so the frame is in use; the new count goes into
        // the handle.
        unsafe {
            self.pool.retain(self.number);
            Frame::from_count(Arc::clone(self.pool), self.number)
        }
    }

    /// Whether both are the same frame, not only equal bytes.
    pub fn is_same(self, other: FrameRef<'_>) -> bool {
        self.number == other.number && Arc::ptr_eq(self.pool, other.pool)
    }
}

impl Deref for FrameRef<'_> {
    type Target = Page;

    fn deref(&self) -> &Page {
        self.page()
    }
}

impl std::fmt::Debug for FrameRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame")
            .field("number", &self.number.0)
            .field("metadata", self.metadata())
            .finish()
    }
}
