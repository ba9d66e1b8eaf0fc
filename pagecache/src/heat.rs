//! How hot a cached page is: the memory the clock has of its uses.
//!
//! The heat lies in the owner's word beside the frame, so that readers can raise it under a shared
//! lock and the hand can lower it under none. It is a hint: an update that is lost to a race does
//! no harm.
//!
//! A page starts cold. Its second use warms it, its third makes it hot; the hand cools it by one
//! step each time it passes, and takes it when it is cold. So a page that is used at least once in
//! [`HOT`] rounds of the hand stays, whatever is scanned meanwhile, and a page that was read once
//! goes in the first round.
//!
//! Beside the heat there is one bit for the scanner of zero pages, which asks something else: whether
//! the page was used at all since it last came by.

use braidfs_mm::FrameMetadata;

/// The heat of a page used at least three times of late: rounds of the hand it survives.
pub(crate) const HOT: u64 = 3;
/// The heat of a page that was read ahead: its first use is what it was read for.
const READ_AHEAD: u64 = u64::MAX;

/// Notes that the page in this frame was used. Writes only if that changes something, so that the
/// cache line of a hot page stays shared.
pub(crate) fn note_use(frame: &FrameMetadata) {
    frame.mark_referenced();
    match frame.version() {
        READ_AHEAD => frame.set_version(0),
        HOT => {}
        heat => frame.set_version((2 * heat + 1).min(HOT)),
    }
}

/// Notes that the page in this frame was read ahead.
pub(crate) fn note_read_ahead(frame: &FrameMetadata) {
    frame.set_version(READ_AHEAD);
}

/// Notes that the page in this frame is new. It stays cold, but is left alone by the scanner for a
/// round.
pub(crate) fn note_arrival(frame: &FrameMetadata) {
    frame.mark_referenced();
}

/// Whether the page in this frame was left alone since this was last asked.
pub(crate) fn is_at_rest(frame: &FrameMetadata) -> bool {
    !frame.take_referenced()
}

/// Gives a frame that a page moves to the heat of the one it leaves.
pub(crate) fn inherit(to: &FrameMetadata, from: &FrameMetadata) {
    to.set_version(from.version());
}

/// Cools the page in this frame by one step; says whether it was cold already.
pub(crate) fn cool(frame: &FrameMetadata) -> bool {
    let heat = frame.version();
    let cold = heat == 0 || heat == READ_AHEAD;
    if !cold {
        frame.set_version(heat - 1);
    }
    cold
}

#[cfg(test)]
mod tests {
    use braidfs_mm::{FramePool, PoolConfig};

    use super::*;

    #[test]
    fn pages_warm_with_use_and_cool_with_the_hand() {
        let pool = FramePool::new(&PoolConfig::new(1 << 20)).unwrap();
        let frame = pool.allocate().unwrap();
        let metadata = frame.metadata();
        assert!(cool(metadata), "a new page is cold");
        note_use(metadata);
        assert!(!cool(metadata) && cool(metadata), "one more use, one round");
        (0..10).for_each(|_| note_use(metadata));
        let rounds = (0..10).take_while(|_| !cool(metadata)).count();
        assert_eq!(rounds as u64, HOT);
    }

    #[test]
    fn a_page_is_at_rest_after_a_round_without_use() {
        let pool = FramePool::new(&PoolConfig::new(1 << 20)).unwrap();
        let frame = pool.allocate().unwrap();
        note_arrival(frame.metadata());
        assert!(!is_at_rest(frame.metadata()) && is_at_rest(frame.metadata()));
        note_use(frame.metadata());
        assert!(!is_at_rest(frame.metadata()) && is_at_rest(frame.metadata()));
    }

    #[test]
    fn the_first_use_of_a_page_that_was_read_ahead_does_not_warm_it() {
        let pool = FramePool::new(&PoolConfig::new(1 << 20)).unwrap();
        let frame = pool.allocate().unwrap();
        note_read_ahead(frame.metadata());
        assert!(cool(frame.metadata()));
        note_use(frame.metadata());
        assert!(cool(frame.metadata()));
        note_use(frame.metadata());
        assert!(!cool(frame.metadata()));
    }
}
