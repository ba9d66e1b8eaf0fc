//! Aligned buffers of a fixed size for what cannot be transferred directly.

use std::fmt;

use parking_lot::Mutex;

/// The bytes that one copy through an aligned buffer takes at most.
pub(super) const BOUNCE_BYTES: usize = 256 * 1024;

/// The alignment of the buffers: the largest that a file asks for.
pub(super) const BOUNCE_ALIGNMENT: usize = 4096;

/// How many idle buffers are kept; more exist only while more threads transfer.
const KEPT_BUFFERS: usize = 4;

/// [`BOUNCE_BYTES`] that start at a multiple of [`BOUNCE_ALIGNMENT`].
///
/// They lie somewhere within a longer allocation, which needs no unsafe code.
struct AlignedBuffer {
    allocation: Vec<u8>,
    start: usize,
}

impl AlignedBuffer {
    fn new() -> Self {
        let allocation = vec![0; BOUNCE_BYTES + BOUNCE_ALIGNMENT];
        let start = allocation.as_ptr().addr().wrapping_neg() % BOUNCE_ALIGNMENT;
        Self { allocation, start }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.allocation[self.start..self.start + BOUNCE_BYTES]
    }
}

/// Lends aligned buffers and keeps a few for the next time.
#[derive(Default)]
pub(super) struct BouncePool {
    idle: Mutex<Vec<AlignedBuffer>>,
}

impl BouncePool {
    /// Runs `work` with a buffer of [`BOUNCE_BYTES`]; its content is what the last user left.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut [u8]) -> R) -> R {
        let taken = self.idle.lock().pop();
        let mut buffer = taken.unwrap_or_else(AlignedBuffer::new);
        let result = work(buffer.bytes());
        let mut idle = self.idle.lock();
        if idle.len() < KEPT_BUFFERS {
            idle.push(buffer);
        }
        result
    }
}

impl fmt::Debug for BouncePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BouncePool").field("idle", &self.idle.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_used_again() {
        let pool = BouncePool::default();
        let address = |pool: &BouncePool| {
            pool.with(|bytes| {
                assert_eq!(bytes.len(), BOUNCE_BYTES);
                bytes.as_ptr().addr()
            })
        };
        let first = address(&pool);
        assert!(first.is_multiple_of(BOUNCE_ALIGNMENT));
        assert_eq!(address(&pool), first);
        pool.with(|_| assert_ne!(address(&pool), first));
        assert_eq!(pool.idle.lock().len(), 2);
    }
}
