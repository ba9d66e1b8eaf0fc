//! The reading end of the log: walks the chain of transactions that replay would apply.

use braidfs_block::BlockDevice;
use braidfs_format::log::{TRANSACTION_HEADER_BYTES, payload_checksum};
use braidfs_format::{BLOCK_SIZE, Geometry, LogRecord, TransactionHeader};
use uuid::Uuid;

use super::ring::{Placed, RingStart};
use crate::error::{ErrorContext, StoreError};

/// Blocks that are read at once.
const WINDOW_BLOCKS: u64 = 256;

/// What comes next in the log.
#[derive(Debug)]
pub(crate) enum Step {
    /// A valid transaction and its records.
    Transaction(Placed, Vec<LogRecord>),
    /// The end. If something is there that was meant to be the next transaction but is not whole,
    /// what is wrong with it.
    End(Option<String>),
}

/// Walks the log.
pub(crate) struct LogReader<'a> {
    device: &'a dyn BlockDevice,
    volume_id: Uuid,
    start: u64,
    length: u64,
    at: RingStart,
    walked: u64,
    window: Window,
}

/// Blocks of the ring that have been read ahead.
#[derive(Debug, Default)]
struct Window {
    position: u64,
    bytes: Vec<u8>,
}

impl<'a> LogReader<'a> {
    /// A reader that begins behind `from`.
    pub(crate) fn new(
        device: &'a dyn BlockDevice,
        geometry: &Geometry,
        volume_id: Uuid,
        from: RingStart,
    ) -> Self {
        Self {
            device,
            volume_id,
            start: geometry.log_start,
            length: geometry.log_blocks,
            at: from,
            walked: 0,
            window: Window::default(),
        }
    }

    /// Blocks of all transactions so far.
    pub(crate) fn walked(&self) -> u64 {
        self.walked
    }

    /// Reads the next transaction.
    ///
    /// # Errors
    /// When the device fails, or when a transaction with a valid checksum holds records that are
    /// not valid: that is not a crash's doing, and going on without it would lose changes.
    pub(crate) fn next(&mut self) -> Result<Step, StoreError> {
        if self.walked == self.length {
            return Ok(Step::End(None));
        }
        let mut bytes = Vec::new();
        self.read(self.at.position, 1, &mut bytes)?;
        let Some((header, checksum)) = self.header(&bytes) else { return Ok(Step::End(None)) };
        let blocks = u64::from(header.block_length);
        self.read((self.at.position + 1) % self.length, blocks - 1, &mut bytes)?;
        let end = TRANSACTION_HEADER_BYTES + header.payload_bytes as usize;
        let payload = bytes.get(TRANSACTION_HEADER_BYTES..end).unwrap_or_default();
        if payload_checksum(payload) != header.payload_checksum {
            let detail = format!("the transaction of delta {} is not whole", header.delta);
            return Ok(Step::End(Some(detail)));
        }
        let records = LogRecord::decode_all(payload, header.record_count)
            .doing("replaying the log")
            .at_block(self.start + self.at.position)?;
        Ok(Step::Transaction(self.advance(&header, checksum), records))
    }

    /// The header at the start of `bytes`, if it is that of the next transaction.
    fn header(&self, bytes: &[u8]) -> Option<(TransactionHeader, u32)> {
        let (header, checksum) = TransactionHeader::decode(bytes).ok()?;
        let blocks = u64::from(header.block_length);
        let fits = header.volume_id == self.volume_id
            && header.ring_position == self.at.position
            && header.delta == self.at.delta + 1
            && header.previous_checksum == self.at.checksum
            && blocks <= self.length - self.walked;
        fits.then_some((header, checksum))
    }

    fn advance(&mut self, header: &TransactionHeader, checksum: u32) -> Placed {
        let placed = Placed {
            delta: header.delta,
            position: self.at.position,
            blocks: u64::from(header.block_length),
            checksum,
            durable_through: header.durable_through,
            next_inode: header.next_inode,
        };
        let position = (placed.position + placed.blocks) % self.length;
        self.at = RingStart { delta: header.delta, position, checksum };
        self.walked += placed.blocks;
        placed
    }

    /// Appends `blocks` blocks from `position` on, around the end of the ring.
    fn read(&mut self, position: u64, blocks: u64, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let (mut position, mut left) = (position, blocks);
        while left > 0 {
            let ahead = self.window(position)?;
            let taken = left.min((ahead.len() / BLOCK_SIZE) as u64);
            out.extend_from_slice(ahead.get(..taken as usize * BLOCK_SIZE).unwrap_or_default());
            position = (position + taken) % self.length;
            left -= taken;
        }
        Ok(())
    }

