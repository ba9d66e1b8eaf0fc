//! Evidence of deltas that were durable and are not reached by replay.
//!
//! A transaction says up to which delta everything was durable when it was written. Such a delta
//! cannot be lost by a power loss: what is discarded by one replay was not durable, so no leftover
//! of it says so. A leftover that claims more than replay reaches therefore proves damage.

use braidfs_format::{BLOCK_SIZE, DeltaNumber, TransactionHeader};

use super::chain::payload_fits;
use super::ring::{CHUNK_BLOCKS, Ring};
use crate::error::Halt;
use crate::finding::Finding;
use crate::problem::DURABLE_DELTA_LOST;

/// Blocks of the ring that are searched at most: all of the largest ring that mkfs makes by itself,
/// many times over. Transactions lie side by side, so a witness is not far.
pub(super) const SEARCH_BLOCKS: u64 = 1 << 18;

/// Searches the ring from `position` on, where the chain ends, for a transaction that says that a
/// delta after `last` was durable.
pub(super) fn search(ring: &Ring<'_>, position: u64, last: DeltaNumber) -> Result<(), Halt> {
    let mut best: Option<TransactionHeader> = None;
    let mut done = 0;
    let wanted = ring.blocks.min(SEARCH_BLOCKS);
    while done < wanted {
        let next = (position + done) % ring.blocks;
        let count = CHUNK_BLOCKS.min(wanted - done).min(ring.blocks - next);
        for header in witnesses(ring, next, count) {
            let claim = best.as_ref().map_or(last, |best| best.durable_through);
            if header.durable_through > claim && is_whole(ring, &header) {
                best = Some(header);
            }
        }
        done += count;
        ring.scope.advance(count)?;
    }
    if let Some(witness) = best {
        report(ring, last, &witness);
    }
    Ok(())
}

/// The headers of this volume that stand where they say in a part of the ring. Blocks that cannot
/// be read bear no witness.
fn witnesses(ring: &Ring<'_>, position: u64, count: u64) -> Vec<TransactionHeader> {
    let mut found = Vec::new();
    let mut next = position;
    let outcome = ring.read_parts(position, count, &mut |bytes| {
        for block in bytes.chunks_exact(BLOCK_SIZE) {
            if let Ok((header, _)) = TransactionHeader::decode(block)
                && header.ring_position == next
                && header.volume_id == ring.superblock.volume_id
            {
                found.push(header);
            }
            next += 1;
        }
    });
    if outcome.is_ok() || count == 1 {
        return found;
    }
    (position..position + count).flat_map(|single| witnesses(ring, single, 1)).collect()
}

/// Whether its records are there, too, so that file content that merely looks like a header counts
/// less.
fn is_whole(ring: &Ring<'_>, header: &TransactionHeader) -> bool {
    u64::from(header.block_length) <= ring.blocks && matches!(payload_fits(ring, header), Ok(true))
}

fn report(ring: &Ring<'_>, last: DeltaNumber, witness: &TransactionHeader) {
    let detail = format!("that transaction is of delta {}", witness.delta);
    let finding = Finding::new(&DURABLE_DELTA_LOST)
        .delta(last.saturating_add(1))
        .block(ring.address(witness.ring_position))
        .found(witness.durable_through)
        .detail(detail);
    ring.scope.report(finding);
}
