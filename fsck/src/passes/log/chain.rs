//! The chain of transactions.

use braidfs_format::log::TRANSACTION_HEADER_BYTES;
use braidfs_format::{DeltaNumber, FormatErrorKind, Superblock, TransactionHeader};

use super::ring::Ring;
use crate::error::Halt;
use crate::finding::Finding;
use crate::problem::{
    DURABLE_MARK_BACKWARDS, LOG_UNREADABLE, NEXT_INODE_BACKWARDS, TRANSACTION_MALFORMED,
};

/// The transactions that fit behind each other.
pub(super) struct Chain {
    pub(super) transactions: Vec<TransactionHeader>,
    /// Every delta up to this one was durable when the log was written last.
    pub(super) durable_through: DeltaNumber,
    /// Where it ends, in blocks of the ring.
    pub(super) end_position: u64,
    /// Why there are no more.
    pub(super) end: String,
}

/// Where the next transaction must begin, and what it must say.
struct Cursor {
    position: u64,
    delta: DeltaNumber,
    previous_checksum: u32,
    /// Blocks of the ring that are not taken by the chain yet.
    room: u64,
}

/// Follows the chain from the superblock's tail to its end.
pub(super) fn follow(ring: &Ring<'_>, superblock: &Superblock) -> Result<Chain, Halt> {
    let mut cursor = Cursor {
        position: superblock.log_tail,
        delta: superblock.unified_through.saturating_add(1),
        previous_checksum: superblock.log_previous_checksum,
        room: ring.blocks,
    };
    let mut transactions: Vec<TransactionHeader> = Vec::new();
    let end = loop {
        let (header, checksum) = match next(ring, &cursor) {
            Ok(found) => found,
            Err(end) => break end,
        };
        check_marks(ring, transactions.last(), &header);
        let length = u64::from(header.block_length);
        ring.scope.advance(0)?;
        cursor = Cursor {
            position: (cursor.position + length) % ring.blocks,
            delta: cursor.delta.saturating_add(1),
            previous_checksum: checksum,
            room: cursor.room - length,
        };
        transactions.push(header);
    };
    let marks = transactions.iter().map(|header| header.durable_through);
    let durable_through = marks.max().unwrap_or_default().max(superblock.unified_through);
    Ok(Chain { transactions, durable_through, end_position: cursor.position, end })
}

/// The transaction at the cursor with the checksum of its header, or why there is none.
fn next(ring: &Ring<'_>, cursor: &Cursor) -> Result<(TransactionHeader, u32), String> {
    if cursor.room == 0 {
        return Err("the ring is full".into());
    }
    let at =
        |problem| Finding::new(problem).delta(cursor.delta).block(ring.address(cursor.position));
    let block = ring.read_block(cursor.position).map_err(|error| {
        ring.scope.report(at(&LOG_UNREADABLE).detail(&error));
        error.to_string()
    })?;
    let (header, checksum) = TransactionHeader::decode(&block).map_err(|error| {
        if error.kind == FormatErrorKind::BadField {
            ring.scope.report(at(&TRANSACTION_MALFORMED).detail(&error));
        }
        error.to_string()
    })?;
    check_place(ring, cursor, &header)?;
    if u64::from(header.block_length) > cursor.room {
        let detail = format!("it is longer than the {} blocks left of the ring", cursor.room);
        ring.scope.report(at(&TRANSACTION_MALFORMED).detail(&detail));
        return Err(detail);
    }
    let fits = payload_fits(ring, &header).map_err(|error| {
        ring.scope.report(at(&LOG_UNREADABLE).detail(&error));
        error.to_string()
    })?;
    if fits { Ok((header, checksum)) } else { Err("its records are not whole".into()) }
}

/// Whether the transaction is the one that follows; if not, why.
fn check_place(ring: &Ring<'_>, due: &Cursor, header: &TransactionHeader) -> Result<(), String> {
    if header.volume_id != ring.superblock.volume_id {
        return Err("what follows belongs to another volume".into());
    }
    if header.ring_position != due.position {
        return Err("what follows belongs to another place of the log".into());
    }
    if header.delta != due.delta {
        return Err(format!("what follows is delta {}, of an earlier round", header.delta));
    }
    if header.previous_checksum != due.previous_checksum {
        return Err("what follows was written behind another transaction".into());
    }
    Ok(())
}

/// Compares the records with their checksum, without holding all of them.
pub(super) fn payload_fits(
    ring: &Ring<'_>,
    header: &TransactionHeader,
) -> Result<bool, braidfs_block::BlockError> {
    let mut skip = TRANSACTION_HEADER_BYTES;
    let mut left = header.payload_bytes as usize;
    let mut checksum = 0;
    let blocks = TransactionHeader::blocks_for(header.payload_bytes);
    ring.read_parts(header.ring_position, u64::from(blocks), &mut |bytes| {
        let bytes = bytes.get(skip..).unwrap_or_default();
        let bytes = bytes.get(..left).unwrap_or(bytes);
        checksum = crc32c::crc32c_append(checksum, bytes);
        left -= bytes.len();
        skip = 0;
    })?;
    Ok(checksum == header.payload_checksum)
}

/// Reports marks that go backwards from one transaction to the next.
fn check_marks(ring: &Ring<'_>, before: Option<&TransactionHeader>, header: &TransactionHeader) {
    let Some(before) = before else { return };
    let finding = |problem, expected, found| {
        let finding = Finding::new(problem).delta(header.delta);
        ring.scope.report(finding.expected(expected).found(found));
    };
    if header.durable_through < before.durable_through {
        finding(&DURABLE_MARK_BACKWARDS, before.durable_through, header.durable_through);
    }
    if header.next_inode < before.next_inode {
        finding(&NEXT_INODE_BACKWARDS, before.next_inode, header.next_inode);
    }
}
