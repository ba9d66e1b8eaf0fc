//! Every byte of a braidfs volume as types, without any I/O.
//!
//! Purpose: the one description of the on-disk format that the filesystem and the checker share.
//! `docs/FORMAT.md` draws the same bytes. All integers are little endian; every block carries a
//! crc32c that covers it; every block with a header names its volume, its own address and the delta
//! it was born in, so that a misdirected or stale write is told from a good one.
//!
//! Invariants: a decoder never panics, never allocates more than its input allows, and names the
//! record and the offset in its error; `decode(encode(x)) == x` for every value that `encode`
//! accepts; an encoder never writes past the space that it was given.

#![forbid(unsafe_code)]

pub mod bitmap;
mod codec;
pub mod error;
pub mod features;
pub mod geometry;
pub mod item;
pub mod key;
pub mod log;
pub mod name_hash;
pub mod node;
pub mod superblock;

pub use error::{FormatError, FormatErrorKind};
pub use features::{CompatFeatures, IncompatFeatures, ReadOnlyCompatFeatures};
pub use geometry::{
    BLOCK_SIZE, BlockAddress, DeltaNumber, Geometry, GROUP_BLOCKS, InodeNumber, NODE_BLOCKS,
    NODE_SIZE,
};
pub use item::{
    DirentBucket, DirentEntry, Extent, ExtentContent, FileKind, InodeRecord, Item, Timestamp,
    XattrBucket, XattrEntry,
};
pub use key::{Key, KeyKind};
pub use log::{LogRecord, MapChange, TransactionHeader};
pub use name_hash::NameHasher;
pub use node::{Node, NodeEntries, NodePointer};
pub use superblock::Superblock;
