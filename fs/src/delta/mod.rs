//! Deltas: grouping changes, closing a group, staging it, committing it.
//!
//! Purpose: an operation enters the open delta through a [`ChangeGuard`]; a commit closes the open
//! delta, *stages* it (turns it into a change set, writing data to fresh blocks), publishes it to the
//! store's log and makes it durable. At any moment one delta is open, one may be staged and any
//! number logged but not yet flushed.
//!
//! Invariants: an operation belongs to exactly one delta; a closed delta does not change; deltas
//! are published in order. A file's state is frozen for a closed delta by whoever touches the file
//! first afterwards, the stager or the next writer (`inode::state`), so that closing is short
//! whatever the number of dirty files.
//!
//! Where it comes from: Tux3's delta pipeline (`change_begin`/`change_end`), with ZFS's third stage.

mod change_table;
mod commit;
mod gate;
mod join;
mod portion;
mod request;
mod stage;
mod write_back;

pub use change_table::ChangeTable;
pub(crate) use commit::Committer;
pub(crate) use gate::{ChangeGuard, View};
pub use join::Done;
pub(crate) use request::Scope;
