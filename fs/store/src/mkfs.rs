//! Making a volume.

use std::io::IoSlice;
use std::time::{SystemTime, UNIX_EPOCH};

use braidfs_block::BlockDevice;
use braidfs_format::geometry::{MIN_VOLUME_BLOCKS, ROOT_INODE};
use braidfs_format::superblock::FORMAT_VERSION;
use braidfs_format::{
    BLOCK_SIZE, BlockAddress, CompatFeatures, Geometry, IncompatFeatures, InodeRecord, Item, Key,
    NODE_BLOCKS, Node, NodeEntries, NodePointer, ReadOnlyCompatFeatures, Superblock, Timestamp,
};
use uuid::Uuid;

use crate::error::{ErrorContext, StoreError};
use crate::space::{BlockRun, format_bitmaps};
use crate::store::Store;
use crate::superblocks;

const DOING: &str = "making the volume";
/// Blocks written at once.
const BATCH_BLOCKS: u64 = 256;
/// Type and permissions of the root directory.
const ROOT_MODE: u32 = 0o040_755;

/// How a volume is to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormatOptions {
    /// The label, up to 64 bytes.
    pub label: String,
    /// The volume's id; random if `None`.
    pub volume_id: Option<Uuid>,
    /// Blocks of the log ring; 1/32 of the volume, at least 1 MiB and at most 128 MiB, if `None`.
    pub log_blocks: Option<u64>,
    /// Secret of the name hash; random if `None`.
    pub hash_key: Option<[u8; 16]>,
    /// Owner of the root directory.
    pub root_uid: u32,
    /// Group of the root directory.
    pub root_gid: u32,
    /// When the volume is made; now if `None`.
    pub created_at: Option<Timestamp>,
}

impl Store {
    /// Makes a volume that fills `device`: whatever is on it is lost. `progress` is told blocks
    /// written and blocks to write.
    ///
    /// The old superblocks go first and the new ones come last, so that a volume made in part is
    /// never taken for one.
    ///
    /// # Errors
    /// [`StoreErrorKind::Invalid`](crate::StoreErrorKind::Invalid) for sizes or a label that make
    /// no sense, before anything is written; a failure of the device.
    pub fn format(
        device: &dyn BlockDevice,
        options: &FormatOptions,
        progress: &dyn Fn(u64, u64),
    ) -> Result<Superblock, StoreError> {
        let superblock = plan(device, options)?;
        Maker::new(device, &superblock, progress).make(superblock, options)
    }
}

/// The superblock of the new volume, but for what is known when the rest is written. Writes
/// nothing.
fn plan(device: &dyn BlockDevice, options: &FormatOptions) -> Result<Superblock, StoreError> {
    let geometry = geometry_of(device, options.log_blocks)?;
    let created_at = options.created_at.unwrap_or_else(now);
    let superblock = Superblock {
        format_version: FORMAT_VERSION,
        compat: CompatFeatures::empty(),
        read_only_compat: ReadOnlyCompatFeatures::empty(),
        incompat: IncompatFeatures::INLINE_EXTENTS,
        volume_id: options.volume_id.unwrap_or_else(Uuid::new_v4),
        label: options.label.clone(),
        sequence: 0,
        own_address: 0,
        geometry,
        hash_key: options.hash_key.unwrap_or_else(|| *Uuid::new_v4().as_bytes()),
        created_at_ns: nanoseconds(created_at),
        root: NodePointer { address: geometry.data_start, birth: 0, checksum: 0 },
        root_level: 0,
        node_count: 1,
        inode_count: 1,
        used_blocks: 0,
        unified_through: 0,
        log_tail: 0,
        log_previous_checksum: 0,
        next_inode: ROOT_INODE + 1,
        clean: true,
    };
    superblock
        .encode()
        .map_err(|error| StoreError::invalid(DOING, error.detail.clone()).caused_by(error))?;
    Ok(superblock)
}

fn geometry_of(device: &dyn BlockDevice, log_blocks: Option<u64>) -> Result<Geometry, StoreError> {
    let blocks = device.geometry().size_bytes / BLOCK_SIZE as u64;
    let geometry = match log_blocks {
        Some(log_blocks) => Geometry::with_log(blocks, log_blocks),
        None => Geometry::for_volume(blocks),
    };
    geometry.map_err(|error| {
        let detail = format!(
            "{} (the device has {blocks} blocks of 4096 bytes; at least {MIN_VOLUME_BLOCKS} are \
             needed)",
            error.detail
        );
        StoreError::invalid(DOING, detail).caused_by(error)
    })
}

/// Writes the parts of a volume, one behind the other.
struct Maker<'a> {
    device: &'a dyn BlockDevice,
    geometry: Geometry,
    progress: &'a dyn Fn(u64, u64),
    done: u64,
    total: u64,
}

