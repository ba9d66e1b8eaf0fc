//! The buffer that transactions are encoded into: aligned for direct I/O and used again and again.

use braidfs_format::log::{TRANSACTION_HEADER_BYTES, payload_checksum};
use braidfs_format::{BLOCK_SIZE, FormatError, FormatErrorKind, LogRecord, TransactionHeader};

use crate::error::{StoreError, StoreErrorKind};

const DOING: &str = "writing a transaction";

/// A transaction in memory, at an address that is a multiple of the block size.
///
/// Invariant: once something has been encoded, `storage[start..]` is the whole transaction.
#[derive(Debug, Default)]
pub(crate) struct TransactionBuffer {
    storage: Vec<u8>,
    start: usize,
}

impl TransactionBuffer {
    /// Encodes `records` under `header`, whose lengths, count and payload checksum are filled in.
    /// Returns the checksum of the header, for the chain.
    pub(crate) fn encode(
        &mut self,
        header: &mut TransactionHeader,
        records: &[LogRecord],
    ) -> Result<u32, StoreError> {
        let payload: usize = records.iter().map(LogRecord::encoded_bytes).sum();
        let payload_bytes = u32::try_from(payload).map_err(|_| too_large(payload))?;
        header.payload_bytes = payload_bytes;
        header.record_count = u32::try_from(records.len()).map_err(|_| too_large(payload))?;
        header.block_length = TransactionHeader::blocks_for(payload_bytes);
        self.prepare(header.block_length as usize * BLOCK_SIZE);
        for record in records {
            record.encode_into(&mut self.storage).map_err(refused)?;
        }
        let body = self.start + TRANSACTION_HEADER_BYTES;
        header.payload_checksum = payload_checksum(self.storage.get(body..).unwrap_or_default());
        self.storage.resize(self.start + header.block_length as usize * BLOCK_SIZE, 0);
        let encoded = header.encode();
        if let Some(place) = self.storage.get_mut(self.start..body) {
            place.copy_from_slice(&encoded);
        }
        Ok(TransactionHeader::decode(&encoded)?.1)
    }

    /// The whole transaction.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.storage.get(self.start..).unwrap_or_default()
    }

    /// Empties the buffer but for room for the header, and makes `bytes` fit without moving it.
    fn prepare(&mut self, bytes: usize) {
        self.storage.clear();
        self.storage.reserve(bytes + BLOCK_SIZE);
        self.start = self.storage.as_ptr().align_offset(BLOCK_SIZE).min(BLOCK_SIZE);
        self.storage.resize(self.start + TRANSACTION_HEADER_BYTES, 0);
    }
}

/// The blocks that a transaction with these records takes.
pub(crate) fn blocks_for(records: &[LogRecord]) -> Result<u64, StoreError> {
    let payload: usize = records.iter().map(LogRecord::encoded_bytes).sum();
    let bytes = u32::try_from(payload).map_err(|_| too_large(payload))?;
    Ok(u64::from(TransactionHeader::blocks_for(bytes)))
}

/// The error for a record that no volume can hold.
fn refused(error: FormatError) -> StoreError {
    let kind = match error.kind {
        FormatErrorKind::TooLarge => StoreErrorKind::TooLarge,
        _ => StoreErrorKind::Invalid,
    };
    StoreError::new(kind, DOING, error.to_string()).caused_by(error)
}

/// The error for changes that are more than any log holds.
pub(crate) fn too_large(bytes: usize) -> StoreError {
    let detail =
        format!("{bytes} bytes of changes can never fit the log; publish in smaller parts");
    StoreError::new(StoreErrorKind::TooLarge, DOING, detail)
}

#[cfg(test)]
mod tests {
    use braidfs_format::{Item, Key};
    use uuid::Uuid;

    use super::*;

    fn header() -> TransactionHeader {
        TransactionHeader {
            volume_id: Uuid::from_u128(7),
            delta: 5,
            ring_position: 3,
            block_length: 0,
            payload_bytes: 0,
            record_count: 0,
            payload_checksum: 0,
            previous_checksum: 11,
            durable_through: 4,
            next_inode: 9,
            mount_id: 1,
            written_at_ns: 2,
        }
    }

    #[test]
    fn transactions_are_whole_aligned_blocks_and_the_buffer_is_used_again() {
        let mut buffer = TransactionBuffer::default();
        for count in [0, 1, 1000, 3, 200] {
            let put = |inode| LogRecord::Put { key: Key::orphan(inode), item: Item::Orphan };
            let records: Vec<_> = (2..count + 2).map(put).collect();
            let mut written = header();
            let checksum = buffer.encode(&mut written, &records).unwrap();
            let bytes = buffer.bytes();
            assert!(bytes.as_ptr().addr().is_multiple_of(BLOCK_SIZE));
            assert_eq!(bytes.len() as u64, blocks_for(&records).unwrap() * BLOCK_SIZE as u64);
            let (decoded, found) = TransactionHeader::decode(bytes).unwrap();
            assert_eq!((decoded, found), (written.clone(), checksum));
            let payload = &bytes[TRANSACTION_HEADER_BYTES..][..written.payload_bytes as usize];
            assert_eq!(payload_checksum(payload), written.payload_checksum);
            assert_eq!(LogRecord::decode_all(payload, written.record_count).unwrap(), records);
            let rest = &bytes[TRANSACTION_HEADER_BYTES + payload.len()..];
            assert!(rest.iter().all(|byte| *byte == 0), "old bytes behind {count} records");
        }
    }
}
