//! Making the volume that a builder describes.

use std::collections::BTreeSet;

use braidfs_block::MemoryDevice;
use braidfs_format::bitmap::BITMAP_BYTES;
use braidfs_format::{
    BLOCK_SIZE, BitmapBlock, CompatFeatures, GROUP_BLOCKS, IncompatFeatures, Item, Key,
    NODE_BLOCKS, Node, NodeEntries, NodePointer, ReadOnlyCompatFeatures, Superblock, checksum,
};

use super::builder::{BytesEdit, VolumeBuilder};
use super::write_blocks;

/// A tree that was written.
struct Tree {
    root: NodePointer,
    level: u8,
    nodes: Vec<u64>,
}

impl VolumeBuilder {
    /// The volume, on a device of its own.
    pub fn build(&self) -> MemoryDevice {
        let device = MemoryDevice::new(self.geometry.block_count * BLOCK_SIZE as u64);
        for (address, page) in &self.data {
            let mut page = page.clone();
            page.resize(BLOCK_SIZE, 0);
            write_blocks(&device, *address, &page);
        }
        let tree = self.write_tree(&device);
        let mut used = self.used_blocks(&tree);
        let used_count = used.len() as u64;
        used.extend(self.geometry.block_count..self.geometry.group_count * GROUP_BLOCKS);
        for block in &self.wrong_bits {
            if !used.remove(block) {
                used.insert(*block);
            }
        }
        self.write_bitmaps(&device, &used);
        self.write_superblocks(&device, &tree, used_count);
        self.write_log(&device);
        device
    }

    /// Addresses of the leaves, in order: nodes are written leaves first.
    pub fn leaf_address(&self, index: usize) -> u64 {
        self.first_node() + index as u64 * NODE_BLOCKS
    }

    /// The first key of a leaf.
    pub fn leaf_start(&self, index: usize) -> Key {
        *self.items.keys().nth(index * self.fanout).unwrap()
    }

    /// The leaf that holds `key`.
    pub fn leaf_with(&self, key: &Key) -> usize {
        self.items.keys().position(|item| item == key).unwrap() / self.fanout
    }

    fn first_node(&self) -> u64 {
        // Room for what tests take after the sample.
        (self.geometry.data_start + 1024).next_multiple_of(NODE_BLOCKS)
    }

    fn write_tree(&self, device: &MemoryDevice) -> Tree {
        assert!(self.end_of_data() <= self.first_node());
        let mut tree = Tree {
            root: NodePointer { address: 0, birth: 0, checksum: 0 },
            level: 0,
            nodes: Vec::new(),
        };
        let items: Vec<(Key, Item)> =
            self.items.iter().map(|(key, item)| (*key, item.clone())).collect();
        let mut row = Vec::new();
        for (index, entries) in items.chunks(self.fanout).enumerate() {
            let edit = self.leaf_edits.get(&index);
            let entries = entries.to_vec();
            let first = entries[0].0;
            let node = self.node(&tree, 0, NodeEntries::Leaf(entries));
            row.push((first, self.write_node(device, &mut tree, node, edit)));
        }
        while row.len() > 1 {
            tree.level += 1;
            let children = std::mem::take(&mut row);
            for entries in children.chunks(self.fanout.max(2)) {
                let mut entries = entries.to_vec();
                let first = entries[0].0;
                if let Some(edit) = &self.interior_edit {
                    edit(tree.level, &mut entries);
                }
                let node = self.node(&tree, tree.level, NodeEntries::Interior(entries));
                row.push((first, self.write_node(device, &mut tree, node, None)));
            }
        }
        tree.root = row[0].1;
        tree
    }

    fn node(&self, tree: &Tree, level: u8, entries: NodeEntries) -> Node {
        let address = self.first_node() + tree.nodes.len() as u64 * NODE_BLOCKS;
        Node { volume_id: self.volume_id, address, birth: self.unified_through, level, entries }
    }

    fn write_node(
        &self,
        device: &MemoryDevice,
        tree: &mut Tree,
        node: Node,
        edit: Option<&BytesEdit>,
    ) -> NodePointer {
        let (mut bytes, mut checksum) = node.encode().unwrap();
        if let Some(edit) = edit {
            edit(&mut bytes);
            checksum = checksum::seal(&mut bytes);
        }
        write_blocks(device, node.address, &bytes);
        tree.nodes.push(node.address);
        NodePointer { address: node.address, birth: node.birth, checksum }
    }

    /// Fixed regions, nodes, and extents that lie in the data area.
    fn used_blocks(&self, tree: &Tree) -> BTreeSet<u64> {
        let geometry = &self.geometry;
        let mut used: BTreeSet<u64> = (0..geometry.data_start).collect();
        used.extend(geometry.data_end()..geometry.block_count);
        for node in &tree.nodes {
            used.extend(*node..*node + NODE_BLOCKS);
        }
        for item in self.items.values() {
            if let Item::Extent(extent) = item
                && let Some((address, length)) = extent.blocks()
                && geometry.holds_data(address, length)
            {
                used.extend(address..address + length);
            }
        }
        used
    }

    fn write_bitmaps(&self, device: &MemoryDevice, used: &BTreeSet<u64>) {
        let geometry = &self.geometry;
        for group in 0..geometry.group_count {
            let mut bits = Box::new([0; BITMAP_BYTES]);
            for index in 0..GROUP_BLOCKS {
                let block = group * GROUP_BLOCKS + index;
                if used.contains(&block) {
                    bits[(index / 8) as usize] |= 1 << (index % 8);
                }
            }
            for (slot, sequence) in [(0, self.sequence), (1, self.sequence - 1)] {
                let address = geometry.bitmap_address(group, slot);
                let bits = bits.clone();
                let bitmap =
                    BitmapBlock { volume_id: self.volume_id, group, address, sequence, bits };
                write_blocks(device, address, &bitmap.encode());
            }
        }
    }

    fn write_superblocks(&self, device: &MemoryDevice, tree: &Tree, used_blocks: u64) {
        for sequence in [self.sequence - 1, self.sequence] {
            for address in self.geometry.superblock_addresses(sequence) {
                let mut superblock = self.superblock(tree, used_blocks);
                superblock.sequence = sequence;
                superblock.own_address = address;
                if let Some(edit) = &self.superblock_edit {
                    edit(&mut superblock);
                }
                write_blocks(device, address, &superblock.encode().unwrap());
            }
        }
    }

    fn superblock(&self, tree: &Tree, used_blocks: u64) -> Superblock {
        let is_inode = |item: &&Item| matches!(item, Item::Inode(_));
        Superblock {
            format_version: braidfs_format::superblock::FORMAT_VERSION,
            compat: CompatFeatures::empty(),
            read_only_compat: ReadOnlyCompatFeatures::empty(),
            incompat: IncompatFeatures::INLINE_EXTENTS,
            volume_id: self.volume_id,
            label: "sample".into(),
            sequence: self.sequence,
            own_address: 0,
            geometry: self.geometry,
            hash_key: self.hash_key,
            created_at_ns: 1,
            root: tree.root,
            root_level: tree.level,
            node_count: tree.nodes.len() as u64,
            inode_count: self.items.values().filter(is_inode).count() as u64,
            used_blocks,
            unified_through: self.unified_through,
            log_tail: self.log_tail,
            log_previous_checksum: 0x1234_5678,
            next_inode: self.next_inode,
            clean: self.clean,
        }
    }
}