    /// The blocks from `position` on that are in memory, at least one; reads them if need be.
    fn window(&mut self, position: u64) -> Result<&[u8], StoreError> {
        let held = (self.window.bytes.len() / BLOCK_SIZE) as u64;
        let within = position >= self.window.position && position - self.window.position < held;
        if !within {
            let blocks = WINDOW_BLOCKS.min(self.length - position);
            self.window.bytes.resize(blocks as usize * BLOCK_SIZE, 0);
            self.window.position = position;
            let block = self.start + position;
            self.device
                .read_at(block * BLOCK_SIZE as u64, &mut self.window.bytes)
                .doing("replaying the log")
                .at_block(block)?;
        }
        let skip = (position - self.window.position) as usize * BLOCK_SIZE;
        Ok(self.window.bytes.get(skip..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use braidfs_block::MemoryDevice;
    use braidfs_format::Key;

    use super::*;
    use crate::log::Ring;

    const VOLUME: Uuid = Uuid::from_u128(1);

    fn geometry() -> Geometry {
        Geometry::with_log(4096, 64).unwrap()
    }

    fn device() -> MemoryDevice {
        MemoryDevice::new(16 << 20)
    }

    fn start() -> RingStart {
        RingStart { delta: 0, position: 60, checksum: 0 }
    }

    fn ring(mount_id: u64, at: RingStart) -> Ring {
        Ring::new(&geometry(), VOLUME, mount_id, at, VecDeque::new())
    }

    fn deletions(count: u64) -> Vec<LogRecord> {
        (2..count + 2).map(|inode| LogRecord::Delete { key: Key::orphan(inode) }).collect()
    }

    fn append(ring: &mut Ring, device: &MemoryDevice, count: u64) -> Placed {
        let records = deletions(count);
        assert!(ring.fits(&records).unwrap());
        ring.append(device, &records, 9, ring.head().delta, 77).unwrap()
    }

    /// The deltas that are found, and why no more.
    fn walk(device: &MemoryDevice, volume_id: Uuid, from: RingStart) -> (Vec<u64>, Option<String>) {
        let geometry = geometry();
        let mut reader = LogReader::new(device, &geometry, volume_id, from);
        let mut deltas = Vec::new();
        loop {
            match reader.next().unwrap() {
                Step::Transaction(placed, records) => {
                    assert_eq!(records, deletions(records.len() as u64));
                    deltas.push(placed.delta);
                }
                Step::End(reason) => return (deltas, reason),
            }
        }
    }

    #[test]
    fn what_was_appended_is_read_back_over_the_end_of_the_ring() {
        let (device, mut ring) = (device(), ring(1, start()));
        let placed: Vec<_> =
            [0, 10, 1000, 1].iter().map(|count| append(&mut ring, &device, *count)).collect();
        assert_eq!(
            placed.iter().map(|placed| placed.position).collect::<Vec<_>>(),
            [60, 61, 62, 3]
        );
        assert_eq!(walk(&device, VOLUME, start()), (vec![1, 2, 3, 4], None));
        assert_eq!(walk(&device, VOLUME, ring.start_after(2)), (vec![3, 4], None));
        assert_eq!(walk(&device, Uuid::from_u128(2), start()).0, []);
        ring.retire_through(3);
        assert_eq!((ring.used(), ring.next_delta()), (1, 5));
        assert_eq!(ring.start_after(0).position, 3);
    }

    #[test]
    fn a_torn_transaction_ends_the_log_and_says_so() {
        let (device, mut ring) = (device(), ring(1, start()));
        append(&mut ring, &device, 10);
        let torn = append(&mut ring, &device, 1000);
        append(&mut ring, &device, 10);
        let block = geometry().log_start + (torn.position + 2) % 64;
        let zeros = std::io::IoSlice::new(&[0; BLOCK_SIZE]);
        device.write_at(block * BLOCK_SIZE as u64, &[zeros]).unwrap();
        let (deltas, reason) = walk(&device, VOLUME, start());
        assert_eq!(deltas, [1]);
        assert!(reason.unwrap().contains("delta 2"));
    }

    #[test]
    fn leftovers_of_another_life_do_not_fit_the_chain() {
        let (device, mut first) = (device(), ring(1, start()));
        for _ in 0..5 {
            append(&mut first, &device, 3);
        }
        // Another mount wrote its second transaction over that of the first one.
        let mut second = ring(2, first.start_after(1));
        append(&mut second, &device, 0);
        assert_eq!(walk(&device, VOLUME, start()), (vec![1, 2], None));
    }

    #[test]
    fn a_full_ring_is_walked_once() {
        let (device, mut ring) = (device(), ring(1, start()));
        for _ in 0..64 {
            append(&mut ring, &device, 3);
        }
        assert!(!ring.fits(&[]).unwrap());
        let (deltas, reason) = walk(&device, VOLUME, start());
        assert_eq!((deltas.len(), reason), (64, None));
    }
}
