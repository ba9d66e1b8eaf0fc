//! Page frames: a bounded pool of them, counted handles to them, and words about them.
//!
//! What makes its `unsafe` code sound, in one place:
//!
//! * **Who may read.** A frame with a count above zero belongs to the holders of its count. Each
//!   [`Frame`], [`FrameMut`], [`HeldFrame`], frame of a [`FrameRun`] and frame entry of an
//!   [`Entries`] stands for exactly one count. A `&Page` is only given out under a borrow of one of
//!   them, so the frame stays in use.
//! * **Who may write.** A `&mut Page` is only given out under a *mutable* borrow of a holder that
//!   has the *only* count. Nobody else then holds a count, so nobody else has a `&Page`; and a
//!   second count can only be made from the holder, which is borrowed. Entries that two tables share
//!   are never changed: an [`EntriesMut`] is for an only owner. Readers without a lock take counts
//!   of frames they do not hold; what keeps them from the bytes is in [`count`].
//! * **Order.** Giving up a count is a release; finding oneself alone, or freeing the frame, is an
//!   acquire. So all accesses of former holders come before the writes of the one who is left, or
//!   of the next one to allocate the frame.
//! * **The memory** is one mapping of a memfd that nobody else knows and that is sealed against
//!   shrinking. It lives as long as the pool, and each holder keeps the pool alive.
//! * **Placed frames** (see [`arena`]) are the exception: programs map them and write as they like.
//!   No reference to their bytes is ever made; [`PlacedRef`] copies them in and out.

mod arena;
mod count;
mod entries;
mod free_map;
mod handle;
mod metadata;
mod placed;
mod pool;
mod run;

pub use arena::Arena;
pub(crate) use entries::{Entries, EntriesMut, OwnedEntries};
pub(crate) use handle::SpeculativeFrame;
pub use handle::{Frame, FrameMut, FrameRef, HeldFrame, PageMut};
pub use metadata::FrameMetadata;
pub use placed::{PlacedFrame, PlacedRef};
pub use pool::{FrameNumber, FramePool, PoolConfig, PoolCounters};
pub use run::FrameRun;
