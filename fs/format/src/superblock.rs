//! The superblock: two slots that alternate, each with a copy at the far end of the volume.
//!
//! The slot with the highest sequence whose checksum fits is the volume's state as of its last
//! unify; the log's transactions after `unified_through` come on top of it.

mod check;
mod codec;

use uuid::Uuid;

use crate::features::{CompatFeatures, IncompatFeatures, ReadOnlyCompatFeatures};
use crate::geometry::{BlockAddress, DeltaNumber, Geometry, InodeNumber};
use crate::node::NodePointer;

/// The first eight bytes of a volume.
pub const SUPERBLOCK_MAGIC: [u8; 8] = *b"BRAIDFS\0";
/// The version of the layout that this code writes.
pub const FORMAT_VERSION: u32 = 1;
/// Bytes of a label, zero-padded.
pub const LABEL_BYTES: usize = 64;

/// A superblock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Features that older code may ignore.
    pub compat: CompatFeatures,
    /// Features that allow older code to read only.
    pub read_only_compat: ReadOnlyCompatFeatures,
    /// Features that older code must refuse.
    pub incompat: IncompatFeatures,
    /// The volume's id, also in every header.
    pub volume_id: Uuid,
    /// The label: UTF-8, up to [`LABEL_BYTES`].
    pub label: String,
    /// Higher is newer; the slot is `sequence & 1`.
    pub sequence: u64,
    /// Where this copy lies.
    pub own_address: BlockAddress,
    /// The fixed regions.
    pub geometry: Geometry,
    /// Secret of the name hash (SipHash-1-3).
    pub hash_key: [u8; 16],
    /// When the volume was made, nanoseconds since 1970.
    pub created_at_ns: u64,
    /// The root of the tree.
    pub root: NodePointer,
    /// The level of the root; 0 if it is a leaf.
    pub root_level: u8,
    /// Nodes in the tree.
    pub node_count: u64,
    /// Inodes on the volume.
    pub inode_count: u64,
    /// Blocks in use: fixed regions, nodes and data. What the bitmaps sum up to.
    pub used_blocks: u64,
    /// Every delta up to this one is in the tree.
    pub unified_through: DeltaNumber,
    /// Where the transaction of delta `unified_through + 1` begins, in blocks from the ring's start.
    pub log_tail: u64,
    /// The header checksum of the transaction of `unified_through`; 0 if there never was one.
    pub log_previous_checksum: u32,
    /// The next inode number to hand out.
    pub next_inode: InodeNumber,
    /// Whether the volume was unmounted in order after this was written, with an empty log.
    pub clean: bool,
}

impl Superblock {
    /// Whether the volume has features that allow this code to read, but not to write.
    pub fn requires_read_only(&self) -> bool {
        !ReadOnlyCompatFeatures::all().contains(self.read_only_compat)
    }

    /// Whether the volume has features that this code does not know but may ignore, or read past.
    pub(crate) fn has_unknown_features(&self) -> bool {
        self.requires_read_only() || !CompatFeatures::all().contains(self.compat)
    }
}
