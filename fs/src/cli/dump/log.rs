//! The log: the chain of transactions that a mount would replay.

use std::io::{self, Write};

use braidfs_format::log::{TRANSACTION_HEADER_BYTES, payload_checksum};
use braidfs_format::{BLOCK_SIZE, DeltaNumber, LogRecord, Superblock, TransactionHeader};
use serde_json::{Value, json};

use super::item::{compact, record_json};
use crate::cli::error::{CliError, CliResult};
use crate::cli::output::{done, json as print_json};
use crate::cli::raw::RawImage;
use crate::cli::time::utc;

/// Walks the log of an image.
///
/// Only the chain is followed. Whether the data of the last transactions reached the disk, on which
/// replay depends too, is for fsck to say.
pub struct LogWalk<'a> {
    image: &'a RawImage,
    superblock: &'a Superblock,
    position: u64,
    delta: DeltaNumber,
    previous_checksum: u32,
    walked_blocks: u64,
}

/// A transaction in the log.
pub struct Transaction {
    /// Its header.
    pub header: TransactionHeader,
    /// Its records.
    pub records: Vec<LogRecord>,
}

/// What is in the log.
pub struct LogSummary {
    /// Transactions behind the last unify.
    pub transactions: u64,
    /// Blocks that they take.
    pub blocks: u64,
}

impl<'a> LogWalk<'a> {
    /// From the last unify on.
    pub fn new(image: &'a RawImage, superblock: &'a Superblock) -> Self {
        Self {
            image,
            superblock,
            position: superblock.log_tail,
            delta: superblock.unified_through,
            previous_checksum: superblock.log_previous_checksum,
            walked_blocks: 0,
        }
    }

    /// Counts what is left.
    pub fn summary(mut self) -> CliResult<LogSummary> {
        let mut transactions = 0;
        while self.step()?.is_some() {
            transactions += 1;
        }
        Ok(LogSummary { transactions, blocks: self.walked_blocks })
    }

    /// The next transaction, if there is one.
    pub fn step(&mut self) -> CliResult<Option<Transaction>> {
        let Some((header, checksum)) = self.header()? else { return Ok(None) };
        let bytes = self.read(header.block_length.into())?;
        let end = TRANSACTION_HEADER_BYTES + header.payload_bytes as usize;
        let payload = bytes.get(TRANSACTION_HEADER_BYTES..end).unwrap_or_default();
        if payload_checksum(payload) != header.payload_checksum {
            return Ok(None);
        }
        let records = LogRecord::decode_all(payload, header.record_count).map_err(|error| {
            CliError::new(format!("the transaction of delta {}: {error}", header.delta))
        })?;
        self.walked_blocks += u64::from(header.block_length);
        self.position = self.around(header.block_length.into());
        (self.delta, self.previous_checksum) = (header.delta, checksum);
        Ok(Some(Transaction { header, records }))
    }

    /// The header of the next transaction, if what is there continues the chain.
    fn header(&self) -> CliResult<Option<(TransactionHeader, u32)>> {
        let left = self.superblock.geometry.log_blocks.saturating_sub(self.walked_blocks);
        if left == 0 {
            return Ok(None);
        }
        let found = TransactionHeader::decode(&self.read(1)?).ok();
        Ok(found.filter(|(header, _)| {
            header.volume_id == self.superblock.volume_id
                && header.ring_position == self.position
                && Some(header.delta) == self.delta.checked_add(1)
                && header.previous_checksum == self.previous_checksum
                && u64::from(header.block_length) <= left
        }))
    }

    /// Reads blocks from here on, around the end of the ring.
    fn read(&self, blocks: u64) -> CliResult<Vec<u8>> {
        let geometry = &self.superblock.geometry;
        let straight = blocks.min(geometry.log_blocks - self.position);
        let mut bytes = self.image.read(geometry.log_start + self.position, straight)?;
        if straight < blocks {
            bytes.extend(self.image.read(geometry.log_start, blocks - straight)?);
        }
        Ok(bytes)
    }

    fn around(&self, blocks: u64) -> u64 {
        (self.position + blocks) % self.superblock.geometry.log_blocks
    }
}

/// Dumps the log.
pub fn dump(image: &RawImage, with_records: bool, json: bool) -> CliResult {
    let superblock = image.superblock()?;
    let mut walk = LogWalk::new(image, &superblock);
    let mut values = Vec::new();
    let mut out = io::stdout().lock();
    while let Some(transaction) = walk.step()? {
        if json {
            values.push(transaction.to_json(with_records));
        } else if transaction.write(&mut out, with_records).is_err() {
            break;
        }
    }
    if json {
        return print_json(&values);
    }
    let end = superblock.geometry.log_start + walk.position;
    done(writeln!(out, "the log ends at block {end}, after delta {}", walk.delta))
}

impl Transaction {
    fn to_json(&self, with_records: bool) -> Value {
        let header = &self.header;
        let records: Vec<Value> =
            if with_records { self.records.iter().map(record_json).collect() } else { Vec::new() };
        json!({
            "delta": header.delta,
            "position": header.ring_position,
            "blocks": header.block_length,
            "payload_bytes": header.payload_bytes,
            "record_count": header.record_count,
            "durable_through": header.durable_through,
            "next_inode": header.next_inode,
            "mount_id": header.mount_id,
            "written_at": written_at(header),
            "records": records,
        })
    }

    fn write(&self, out: &mut impl Write, with_records: bool) -> io::Result<()> {
        let header = &self.header;
        writeln!(
            out,
            "delta {} at ring position {}: {} records, {} bytes of {}, durable through {}, {}",
            header.delta,
            header.ring_position,
            header.record_count,
            header.payload_bytes,
            u64::from(header.block_length) * BLOCK_SIZE as u64,
            header.durable_through,
            written_at(header),
        )?;
        if !with_records {
            return Ok(());
        }
        self.records
            .iter()
            .try_for_each(|record| writeln!(out, "  {}", compact(&record_json(record))))
    }
}

fn written_at(header: &TransactionHeader) -> String {
    utc((header.written_at_ns / 1_000_000_000) as i64)
}
