//! The persistent key space of a volume: log, overlay of logged deltas, copy-on-write tree, free
//! space, unify and replay.
//!
//! A [`ChangeSet`] is published as one log transaction and is visible at once as a layer over the
//! tree; one device flush makes it durable; from time to time unify folds the durable layers into
//! the tree and retires their part of the log.

#![forbid(unsafe_code)]

pub mod error;
mod space;
mod tree;

pub use error::{ErrorContext, StoreError, StoreErrorKind};
