//! Log transactions: one a delta, in a ring of its own.
//!
//! A transaction is a whole number of blocks: a [`TransactionHeader`], then its records one behind
//! the other, then zeros. It may wrap around the end of the ring. It is valid when magic, volume,
//! ring position, delta, chain and both checksums fit; data blocks of transactions after the newest
//! `durable_through` mark must fit their checksums too (single-flush commit), else replay ends
//! before the first transaction that does not.

mod header;
mod record;

pub use header::{
    TRANSACTION_HEADER_BYTES, TRANSACTION_MAGIC, TransactionHeader, payload_checksum,
};
pub use record::{LogRecord, MapChange};
