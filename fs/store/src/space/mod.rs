//! Free space: which blocks are free, which are promised, and when a freed one may be used again.
//!
//! Purpose: give out runs of blocks for data and aligned quads of four for tree nodes, keep every
//! promise that a [`Reservation`] makes, hold freed blocks back until no crash can need them, and
//! keep the bitmaps on the device in step with the tree that the superblock points to.
//!
//! A block of the data area is free, in use, or *leaving*: freed, but not to be given out yet.
//! Beside that stands whether the tree on the device refers to it (*persisted*).
//! - A block that only the log refers to leaves by [`Space::free_after`] with the delta that freed it, and
//!   is through when [`Space::release_through`] passes that delta.
//! - A persisted block leaves when a unify whose tree does not have it is complete, and in no other
//!   way: freeing it for a delta is left to that unify.
//! - What is through still waits for readers: whoever is told of it calls [`Space::release`].
//!
//! Promises: free blocks are at least those reserved plus four for each quad reserved, and free quads are
//! at least those reserved. Data may break a quad only if it is not reserved, and the sum above
//! says that then either such a quad or a free block in a broken one is left. So neither an
//! allocation of data nor of a node ever fails within its reservation.
//!
//! Invariants: persisted and leaving blocks are in use in the bitmap at run time; blocks of the fixed
//! regions are always in use; the summary of a section equals its bits, but for the longest run,
//! which is an upper bound. What contradicts this is a typed error and changes nothing.
//!
//! Lock order: one mutex over bitmaps and queue; the ledger's atomics are changed under it or by a
//! reservation alone. No I/O and no other lock under it.

mod allocate;
mod bitmaps;
mod borrow;
mod defree;
mod format;
mod group;
mod ledger;
mod load;
mod manager;
mod parts;
mod rebuild;
mod reservation;
mod run;
mod search;
mod section;
#[cfg(test)]
mod tests;
mod unify;
mod words;

pub use format::format_bitmaps;
pub use manager::Space;
pub use reservation::Reservation;
pub use run::BlockRun;
pub use unify::{BitmapUpdate, UnifyTurn};
