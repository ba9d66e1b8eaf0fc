//! The log of a volume.

use braidfs_block::MemoryDevice;
use braidfs_format::{BLOCK_SIZE, Extent, Item, Key, LogRecord, MapChange, TransactionHeader};
use braidfs_format::{InodeNumber, payload_checksum};

use super::builder::VolumeBuilder;
use super::write_blocks;

/// A transaction; its delta follows from its place.
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    pub records: Vec<LogRecord>,
    /// `None` for the delta before.
    pub durable_through: Option<u64>,
}

impl Transaction {
    pub fn put(mut self, key: Key, item: Item) -> Self {
        self.records.push(LogRecord::Put { key, item });
        self
    }

    pub fn delete(mut self, key: Key) -> Self {
        self.records.push(LogRecord::Delete { key });
        self
    }

    pub fn remove(mut self, inode: InodeNumber) -> Self {
        self.records.push(LogRecord::RemoveInode { inode });
        self
    }

    pub fn map(mut self, inode: InodeNumber, start: u64, extent: Extent) -> Self {
        let change = MapChange { start, length: u64::from(extent.length), extent: Some(extent) };
        self.records.push(LogRecord::Map { inode, change });
        self
    }

    pub fn hole(mut self, inode: InodeNumber, start: u64, length: u64) -> Self {
        let change = MapChange { start, length, extent: None };
        self.records.push(LogRecord::Map { inode, change });
        self
    }

    pub fn durable_through(mut self, delta: u64) -> Self {
        self.durable_through = Some(delta);
        self
    }
}

impl VolumeBuilder {
    /// The delta of the transaction of this index.
    pub fn delta(&self, index: usize) -> u64 {
        self.unified_through + 1 + index as u64
    }

    /// The blocks at which the transactions begin, without those that wrap around.
    pub fn transaction_addresses(&self) -> Vec<u64> {
        let mut position = self.log_tail;
        let mut addresses = Vec::new();
        for transaction in &self.transactions {
            addresses.push(self.geometry.log_start + position % self.geometry.log_blocks);
            let bytes: usize = transaction.records.iter().map(LogRecord::encoded_bytes).sum();
            position += u64::from(TransactionHeader::blocks_for(bytes as u32));
        }
        addresses
    }

    pub(super) fn write_log(&self, device: &MemoryDevice) {
        let mut position = self.log_tail;
        let mut previous_checksum = 0x1234_5678;
        for (index, transaction) in self.transactions.iter().enumerate() {
            let mut payload = Vec::new();
            transaction.records.iter().for_each(|record| record.encode_into(&mut payload).unwrap());
            if let Some(edit) = &self.payload_edit {
                edit(index, &mut payload);
            }
            let delta = self.delta(index);
            let mut header = TransactionHeader {
                volume_id: self.volume_id,
                delta,
                ring_position: position,
                block_length: TransactionHeader::blocks_for(payload.len() as u32),
                payload_bytes: payload.len() as u32,
                record_count: transaction.records.len() as u32,
                payload_checksum: payload_checksum(&payload),
                previous_checksum,
                durable_through: transaction.durable_through.unwrap_or(delta - 1),
                next_inode: self.next_inode + 10,
                mount_id: 7,
                written_at_ns: 1,
            };
            if let Some(edit) = &self.header_edit {
                edit(index, &mut header);
            }
            let mut bytes = header.encode();
            previous_checksum = u32::from_le_bytes(bytes[8..12].try_into().unwrap());
            bytes.extend_from_slice(&payload);
            bytes.resize(bytes.len().next_multiple_of(BLOCK_SIZE), 0);
            for block in bytes.chunks(BLOCK_SIZE) {
                write_blocks(device, self.geometry.log_start + position, block);
                position = (position + 1) % self.geometry.log_blocks;
            }
        }
    }
}
