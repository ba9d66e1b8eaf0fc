//! Pass 2: the log.
//!
//! First the chain: transactions from the superblock's tail on, each of which must fit behind the
//! one before (volume, place, delta, chain of checksums, checksum of its records). The first that
//! does not fit ends the log; after a power loss that is how a log ends, so it is no problem by
//! itself. Then the replay, in memory: the records of each transaction are decoded and applied. For
//! transactions beyond the newest durable mark in the chain the data must fit its checksums, too;
//! the first for which it does not ends the replay. At last the search for evidence: if a
//! transaction elsewhere in the ring says that a delta was durable that replay does not reach, then
//! something that was acknowledged is lost.

mod chain;
mod evidence;
mod replay;
mod ring;

use braidfs_format::{DeltaNumber, FormatErrorKind, InodeNumber, Superblock, TransactionHeader};

use super::Known;
use crate::error::Halt;
use crate::report::LogSummary;
use crate::volume::overlay::Overlay;
use crate::volume::scope::Scope;
use ring::Ring;

/// What the log adds to the tree.
pub(crate) struct LogFacts {
    pub(crate) overlay: Overlay,
    pub(crate) summary: LogSummary,
    /// The next inode number after replay.
    pub(crate) next_inode: InodeNumber,
}

impl LogFacts {
    /// The last delta of the merged view.
    pub(crate) fn last_delta(&self) -> DeltaNumber {
        self.summary.last_delta
    }
}

/// The work of the pass: blocks of the ring that are searched.
pub(crate) fn units(known: &Known) -> u64 {
    let ring = known.superblock.as_ref().map(|superblock| superblock.geometry.log_blocks);
    ring.map_or(0, |blocks| blocks.min(evidence::SEARCH_BLOCKS))
}

/// Runs the pass.
pub(crate) fn run(scope: &Scope<'_>, known: &mut Known) -> Result<(), Halt> {
    let Some(superblock) = known.superblock.as_ref() else { return Ok(()) };
    let ring = Ring::new(scope, superblock);
    let chain = chain::follow(&ring, superblock)?;
    let end_position = chain.end_position;
    let facts = replay::replay(&ring, superblock, chain)?;
    evidence::search(&ring, end_position, facts.last_delta())?;
    known.log = Some(facts);
    Ok(())
}

/// Whether it can be said from the first block of the log that there is nothing to replay. Anything
/// that looks like a transaction of a later delta, whole or not, has to be looked at.
pub(crate) fn is_empty(scope: &Scope<'_>, superblock: &Superblock) -> bool {
    let ring = Ring::new(scope, superblock);
    let Ok(block) = ring.read_block(superblock.log_tail) else { return false };
    match TransactionHeader::decode(&block) {
        Ok((header, _)) => {
            header.volume_id != superblock.volume_id || header.delta <= superblock.unified_through
        }
        Err(error) => error.kind == FormatErrorKind::BadMagic,
    }
}