impl<'a> Maker<'a> {
    fn new(
        device: &'a dyn BlockDevice,
        superblock: &Superblock,
        progress: &'a dyn Fn(u64, u64),
    ) -> Self {
        let geometry = superblock.geometry;
        let total = geometry.log_blocks + 2 * geometry.group_count + NODE_BLOCKS;
        Self { device, geometry, progress, done: 0, total }
    }

    fn make(
        mut self,
        mut superblock: Superblock,
        options: &FormatOptions,
    ) -> Result<Superblock, StoreError> {
        self.erase_superblocks()?;
        self.write_log()?;
        self.write_root(&mut superblock, options)?;
        self.write_bitmaps(&mut superblock)?;
        self.flush()?;
        // Both slots hold the same state; either alone makes the volume.
        for sequence in [0, 1] {
            superblock.sequence = sequence;
            superblocks::write(self.device, &superblock).doing(DOING)?;
        }
        self.flush()?;
        superblock.own_address = self.geometry.superblock_addresses(1)[0];
        Ok(superblock)
    }

    fn erase_superblocks(&self) -> Result<(), StoreError> {
        let zeros = [0; BLOCK_SIZE];
        for slot in [0, 1] {
            for address in self.geometry.superblock_addresses(slot) {
                self.write(address, &zeros)?;
            }
        }
        self.flush()
    }

    /// Writes the ring out, so that its blocks are there when a commit needs them.
    fn write_log(&mut self) -> Result<(), StoreError> {
        let zeros = vec![0; BATCH_BLOCKS as usize * BLOCK_SIZE];
        let (mut at, end) =
            (self.geometry.log_start, self.geometry.log_start + self.geometry.log_blocks);
        while at < end {
            let blocks = BATCH_BLOCKS.min(end - at);
            self.write(at, zeros.get(..blocks as usize * BLOCK_SIZE).unwrap_or_default())?;
            self.advance(blocks);
            at += blocks;
        }
        Ok(())
    }

    fn write_root(
        &mut self,
        superblock: &mut Superblock,
        options: &FormatOptions,
    ) -> Result<(), StoreError> {
        let record = root_inode(options, options.created_at.unwrap_or_else(now));
        let node = Node {
            volume_id: superblock.volume_id,
            address: superblock.root.address,
            birth: 0,
            level: 0,
            entries: NodeEntries::Leaf(vec![(Key::inode(ROOT_INODE), Item::Inode(record))]),
        };
        let (bytes, checksum) = node.encode().doing(DOING)?;
        self.write(node.address, &bytes)?;
        superblock.root.checksum = checksum;
        self.advance(NODE_BLOCKS);
        Ok(())
    }

    fn write_bitmaps(&mut self, superblock: &mut Superblock) -> Result<(), StoreError> {
        let root = BlockRun::new(superblock.root.address, NODE_BLOCKS);
        let bitmaps = format_bitmaps(&self.geometry, superblock.volume_id, 0, &[root])?;
        superblock.used_blocks = bitmaps.used_blocks;
        let mut batch: Vec<u8> = Vec::new();
        let mut start = self.geometry.bitmap_start;
        for (address, bytes) in bitmaps.blocks() {
            let next = start + (batch.len() / BLOCK_SIZE) as u64;
            if address != next || next - start == BATCH_BLOCKS {
                self.write_batch(start, &mut batch)?;
                start = address;
            }
            batch.extend_from_slice(&bytes);
        }
        self.write_batch(start, &mut batch)
    }

    fn write_batch(&mut self, start: BlockAddress, batch: &mut Vec<u8>) -> Result<(), StoreError> {
        if !batch.is_empty() {
            self.write(start, batch)?;
            self.advance((batch.len() / BLOCK_SIZE) as u64);
            batch.clear();
        }
        Ok(())
    }

    fn write(&self, address: BlockAddress, bytes: &[u8]) -> Result<(), StoreError> {
        let offset = address * BLOCK_SIZE as u64;
        self.device.write_at(offset, &[IoSlice::new(bytes)]).doing(DOING).at_block(address)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.device.flush().doing(DOING)
    }

    fn advance(&mut self, blocks: u64) {
        self.done += blocks;
        (self.progress)(self.done, self.total);
    }
}

fn root_inode(options: &FormatOptions, created: Timestamp) -> InodeRecord {
    InodeRecord {
        mode: ROOT_MODE,
        uid: options.root_uid,
        gid: options.root_gid,
        links: 2,
        generation: 1,
        device: 0,
        flags: 0,
        size: 0,
        blocks: 0,
        parent: ROOT_INODE,
        accessed: created,
        modified: created,
        changed: created,
        created,
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    Timestamp { seconds, nanoseconds: since.subsec_nanos() }
}

fn nanoseconds(time: Timestamp) -> u64 {
    let seconds = u64::try_from(time.seconds).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::from(time.nanoseconds))
}
