//! The header of a transaction.

use uuid::Uuid;

use crate::checksum;
use crate::codec::{Put, Reader};
use crate::error::FormatError;
use crate::geometry::{BLOCK_SIZE, DeltaNumber, InodeNumber};

/// Bytes of a transaction header on disk.
pub const TRANSACTION_HEADER_BYTES: usize = 128;
/// The first eight bytes of a transaction.
pub const TRANSACTION_MAGIC: [u8; 8] = *b"BRAIDLOG";

/// The name of the record in errors.
const RECORD: &str = "transaction header";

/// The header of a log transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionHeader {
    /// The volume this belongs to.
    pub volume_id: Uuid,
    /// The delta that this transaction commits; one more than its predecessor's.
    pub delta: DeltaNumber,
    /// Where it begins, in blocks from the start of the ring.
    pub ring_position: u64,
    /// Its length in blocks, header and padding included.
    pub block_length: u32,
    /// Bytes of records behind the header.
    pub payload_bytes: u32,
    /// Number of records.
    pub record_count: u32,
    /// crc32c of the payload.
    pub payload_checksum: u32,
    /// `header_checksum` of the transaction before it (0 for the very first of a volume): a
    /// transaction left over from before a crash does not fit behind a newer one.
    pub previous_checksum: u32,
    /// Every delta up to this one was durable when this was written.
    pub durable_through: DeltaNumber,
    /// The next inode number to hand out, after this delta.
    pub next_inode: InodeNumber,
    /// Random for each mount.
    pub mount_id: u64,
    /// When it was written, nanoseconds since 1970.
    pub written_at_ns: u64,
}

/// The checksum of the records of a transaction, as its header has it.
pub fn payload_checksum(payload: &[u8]) -> u32 {
    crc32c::crc32c(payload)
}

impl TransactionHeader {
    /// The blocks that a transaction with this many bytes of records needs.
    pub const fn blocks_for(payload_bytes: u32) -> u32 {
        let bytes = TRANSACTION_HEADER_BYTES as u64 + payload_bytes as u64;
        bytes.div_ceil(BLOCK_SIZE as u64) as u32
    }

    /// The [`TRANSACTION_HEADER_BYTES`] bytes of this header, its own checksum included. It is for
    /// the caller that counts, lengths and checksums fit the records.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TRANSACTION_HEADER_BYTES);
        out.put(&TRANSACTION_MAGIC);
        out.put_u32(0);
        out.put_u32(self.payload_checksum);
        out.put(self.volume_id.as_bytes());
        out.put_u64(self.ring_position);
        out.put_u64(self.delta);
        out.put_u64(self.durable_through);
        out.put_u64(self.next_inode);
        out.put_u64(self.mount_id);
        out.put_u64(self.written_at_ns);
        out.put_u32(self.block_length);
        out.put_u32(self.payload_bytes);
        out.put_u32(self.record_count);
        out.put_u32(self.previous_checksum);
        out.resize(TRANSACTION_HEADER_BYTES, 0);
        checksum::seal(&mut out);
        out
    }

    /// Decodes the header at the start of `bytes`, which may be the whole block, and its checksum,
    /// which the next transaction carries as `previous_checksum`. Whether volume, position, delta
    /// and chain are those expected is for the caller to compare.
    ///
    /// # Errors
    /// [`FormatErrorKind::BadMagic`](crate::FormatErrorKind::BadMagic) or
    /// [`FormatErrorKind::BadChecksum`](crate::FormatErrorKind::BadChecksum) when no transaction
    /// begins here, [`FormatErrorKind::BadField`](crate::FormatErrorKind::BadField) when its fields
    /// contradict each other.
    pub fn decode(bytes: &[u8]) -> Result<(Self, u32), FormatError> {
        let bytes = bytes.get(..TRANSACTION_HEADER_BYTES).unwrap_or(bytes);
        let checksum =
            checksum::verify(RECORD, bytes, TRANSACTION_HEADER_BYTES, TRANSACTION_MAGIC)?;
        let header = Self::read(Reader::new(RECORD, bytes))?;
        header.check()?;
        Ok((header, checksum))
    }

    /// Reads the fields behind the checksum; they are on disk in the order of the literal.
    fn read(mut reader: Reader<'_>) -> Result<Self, FormatError> {
        reader.take(TRANSACTION_MAGIC.len() + 4)?;
        let header = Self {
            payload_checksum: reader.u32()?,
            volume_id: Uuid::from_bytes(reader.array()?),
            ring_position: reader.u64()?,
            delta: reader.u64()?,
            durable_through: reader.u64()?,
            next_inode: reader.u64()?,
            mount_id: reader.u64()?,
            written_at_ns: reader.u64()?,
            block_length: reader.u32()?,
            payload_bytes: reader.u32()?,
            record_count: reader.u32()?,
            previous_checksum: reader.u32()?,
        };
        reader.zeros(reader.remaining())?;
        Ok(header)
    }

    fn check(&self) -> Result<(), FormatError> {
        let bad = |offset, detail: String| Err(FormatError::bad_field(RECORD, offset, detail));
        if self.durable_through >= self.delta {
            let detail = format!("delta {} says that it is durable already", self.delta);
            return bad(48, detail);
        }
        if self.block_length < Self::blocks_for(self.payload_bytes) {
            let detail = format!("{} bytes in {} blocks", self.payload_bytes, self.block_length);
            return bad(80, detail);
        }
        Ok(())
    }
}
