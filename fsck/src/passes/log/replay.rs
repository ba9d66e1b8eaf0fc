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
use crate::problem::{
    LOG_UNREADABLE, LOGGED_DATA_OVERWRITTEN, LOGGED_DATA_UNREADABLE, Problem, TRANSACTION_MALFORMED,
};
use crate::report::LogSummary;
use crate::volume::blocks::BlockMap;
use crate::volume::overlay::Overlay;
use crate::volume::verify::{Cause, Mismatch, Verifier};

/// Replays the transactions of `chain` as far as that goes.
pub(super) fn replay(
    ring: &Ring<'_>,
    superblock: &Superblock,
    chain: Chain,
) -> Result<LogFacts, Halt> {
    let mut replay = Replay {
        ring,
        durable_through: chain.durable_through,
        verifier: Verifier::new(ring.scope, superblock),
        unsettled: BlockMap::default(),
        facts: LogFacts {
            overlay: Overlay::default(),
            summary: empty_summary(superblock),
            next_inode: superblock.next_inode,
        },
        end: None,
    };
    for header in &chain.transactions {
        if replay.transaction(header)?.is_break() {
            break;
        }
    }
    let Replay { mut facts, verifier, end, .. } = replay;
    facts.summary.end = end.unwrap_or(chain.end);
    facts.summary.discarded = chain.transactions.len() as u64 - facts.summary.replayed;
    facts.summary.verified_blocks = verifier.blocks_read();
    Ok(facts)
}

fn empty_summary(superblock: &Superblock) -> LogSummary {
    LogSummary {
        replayed: 0,
        last_delta: superblock.unified_through,
        blocks: 0,
        discarded: 0,
        verified_blocks: 0,
        end: String::new(),
    }
}

struct Replay<'a> {
    ring: &'a Ring<'a>,
    durable_through: DeltaNumber,
    verifier: Verifier<'a>,
    /// Data blocks of the transactions beyond the mark.
    unsettled: BlockMap,
    facts: LogFacts,
    /// Why replay has ended before the transactions that are looked at now, if it has.
    end: Option<String>,
}

impl Replay<'_> {
    /// Looks at one transaction, and applies it if replay comes that far. Those behind the end of
    /// the replay may still tell why it ends there; behind one that makes no sense nothing is
    /// looked at.
    fn transaction(&mut self, header: &TransactionHeader) -> Result<ControlFlow<()>, Halt> {
        let records = match self.records(header)? {
            Ok(records) => records,
            Err(reason) => {
                self.end.get_or_insert(reason);
                return Ok(ControlFlow::Break(()));
            }
        };
        if header.delta > self.durable_through {
            self.check_overwritten(header, &records);
            if self.end.is_none() {
                self.verify(header, &records)?;
            }
        }
        if self.end.is_none() {
            self.apply(header, records);
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Ends the replay if the data of a transaction beyond the mark is not as its checksums say.
    fn verify(&mut self, header: &TransactionHeader, records: &[LogRecord]) -> Result<(), Halt> {
        if let Some(mismatch) = self.first_mismatch(header.delta, records)? {
            self.report_mismatch(header, &mismatch);
            let end = format!("the data of delta {} is not whole ({mismatch})", header.delta);
            self.end = Some(end);
        }
        Ok(())
    }

    /// Reports blocks that a transaction beyond the mark has written and an earlier one had, too.
    /// A block may be used anew only when the mark has passed the delta that freed it, because up
    /// to then replay reads it.
    fn check_overwritten(&mut self, header: &TransactionHeader, records: &[LogRecord]) {
        let written = |extent: &&Extent| is_written_by(header.delta, extent);
        let data = records.iter().filter_map(extent_of).filter(written);
        let ranges = data.filter_map(Extent::blocks).map(|(start, length)| start..start + length);
        let ranges: Vec<_> = ranges.collect();
        for run in ranges.iter().flat_map(|range| self.unsettled.overlap(range.clone())) {
            let finding = Finding::new(&LOGGED_DATA_OVERWRITTEN).delta(header.delta);
            self.ring.scope.report(finding.block(run.start).count(run.end - run.start));
        }
        for range in ranges {
            self.unsettled.insert(range);
        }
    }

    /// The records of a transaction, or why there are none.
    fn records(
        &self,
        header: &TransactionHeader,
    ) -> Result<Result<Vec<LogRecord>, String>, CheckError> {
        let payload = match read_payload(self.ring, header)? {
            Ok(payload) => payload,
            Err(error) => return Ok(Err(self.refuse(&LOG_UNREADABLE, header, error))),
        };
        let records = LogRecord::decode_all(&payload, header.record_count)
            .map_err(|error| error.to_string())
            .and_then(|records| self.check_places(records));
        Ok(records.map_err(|error| self.refuse(&TRANSACTION_MALFORMED, header, error)))
    }

    /// Gives the records back if all extents in them lie in the data area.
    fn check_places(&self, records: Vec<LogRecord>) -> Result<Vec<LogRecord>, String> {
        let geometry = &self.ring.superblock.geometry;
        let blocks = records.iter().filter_map(extent_of).filter_map(Extent::blocks);
        match blocks.into_iter().find(|(address, length)| !geometry.holds_data(*address, *length)) {
            None => Ok(records),
            Some((address, length)) => {
                Err(format!("{length} blocks from block {address} are outside of the data area"))
            }
        }
    }

    /// Reports that a transaction is not as it must be, and returns the reason.
    fn refuse(
        &self,
        problem: &'static Problem,
        header: &TransactionHeader,
        reason: String,
    ) -> String {
        let block = self.ring.address(header.ring_position);
        let finding = Finding::new(problem).delta(header.delta).block(block);
        self.ring.scope.report(finding.detail(&reason));
        reason
    }

    /// The first data block that `delta` has written and that is not as its checksum says. What it
    /// merely shares was looked at with the delta that has written it.
    fn first_mismatch(
        &mut self,
        delta: DeltaNumber,
        records: &[LogRecord],
    ) -> Result<Option<Mismatch>, Halt> {
        let written = |extent: &&Extent| is_written_by(delta, extent);
        for extent in records.iter().filter_map(extent_of).filter(written) {
            self.ring.scope.advance(0)?;
            let mismatch = self.verifier.first_mismatch(extent);
            if mismatch.is_some() {
                return Ok(mismatch);
            }
        }
        Ok(None)
    }

    /// Data with a wrong checksum did not make it before the power went, which is no fault. Any
    /// other reason is one.
    fn report_mismatch(&self, header: &TransactionHeader, mismatch: &Mismatch) {
        match &mismatch.cause {
            Cause::Checksum { .. } => {}
            Cause::Unreadable(error) => {
                let finding = Finding::new(&LOGGED_DATA_UNREADABLE).delta(header.delta);
                self.ring.scope.report(finding.block(mismatch.address).detail(error));
            }
            cause @ (Cause::Outside | Cause::BudgetSpent) => {
                self.refuse(&TRANSACTION_MALFORMED, header, cause.to_string());
            }
        }
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

/// Whether an extent has data that `delta` has written.
fn is_written_by(delta: DeltaNumber, extent: &Extent) -> bool {
    matches!(extent.content, ExtentContent::Blocks { birth, .. } if birth >= delta)
}

/// The extent that a record brings.
fn extent_of(record: &LogRecord) -> Option<&Extent> {
    match record {
        LogRecord::Map { change, .. } => change.extent.as_ref(),
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
