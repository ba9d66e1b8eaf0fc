//! Page forking through the whole filesystem: a device that holds its flushes, and power losses at every
//! moment of what happens meanwhile.
//!
//! The rules of the page cache itself are tested where it is; this is about what the filesystem makes of
//! them: which delta a change is in, who waits for whom, and what is there after a crash.

mod attributes;
mod deltas;
mod pressure;
mod stage;
mod staged;
mod stalls;
