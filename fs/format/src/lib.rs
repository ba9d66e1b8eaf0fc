//! Every byte of a braidfs volume as types, without any I/O.
//!
//! Purpose: the one description of the on-disk format that the filesystem and the checker share.
//! `docs/FORMAT.md` draws the same bytes. All integers are little endian; every block carries a
//! crc32c that covers it; every block with a header names its volume, its own address and the delta
//! it was born in, so that a misdirected or stale write is told from a good one.
//!
//! Invariants: a decoder never panics, allocates no more than a small multiple of its input whatever
//! lengths and counts it finds there, and names the record and the offset in its error;
//! `decode(encode(x)) == x` for every value that `encode` accepts (and for every transaction header
//! that does not contradict itself: its encoder cannot fail); what a decoder accepts has one encoding
//! only, but for superblocks with unknown features, whose reserved bytes may be in use.

#![forbid(unsafe_code)]

pub mod bitmap;
pub mod checksum;
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

pub use bitmap::BitmapBlock;
pub use checksum::block_checksum;
pub use error::{FormatError, FormatErrorKind};
pub use features::{CompatFeatures, IncompatFeatures, ReadOnlyCompatFeatures};
pub use geometry::{
    BLOCK_SIZE, BlockAddress, DeltaNumber, GROUP_BLOCKS, Geometry, InodeNumber, NODE_BLOCKS,
    NODE_SIZE, ROOT_INODE,
};
pub use item::{
    DirentBucket, DirentEntry, Extent, ExtentContent, FileKind, InodeRecord, Item, Timestamp,
    XattrBucket, XattrEntry,
};
pub use key::{Key, KeyKind};
pub use log::{LogRecord, MapChange, TransactionHeader, payload_checksum};
pub use name_hash::NameHasher;
pub use node::{Node, NodeEntries, NodePointer};
pub use superblock::Superblock;
