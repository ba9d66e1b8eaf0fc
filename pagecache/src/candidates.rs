//! Pages that a walk over the frames of the pool found, on their way to their mappings.
//!
//! What stands beside a frame is a hint (see [`FrameMetadata`]); the mapping confirms it under its
//! lock.

use braidfs_mm::{EntryRef, FrameMetadata, FramePool};

use crate::mapping::Mapping;
use crate::registry::{OwnerId, Registry};

/// A page, by what the metadata of its frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Number of the frame in the pool.
    pub(crate) frame: usize,
    /// Which page of the mapping it holds.
    pub(crate) page: u64,
}

impl Candidate {
    /// Whether that entry of the page shows that the hint is still true.
    pub(crate) fn is_held_by(&self, entry: &EntryRef<'_>) -> bool {
        entry.frame().is_some_and(|frame| frame.number().as_usize() == self.frame)
    }
}

/// What a frame holds, if only a table has it and the metadata is as asked for.
pub(crate) fn sole_page(
    pool: &FramePool,
    frame: usize,
    is_wanted: impl FnOnce(&FrameMetadata) -> bool,
) -> Option<(OwnerId, Candidate)> {
    let metadata = pool.metadata(frame).filter(|metadata| metadata.references() == 1)?;
    let owner = OwnerId::from_word(metadata.owner())?;
    is_wanted(metadata).then(|| (owner, Candidate { frame, page: metadata.index() }))
}

/// Hands candidates to their mappings, neighbours of the same one together. Returns the sum of what
/// the mappings made of them.
pub(crate) fn hand_in(
    registry: &Registry,
    candidates: impl Iterator<Item = (OwnerId, Candidate)>,
    mut take: impl FnMut(&Mapping, &[Candidate]) -> u64,
) -> u64 {
    let mut sum = 0;
    let mut batch = Vec::new();
    let mut candidates = candidates.peekable();
    while let Some((owner, first)) = candidates.next() {
        batch.clear();
        batch.push(first);
        while let Some((_, next)) = candidates.next_if(|(other, _)| *other == owner) {
            batch.push(next);
        }
        sum += registry.get(owner).map_or(0, |mapping| take(&mapping, &batch));
    }
    sum
}
