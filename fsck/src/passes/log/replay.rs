//! The replay, in memory.

use std::ops::ControlFlow;

use braidfs_format::log::TRANSACTION_HEADER_BYTES;
use braidfs_format::{
    BLOCK_SIZE, DeltaNumber, Extent, ExtentContent, LogRecord, Superblock, TransactionHeader,
};

use super::LogFacts;
use super::chain::Chain;
use super::ring::Ring;
use crate::error::{CheckError, Halt};
use crate::finding::Finding;
use crate::problem::{LOG_UNREADABLE, TRANSACTION_MALFORMED};
use crate::report::LogSummary;
use crate::volume::overlay::Overlay;
use crate::volume::scope::Scope;
use crate::volume::verify::{Mismatch, Verifier};

/// Replays the transactions of `chain` as far as that goes.
pub(super) fn replay(
    ring: &Ring<'_>,
    superblock: &Superblock,
    chain: Chain,
) -> Result<LogFacts, Halt> {
    let mut replay = Replay {
        ring,
        durable_through: chain.durable_through,
        verifier: Verifier::new(ring.scope, superblock.geometry),
        facts: LogFacts {
            overlay: Overlay::default(),
            summary: empty_summary(superblock, chain.end),
            next_inode: superblock.next_inode,
        },
    };
    let mut left = chain.transactions.len() as u64;
    for header in &chain.transactions {
        if let ControlFlow::Break(end) = replay.transaction(header)? {
            replay.facts.summary.end = end;
            break;
        }
        left -= 1;
    }
    replay.facts.summary.discarded = left;
    replay.facts.summary.verified_blocks = replay.verifier.blocks_read();
    Ok(replay.facts)
}

fn empty_summary(superblock: &Superblock, end: String) -> LogSummary {
    LogSummary {
        replayed: 0,
        last_delta: superblock.unified_through,
        blocks: 0,
        discarded: 0,
        verified_blocks: 0,
        end,
    }
}

struct Replay<'a> {
    ring: &'a Ring<'a>,
    durable_through: DeltaNumber,
    verifier: Verifier<'a>,
    facts: LogFacts,
}

impl Replay<'_> {
    /// Applies one transaction, or breaks with the reason why replay ends before it.
    fn transaction(&mut self, header: &TransactionHeader) -> Result<ControlFlow<String>, Halt> {
        let scope = self.ring.scope;
        let at = |problem| {
            let block = self.ring.address(header.ring_position);
            Finding::new(problem).delta(header.delta).block(block)
        };
        let payload = match read_payload(self.ring, header)? {
            Ok(payload) => payload,
            Err(error) => {
                scope.report(at(&LOG_UNREADABLE).detail(&error));
                return Ok(ControlFlow::Break(error));
            }
        };
        let records = match LogRecord::decode_all(&payload, header.record_count) {
            Ok(records) => records,
            Err(error) => {
                scope.report(at(&TRANSACTION_MALFORMED).detail(&error));
                return Ok(ControlFlow::Break(error.to_string()));
            }
        };
        if header.delta > self.durable_through
            && let Some(mismatch) = self.first_mismatch(scope, &records)?
        {
            let end = format!("the data of delta {} is not whole ({mismatch})", header.delta);
            return Ok(ControlFlow::Break(end));
        }
        self.apply(header, records);
        Ok(ControlFlow::Continue(()))
    }

    /// The first data block of `records` that is not as its checksum says.
    fn first_mismatch(
        &mut self,
        scope: &Scope<'_>,
        records: &[LogRecord],
    ) -> Result<Option<Mismatch>, Halt> {
        for extent in records.iter().filter_map(data_of) {
            scope.advance(0)?;
            let mismatch = self.verifier.first_mismatch(extent);
            if mismatch.is_some() {
                return Ok(mismatch);
            }
        }
        Ok(None)
    }

    fn apply(&mut self, header: &TransactionHeader, records: Vec<LogRecord>) {
        for record in records {
            self.facts.overlay.apply(header.delta, record);
        }
        self.facts.next_inode = self.facts.next_inode.max(header.next_inode);
        let summary = &mut self.facts.summary;
        summary.replayed += 1;
        summary.last_delta = header.delta;
        summary.blocks += u64::from(header.block_length);
    }
}

/// The extent with data that a record brings.
fn data_of(record: &LogRecord) -> Option<&Extent> {
    match record {
        LogRecord::Map { change, .. } => change
            .extent
            .as_ref()
            .filter(|extent| matches!(extent.content, ExtentContent::Blocks { .. })),
        _ => None,
    }
}

/// The records of a transaction whose checksum was good before, or why they cannot be read.
fn read_payload(
    ring: &Ring<'_>,
    header: &TransactionHeader,
) -> Result<Result<Vec<u8>, String>, CheckError> {
    let blocks = u64::from(TransactionHeader::blocks_for(header.payload_bytes));
    let bytes = blocks * BLOCK_SIZE as u64;
    let mut payload: Vec<u8> = Vec::new();
    let room = usize::try_from(bytes).map(|bytes| payload.try_reserve_exact(bytes));
    if !matches!(room, Ok(Ok(()))) {
        return Err(CheckError::OutOfMemory(bytes));
    }
    let read = ring.read_parts(header.ring_position, blocks, &mut |part| {
        payload.extend_from_slice(part);
    });
    if let Err(error) = read {
        return Ok(Err(error.to_string()));
    }
    payload.drain(..TRANSACTION_HEADER_BYTES.min(payload.len()));
    payload.truncate(header.payload_bytes as usize);
    Ok(Ok(payload))
}
