//! What can go wrong in the frame pool and in page tables.

use std::io;

use thiserror::Error;

/// Why the frame pool could not be made, or could not serve.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PoolError {
    /// Every frame is in use.
    #[error("all {frames} page frames are in use; evict clean pages or give the pool more memory")]
    Exhausted {
        /// Frames of the whole pool.
        frames: usize,
    },
    /// The size asked for cannot be served.
    #[error("a frame pool of {bytes} bytes is not possible; ask for {minimum} to {maximum} bytes")]
    BadSize {
        /// Size that was asked for.
        bytes: u64,
        /// Smallest size.
        minimum: u64,
        /// Largest size.
        maximum: u64,
    },
    /// The place in an arena is taken, or beyond its end.
    #[error("place {index} of the arena is taken; give its frame up first")]
    Occupied {
        /// Index of the place.
        index: usize,
    },
    /// There are as many arenas as a pool can have.
    #[error("the pool has no room for another arena; unmap something first")]
    TooManyArenas,
    /// The kernel refused the memory.
    #[error(
        "{operation} failed for the frame pool; give it less memory or raise the limits: {source}"
    )]
    System {
        /// System call that failed.
        operation: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Why an operation on a page table was refused. The table is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TableError {
    /// The memory that page tables may use is spent.
    #[error(
        "page tables would need {needed} bytes more than their {limit}; drop cached ranges or raise the limit"
    )]
    OutOfTableMemory {
        /// Bytes the operation needed at worst.
        needed: usize,
        /// Bytes all tables of the pool may use together.
        limit: usize,
    },
    /// The page index lies beyond [`MAX_PAGES`](crate::MAX_PAGES).
    #[error("page index {index} is beyond the largest table; stay below 2^52")]
    IndexTooLarge {
        /// The index that was asked for.
        index: u64,
    },
    /// The frame belongs to another pool than the table.
    #[error("the frame belongs to another pool; allocate it from the pool of the table")]
    ForeignFrame,
}
