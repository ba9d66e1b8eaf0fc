//! Handles to single frames: shared, exclusive, borrowed, written in place, held by a reader.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::{FrameMetadata, FrameNumber, FramePool};
use crate::Page;
use crate::sync::step;

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
        // mutably, so no second count and no second borrow can be made of it meanwhile. A reader in
        // passing may take a count, but finds no entry that names the frame, and leaves it again.
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
        debug_assert!(frame.metadata().references() > 0);
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
        // wrapped nothing clones it, and readers in passing find no entry that names the frame. It
        // is borrowed mutably, so this is the only access.
        unsafe { &mut *self.0.pool.address(self.0.number) }
    }
}

impl From<FrameMut> for Frame {
    fn from(frame: FrameMut) -> Self {
        frame.share()
    }
}

/// A page of a table to be written in place. While it lives, readers without a lock are turned away
/// from it.
#[derive(Debug)]
pub struct PageMut<'a> {
    pool: &'a FramePool,
    number: FrameNumber,
}

impl<'a> PageMut<'a> {
    /// Keeps everybody else away from a frame, if the caller holds its only count.
    ///
    /// # Safety
    ///
    /// For `'a` the caller holds a count of the frame and makes no other of it, and nobody borrows
    /// the frame from it.
    pub(super) unsafe fn lock(pool: &'a FramePool, number: FrameNumber) -> Option<Self> {
        let locked = cfg!(braidfs_without_fork_check) || pool.words(number).count.try_lock();
        step();
        // Lazily: what is not locked must not be unlocked.
        locked.then(|| Self { pool, number })
    }
}

impl Deref for PageMut<'_> {
    type Target = Page;

    fn deref(&self) -> &Page {
        // SAFETY: the frame is locked, so only this gives out its page.
        unsafe { &*self.pool.address(self.number) }
    }
}

impl DerefMut for PageMut<'_> {
    fn deref_mut(&mut self) -> &mut Page {
        // SAFETY: the frame is locked, so only this gives out its page; it is borrowed mutably.
        unsafe { &mut *self.pool.address(self.number) }
    }
}

impl Drop for PageMut<'_> {
    fn drop(&mut self) {
        step();
        if !cfg!(braidfs_without_fork_check) {
            self.pool.words(self.number).count.unlock();
        }
    }
}

/// A frame that a reader found without a lock, and holds a count of. As [`Frame`], but it borrows
/// the pool from the reader, so that it touches nothing that all readers share.
pub struct HeldFrame<'a> {
    pool: &'a Arc<FramePool>,
    number: FrameNumber,
}

/// A count that a reader without a lock took on speculation: the frame may be any by now, so its
/// bytes can't be had until it is [confirmed](Self::confirm).
pub(crate) struct SpeculativeFrame<'a>(HeldFrame<'a>);

impl<'a> SpeculativeFrame<'a> {
    /// Takes a count of a frame that is in use; `None` if it is free, or being written.
    pub(crate) fn try_hold(pool: &'a Arc<FramePool>, number: FrameNumber) -> Option<Self> {
        // A number in a table of the pool is one of the pool's; what else is refused here.
        let words = pool.metadata(number.as_usize())?;
        // Lazily: what is not held must not be released.
        words.count.try_retain().then(|| Self(HeldFrame { pool, number }))
    }

    /// The frame with its bytes.
    ///
    /// # Safety
    ///
    /// After the count was taken, the caller saw a word that names the frame, with acquire ordering,
    /// in a leaf whose owner it stood for a count for.
    pub(crate) unsafe fn confirm(self) -> HeldFrame<'a> {
        self.0
    }
}

impl HeldFrame<'_> {
    /// Number of the frame in its pool.
    pub fn number(&self) -> FrameNumber {
        self.number
    }

    /// The words beside the frame.
    pub fn metadata(&self) -> &FrameMetadata {
        self.pool.words(self.number)
    }

    /// A counted handle to the frame, which may outlive the reader.
    pub fn to_frame(&self) -> Frame {
        // SAFETY: this stands for a count; the new one goes into the handle.
        unsafe {
            self.pool.retain(self.number);
            Frame::from_count(Arc::clone(self.pool), self.number)
        }
    }
}

impl Deref for HeldFrame<'_> {
    type Target = Page;

    fn deref(&self) -> &Page {
        // SAFETY: this stands for a count of a frame that a table named when the count was held
        // already, so nobody had the right to write it then, and nobody gets it while the count is
        // held: see `count`.
        unsafe { &*self.pool.address(self.number) }
    }
}

impl Drop for HeldFrame<'_> {
    fn drop(&mut self) {
        // SAFETY: this stands for one count, and nobody uses it after this.
        unsafe { self.pool.release(self.number) }
    }
}

impl std::fmt::Debug for HeldFrame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldFrame").field("number", &self.number.0).finish_non_exhaustive()
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
