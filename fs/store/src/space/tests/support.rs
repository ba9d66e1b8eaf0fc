//! A volume in memory with a small tree, and ways to look behind its summaries.

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::sync::Arc;

use braidfs_block::{BlockDevice, MemoryDevice};
use braidfs_format::superblock::FORMAT_VERSION;
use braidfs_format::{
    BLOCK_SIZE, BlockAddress, CompatFeatures, GROUP_BLOCKS, Geometry, IncompatFeatures, Key,
    NODE_BLOCKS, ReadOnlyCompatFeatures, Superblock,
};
use uuid::Uuid;

use crate::error::StoreError;
use crate::space::group::Group;
use crate::space::{BitmapUpdate, BlockRun, Space, format_bitmaps};
use crate::tree::{NodeStore, Tree, TreeEdit};

pub const VOLUME_ID: Uuid = Uuid::from_u128(99);

/// A formatted volume: its device, what its superblock would say, its tree, its space.
pub struct Volume {
    pub device: Arc<MemoryDevice>,
    pub superblock: Superblock,
    pub tree: Tree,
    pub space: Arc<Space>,
}

impl Volume {
    /// A volume of `block_count` blocks whose tree has one extent of 10 blocks behind its root.
    pub fn new(block_count: u64) -> Self {
        let geometry = Geometry::for_volume(block_count).unwrap();
        let device = Arc::new(MemoryDevice::new(block_count * BLOCK_SIZE as u64));
        let store = NodeStore::new(device.clone(), VOLUME_ID, 1 << 20);
        let root = geometry.data_start;
        let data = BlockRun::new(root + NODE_BLOCKS, 10);
        let mut edit = TreeEdit::create(store);
        edit.put(Key::extent(2, 0), extent(data)).unwrap();
        let tree = edit.finish(&mut || Ok(root), 1).unwrap().tree;
        let in_use = [BlockRun::new(root, NODE_BLOCKS), data];
        let bitmaps = format_bitmaps(&geometry, VOLUME_ID, 1, &in_use).unwrap();
        write_blocks(&device, bitmaps.blocks());
        let superblock = superblock(geometry, &tree, bitmaps.used_blocks);
        let space = Arc::new(Space::load(&*device, &superblock, &tree).unwrap());
        Self { device, superblock, tree, space }
    }

    pub fn geometry(&self) -> Geometry {
        self.superblock.geometry
    }

    /// The first block behind what the tree uses.
    pub fn first_free(&self) -> BlockAddress {
        self.geometry().data_start + NODE_BLOCKS + 10
    }

    /// The extent of the tree.
    pub fn tree_data(&self) -> BlockRun {
        BlockRun::new(self.geometry().data_start + NODE_BLOCKS, 10)
    }

    /// What a mount would find now.
    pub fn reload(&self) -> Result<Space, StoreError> {
        Space::load(&*self.device, &self.superblock, &self.tree)
    }

    /// Writes the bitmaps of a unify, and the superblock in so far as it is about space.
    pub fn write(&mut self, update: &BitmapUpdate) {
        self.write_bitmaps(update);
        self.superblock.sequence += 1;
        self.superblock.used_blocks = update.used_blocks;
    }

    /// Writes the bitmaps of a unify whose superblock never comes.
    pub fn write_bitmaps(&self, update: &BitmapUpdate) {
        write_blocks(&self.device, update.writes.iter().cloned());
    }

    pub fn damage(&self, address: BlockAddress) {
        write_blocks(&self.device, [(address, vec![0x5a; BLOCK_SIZE])].into_iter());
    }
}

fn superblock(geometry: Geometry, tree: &Tree, used_blocks: u64) -> Superblock {
    Superblock {
        format_version: FORMAT_VERSION,
        compat: CompatFeatures::empty(),
        read_only_compat: ReadOnlyCompatFeatures::empty(),
        incompat: IncompatFeatures::INLINE_EXTENTS,
        volume_id: VOLUME_ID,
        label: String::new(),
        sequence: 1,
        own_address: 0,
        geometry,
        hash_key: [0; 16],
        created_at_ns: 0,
        root: tree.root(),
        root_level: tree.level(),
        node_count: 1,
        inode_count: 1,
        used_blocks,
        unified_through: 0,
        log_tail: 0,
        log_previous_checksum: 0,
        next_inode: 2,
        clean: true,
    }
}

fn write_blocks(device: &MemoryDevice, blocks: impl Iterator<Item = (BlockAddress, Vec<u8>)>) {
    for (address, bytes) in blocks {
        device.write_at(address * BLOCK_SIZE as u64, &[IoSlice::new(&bytes)]).unwrap();
    }
}

fn extent(run: BlockRun) -> braidfs_format::Item {
    use braidfs_format::{Extent, ExtentContent, Item};
    let length = run.length as u32;
    let content = ExtentContent::Unwritten { address: run.start, birth: 1 };
    Item::Extent(Extent { length, content })
}

/// The blocks in use, by the bits alone.
pub fn used_blocks(space: &Space) -> BTreeSet<BlockAddress> {
    blocks_of(space, |group, word| group.used(word))
}

/// The blocks that the tree on the device refers to, by the bits alone.
pub fn persisted_blocks(space: &Space) -> BTreeSet<BlockAddress> {
    blocks_of(space, |group, word| group.persisted(word))
}

fn blocks_of(space: &Space, word_of: fn(&Group, usize) -> u64) -> BTreeSet<BlockAddress> {
    let state = space.state.lock();
    let is_set = |block: &BlockAddress| {
        let group = &state.bitmaps.groups[(block / GROUP_BLOCKS) as usize];
        let bit = block % GROUP_BLOCKS;
        word_of(group, (bit / 64) as usize) >> (bit % 64) & 1 == 1
    };
    (0..state.bitmaps.geometry.block_count).filter(is_set).collect()
}

/// Checks that every summary is what the bits say.
pub fn assert_sums(space: &Space) {
    let used = used_blocks(space);
    let free_in = |range: std::ops::Range<u64>| range.filter(|block| !used.contains(block)).count();
    let state = space.state.lock();
    let (mut free, mut quads) = (0, 0);
    for section in &state.bitmaps.sections {
        assert_eq!(section.free, free_in(section.blocks.clone()) as u64, "{section:?}");
        let starts = section.blocks.clone().filter(|block| block % NODE_BLOCKS == 0);
        let whole = starts
            .filter(|start| start + NODE_BLOCKS <= section.blocks.end)
            .filter(|start| free_in(*start..start + NODE_BLOCKS) == NODE_BLOCKS as usize);
        assert_eq!(section.quads, whole.count() as u64, "{section:?}");
        let mut longest = 0;
        let mut length = 0;
        for block in section.blocks.clone() {
            length = if used.contains(&block) { 0 } else { length + 1 };
            longest = longest.max(length);
        }
        assert!(section.longest >= longest && section.longest <= section.free, "{section:?}");
        free += section.free;
        quads += section.quads;
    }
    drop(state);
    let counts = space.counts();
    assert_eq!((counts.free, counts.free_quads), (free, quads));
}
