//! The log ring: one transaction a delta, each a whole number of blocks, chained by checksums.
//!
//! A transaction is found again by replay if it lies where its predecessor ended, carries the next
//! delta and names the checksum of its predecessor's header. `log_tail` of the superblock says
//! where the first one after the last unify begins. Nothing is ever erased: what is left over from
//! earlier laps, or from before a crash, does not fit the chain.

mod buffer;
mod reader;
mod ring;

pub(crate) use reader::{LogReader, Step};
pub(crate) use ring::{AppendError, Placed, Ring, RingStart};
