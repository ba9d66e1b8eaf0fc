//! Block devices: what a braidfs volume is kept on.
//!
//! Purpose: one trait, [`BlockDevice`], that the filesystem and the checker read and write through,
//! a device over an image file or a kernel block device ([`FileDevice`]), one in memory
//! ([`MemoryDevice`]), and wrappers with which tests ask what the layers above cannot see: which
//! images a power loss can leave ([`RecordingDevice`]), what happens when the disk fails
//! ([`FaultyDevice`]), and how often it is used at all ([`CountingDevice`]).
//!
//! Invariants: every offset and length is a multiple of [`BLOCK_BYTES`]; a call moves all of its
//! bytes or returns an error; what was written before a flush began is on stable storage once that
//! flush has returned `Ok`; writes since then may survive a power loss in any combination.
//!
//! Lock order: none of these devices calls out to a layer above it. A wrapper never holds a lock of
//! its own while it calls the device that it wraps.

#![deny(unsafe_code)]

mod buffers;
mod counting;
mod device;
mod error;
mod faulty;
mod file;
mod memory;
mod recording;

pub use counting::{CountingDevice, DeviceCounts};
pub use device::{BLOCK_BYTES, BlockDevice, BlockGeometry};
pub use error::{BlockError, BlockErrorKind, BlockOperation, LockHolder};
pub use faulty::{Fault, FaultyDevice};
pub use file::{DirectMode, FileDevice, FileOptions};
pub use memory::MemoryDevice;
pub use recording::{
    Content, CrashCase, CrashPoint, CrashPoints, Damage, DamageKind, Event, Mark, RecordedWrite,
    Recording, RecordingDevice,
};
