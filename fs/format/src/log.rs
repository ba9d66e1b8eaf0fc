//! Log transactions: one a delta, in a ring of its own.
//!
//! A transaction is a whole number of blocks: a [`TransactionHeader`], then its records one behind
//! the other, then zeros. It may wrap around the end of the ring. It is valid when magic, volume,
//! ring position, delta, chain and both checksums fit; data blocks of transactions after the newest
//! `durable_through` mark must fit their checksums too (single-flush commit), else replay ends
//! before the first transaction that does not.

use uuid::Uuid;

use crate::geometry::{DeltaNumber, InodeNumber};
use crate::item::{Extent, Item};
use crate::key::Key;

/// Bytes of a transaction header on disk.
pub const TRANSACTION_HEADER_BYTES: usize = 128;

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

/// A change of the map of a file: `start..start + length` (logical blocks) is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapChange {
    /// First logical block.
    pub start: u64,
    /// Blocks that are replaced. With `extent` it equals the extent's length.
    pub length: u64,
    /// What backs them now; `None` for a hole.
    pub extent: Option<Extent>,
}

/// A record of a transaction. Records apply in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogRecord {
    /// The item under `key` is now `item`. Never an extent: those go by [`LogRecord::Map`].
    Put {
        /// The key.
        key: Key,
        /// The item.
        item: Item,
    },
    /// There is no item under `key` any more.
    Delete {
        /// The key.
        key: Key,
    },
    /// Every item of the inode, extents included, is gone.
    RemoveInode {
        /// The inode.
        inode: InodeNumber,
    },
    /// A part of the file's map is replaced.
    Map {
        /// The inode.
        inode: InodeNumber,
        /// The change.
        change: MapChange,
    },
}
