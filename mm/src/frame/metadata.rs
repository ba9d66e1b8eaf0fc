//! The words the pool keeps beside each frame.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use zerocopy::FromZeros;

use super::count::Count;

/// Set in `flags` when the frame was used since the last look of an evictor.
const REFERENCED: u32 = 1;

/// What is known of a frame besides its bytes: a reference count that belongs to the pool, and
/// words that belong to whoever allocated the frame.
///
/// The owner's words are hints: they are atomics that anybody may read at any time, without holding
/// a reference to the frame, so that an evictor can walk the pool. A reader must therefore confirm
/// under the owner's lock what they say. They order nothing (`Relaxed`), and are zero in a newly
/// allocated frame.
#[derive(Debug, FromZeros)]
#[repr(C)]
pub struct FrameMetadata {
    /// References to the frame; 0 while it is free.
    pub(super) count: Count,
    flags: AtomicU32,
    owner: AtomicU64,
    index: AtomicU64,
    version: AtomicU64,
}

impl FrameMetadata {
    /// Whose frame this is; 0 if nobody said.
    pub fn owner(&self) -> u64 {
        self.owner.load(Ordering::Relaxed)
    }

    /// Which page of the owner the frame holds.
    pub fn index(&self) -> u64 {
        self.index.load(Ordering::Relaxed)
    }

    /// Says whose frame this is and which of its pages it holds.
    pub fn set_owner(&self, owner: u64, index: u64) {
        self.owner.store(owner, Ordering::Relaxed);
        self.index.store(index, Ordering::Relaxed);
    }

    /// The version the owner stamped the frame with, such as the delta that dirtied it.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    /// Stamps the frame.
    pub fn set_version(&self, version: u64) {
        self.version.store(version, Ordering::Relaxed);
    }

    /// Notes that the frame was used. Writes only if that was not noted yet, to leave the cache
    /// line shared.
    pub fn mark_referenced(&self) {
        if !self.is_referenced() {
            self.flags.fetch_or(REFERENCED, Ordering::Relaxed);
        }
    }

    /// Whether the frame was used since [`take_referenced`](Self::take_referenced).
    pub fn is_referenced(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & REFERENCED != 0
    }

    /// Whether the frame was used since this was last asked: the question of a clock hand.
    pub fn take_referenced(&self) -> bool {
        self.is_referenced()
            && self.flags.fetch_and(!REFERENCED, Ordering::Relaxed) & REFERENCED != 0
    }

    /// References to the frame at this moment, those of readers in passing included; 0 if it is
    /// free.
    pub fn references(&self) -> u32 {
        self.count.references()
    }

    /// Makes the words those of a new frame with one reference.
    pub(super) fn reset(&self) {
        self.flags.store(0, Ordering::Relaxed);
        self.set_owner(0, 0);
        self.set_version(0);
        self.count.begin();
    }
}
