//! The writing end of the log.
//!
//! Purpose: gives each transaction its place and its link in the chain, writes it, and knows what
//! of the ring is free. It stands behind one mutex of the store; a transaction is written under it,
//! so that transactions reach the device in order. Flushes are not made under it.

use std::collections::VecDeque;
use std::io::IoSlice;

use braidfs_block::BlockDevice;
use braidfs_format::{
    BLOCK_SIZE, DeltaNumber, Geometry, InodeNumber, LogRecord, TransactionHeader,
};
use uuid::Uuid;

use super::buffer::{TransactionBuffer, blocks_for, too_large};
use crate::error::{ErrorContext, StoreError};

/// A transaction in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    /// The delta it commits.
    pub(crate) delta: DeltaNumber,
    /// Where it begins, in blocks from the ring's start.
    pub(crate) position: u64,
    /// Its length.
    pub(crate) blocks: u64,
    /// The checksum of its header.
    pub(crate) checksum: u32,
    /// What it says of durable deltas.
    pub(crate) durable_through: DeltaNumber,
    /// The next inode number as of it.
    pub(crate) next_inode: InodeNumber,
}

/// Where the log begins: behind the transaction of the last unified delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RingStart {
    /// The last unified delta.
    pub(crate) delta: DeltaNumber,
    /// Where the next transaction begins, in blocks from the ring's start.
    pub(crate) position: u64,
    /// The checksum of the last unified transaction's header.
    pub(crate) checksum: u32,
}

/// The ring as its writer sees it.
#[derive(Debug)]
pub(crate) struct Ring {
    volume_id: Uuid,
    mount_id: u64,
    /// First block on the volume, and length.
    start: u64,
    length: u64,
    /// Behind what a unify made unnecessary.
    tail: RingStart,
    /// What replay would read, oldest first.
    transactions: VecDeque<Placed>,
    used: u64,
    buffer: TransactionBuffer,
}

impl Ring {
    /// A ring in which `transactions` follow `tail`.
    pub(crate) fn new(
        geometry: &Geometry,
        volume_id: Uuid,
        mount_id: u64,
        tail: RingStart,
        transactions: VecDeque<Placed>,
    ) -> Self {
        let used = transactions.iter().map(|placed| placed.blocks).sum();
        Self {
            volume_id,
            mount_id,
            start: geometry.log_start,
            length: geometry.log_blocks,
            tail,
            transactions,
            used,
            buffer: TransactionBuffer::default(),
        }
    }

    /// The end of the log: the newest delta in it, where the next transaction goes, and the
    /// checksum that it is chained to.
    pub(crate) fn head(&self) -> RingStart {
        self.transactions.back().map_or(self.tail, |placed| self.behind(placed))
    }

    /// The delta that the next transaction commits.
    pub(crate) fn next_delta(&self) -> DeltaNumber {
        self.head().delta + 1
    }

    /// Where the log begins once everything up to `delta` is unified.
    pub(crate) fn start_after(&self, delta: DeltaNumber) -> RingStart {
        let last = self.transactions.iter().take_while(|placed| placed.delta <= delta).last();
        last.map_or(self.tail, |placed| self.behind(placed))
    }

    /// Gives back the room of the transactions up to `delta`, which are unified.
    pub(crate) fn retire_through(&mut self, delta: DeltaNumber) {
        self.tail = self.start_after(delta);
        while self.transactions.front().is_some_and(|placed| placed.delta <= delta) {
            if let Some(placed) = self.transactions.pop_front() {
                self.used -= placed.blocks;
            }
        }
    }

    /// Blocks that transactions occupy.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// Blocks of the ring.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Whether a transaction with these records fits now.
    ///
    /// # Errors
    /// [`StoreErrorKind::TooLarge`](crate::StoreErrorKind::TooLarge) if it would not fit an empty
    /// ring either.
    pub(crate) fn fits(&self, records: &[LogRecord]) -> Result<bool, StoreError> {
        let blocks = blocks_for(records)?;
        if blocks > self.length {
            return Err(too_large(blocks as usize * BLOCK_SIZE));
        }
        Ok(blocks <= self.length - self.used)
    }

    /// Encodes and writes the next transaction, which [`Ring::fits`]. After an error from the
    /// device nothing is known about what the ring holds there.
    pub(crate) fn append(
        &mut self,
        device: &dyn BlockDevice,
        records: &[LogRecord],
        next_inode: InodeNumber,
        durable_through: DeltaNumber,
        written_at_ns: u64,
    ) -> Result<Placed, AppendError> {
        let head = self.head();
        let mut header = TransactionHeader {
            volume_id: self.volume_id,
            delta: head.delta + 1,
            ring_position: head.position,
            block_length: 0,
            payload_bytes: 0,
            record_count: 0,
            payload_checksum: 0,
            previous_checksum: head.checksum,
            durable_through,
            next_inode,
            mount_id: self.mount_id,
            written_at_ns,
        };
        let checksum = self.buffer.encode(&mut header, records).map_err(AppendError::Refused)?;
        self.write(device, head.position).map_err(AppendError::Device)?;
        let placed = Placed {
            delta: header.delta,
            position: head.position,
            blocks: u64::from(header.block_length),
            checksum,
            durable_through,
            next_inode,
        };
        self.transactions.push_back(placed);
        self.used += placed.blocks;
        Ok(placed)
    }

    /// Writes the buffer at `position`, in two parts where it passes the end of the ring.
    fn write(&self, device: &dyn BlockDevice, position: u64) -> Result<(), StoreError> {
        let bytes = self.buffer.bytes();
        let room = (self.length - position) as usize * BLOCK_SIZE;
        let (first, wrapped) = bytes.split_at(bytes.len().min(room));
        for (block, part) in [(self.start + position, first), (self.start, wrapped)] {
            if !part.is_empty() {
                device
                    .write_at(block * BLOCK_SIZE as u64, &[IoSlice::new(part)])
                    .doing("writing a transaction")
                    .at_block(block)?;
            }
        }
        Ok(())
    }

    fn behind(&self, placed: &Placed) -> RingStart {
        RingStart {
            delta: placed.delta,
            position: (placed.position + placed.blocks) % self.length,
            checksum: placed.checksum,
        }
    }
}

/// Why a transaction was not appended.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// Its records cannot be encoded; nothing was written.
    Refused(StoreError),
    /// The device failed while it was written.
    Device(StoreError),
}
