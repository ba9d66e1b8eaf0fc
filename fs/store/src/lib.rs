//! The persistent key space of a volume: log, overlay of logged deltas, copy-on-write tree, free
//! space, unify and replay.
//!
//! A [`ChangeSet`] is published as one log transaction and is visible at once as a layer over the
//! tree; one device flush makes it durable, data included; from time to time unify folds the
//! durable layers into the tree and retires their part of the log.
//!
//! Invariants: deltas are published and become durable in order of their numbers; nothing that the
//! superblock in force or the log behind it refers to is overwritten; the first failed write or
//! flush is the last one that is tried.
//!
//! Lock order: see [`Store`]'s module; readers wait for nothing but short looks into memory.

#![forbid(unsafe_code)]

mod change;
mod commit;
mod data;
pub mod error;
mod flusher;
mod footprint;
mod layers;
mod log;
mod metadata_reserve;
mod mkfs;
mod pins;
mod poison;
mod range_counts;
mod range_map;
mod read;
mod replay;
mod share;
mod space;
mod statistics;
mod store;
mod superblocks;
#[cfg(test)]
mod tests;
mod tree;
mod trim;
mod unify;

pub use change::ChangeSet;
pub use data::{Page, UNBORN};
pub use error::{ErrorContext, StoreError, StoreErrorKind};
pub use layers::Mapped;
pub use mkfs::FormatOptions;
pub use pins::ReadPin;
pub use range_map::RangeMap;
pub use replay::ReplayReport;
pub use space::Reservation;
pub use statistics::StoreStatistics;
pub use store::{OpenOptions, Store};
