//! What a volume is to hold, and how it is to be wrong.

use std::collections::BTreeMap;

use braidfs_format::{
    DirentBucket, DirentEntry, Extent, ExtentContent, FileKind, Geometry, InodeNumber, InodeRecord,
    Item, Key, NameHasher, NodePointer, Superblock, Timestamp, TransactionHeader, XattrBucket,
    XattrEntry, block_checksum,
};
use uuid::Uuid;

use super::log::Transaction;

/// Changes the bytes of a node; checksums are put right afterwards.
pub type BytesEdit = Box<dyn Fn(&mut Vec<u8>)>;
/// Changes the entries of an interior node of some level.
pub type InteriorEdit = Box<dyn Fn(u8, &mut Vec<(Key, NodePointer)>)>;
/// Changes the superblock before it is written.
pub type SuperblockEdit = Box<dyn Fn(&mut Superblock)>;
/// Changes the header of the transaction of this index.
pub type HeaderEdit = Box<dyn Fn(usize, &mut TransactionHeader)>;
/// Changes the records of the transaction of this index, as bytes; checksums are put right
/// afterwards.
pub type PayloadEdit = Box<dyn Fn(usize, &mut Vec<u8>)>;

/// A volume to be made. What the fields say is what gets onto the disk, right or wrong.
pub struct VolumeBuilder {
    pub geometry: Geometry,
    pub volume_id: Uuid,
    pub hash_key: [u8; 16],
    pub sequence: u64,
    pub unified_through: u64,
    pub next_inode: u64,
    pub log_tail: u64,
    pub clean: bool,
    /// The items of the tree.
    pub items: BTreeMap<Key, Item>,
    /// Data that lies on the disk, by block.
    pub data: BTreeMap<u64, Vec<u8>>,
    /// The log.
    pub transactions: Vec<Transaction>,
    /// Entries of a leaf, and children of a node, at most.
    pub fanout: usize,
    /// Blocks whose bits are turned over in the bitmap.
    pub wrong_bits: Vec<u64>,
    pub leaf_edits: BTreeMap<usize, BytesEdit>,
    pub interior_edit: Option<InteriorEdit>,
    pub superblock_edit: Option<SuperblockEdit>,
    pub header_edit: Option<HeaderEdit>,
    pub payload_edit: Option<PayloadEdit>,
    next_block: u64,
}

impl VolumeBuilder {
    /// A volume with nothing but a root directory.
    pub fn new() -> Self {
        let geometry = Geometry::with_log(8192, 64).unwrap();
        let mut builder = Self {
            geometry,
            volume_id: Uuid::from_u128(0xb1a1_df50),
            hash_key: *b"sixteen bytes...",
            sequence: 6,
            unified_through: 10,
            next_inode: 20,
            log_tail: 5,
            clean: true,
            items: BTreeMap::new(),
            data: BTreeMap::new(),
            transactions: Vec::new(),
            fanout: 5,
            wrong_bits: Vec::new(),
            leaf_edits: BTreeMap::new(),
            interior_edit: None,
            superblock_edit: None,
            header_edit: None,
            payload_edit: None,
            next_block: geometry.data_start,
        };
        builder.items.insert(Key::inode(1), Item::Inode(inode_record(FileKind::Directory, 2, 1)));
        builder
    }

    pub fn hasher(&self) -> NameHasher {
        NameHasher::new(self.hash_key)
    }

    /// Takes `count` blocks of the data area.
    pub fn allocate(&mut self, count: u64) -> u64 {
        self.next_block += count;
        self.next_block - count
    }

    /// The blocks that were taken up to now end here.
    pub fn end_of_data(&self) -> u64 {
        self.next_block
    }

    /// Writes pages to new blocks; the extent that describes them.
    pub fn write_pages(&mut self, birth: u64, pages: &[Vec<u8>]) -> Extent {
        let address = self.allocate(pages.len() as u64);
        for (index, page) in pages.iter().enumerate() {
            self.data.insert(address + index as u64, page.clone());
        }
        let checksums = pages.iter().map(|page| block_checksum(page)).collect();
        let content = ExtentContent::Blocks { address, birth, checksums };
        Extent { length: pages.len() as u32, content }
    }

    /// Reserves new blocks.
    pub fn reserve(&mut self, birth: u64, count: u32) -> Extent {
        let address = self.allocate(u64::from(count));
        Extent { length: count, content: ExtentContent::Unwritten { address, birth } }
    }

    pub fn put_inode(&mut self, inode: InodeNumber, record: InodeRecord) {
        self.items.insert(Key::inode(inode), Item::Inode(record));
    }

    pub fn put_extent(&mut self, inode: InodeNumber, start: u64, extent: Extent) {
        self.items.insert(Key::extent(inode, start), Item::Extent(extent));
    }

    /// The record of an inode of the tree.
    pub fn record(&mut self, inode: InodeNumber) -> &mut InodeRecord {
        match self.items.get_mut(&Key::inode(inode)) {
            Some(Item::Inode(record)) => record,
            other => panic!("inode {inode} is {other:?}"),
        }
    }

    /// The bucket with one name, as an item with its key.
    pub fn entry(
        &self,
        directory: InodeNumber,
        name: &str,
        inode: InodeNumber,
        kind: FileKind,
    ) -> (Key, Item) {
        let name: Box<[u8]> = name.as_bytes().into();
        let key = Key::dirent(directory, self.hasher().hash(&name));
        let entries = vec![DirentEntry { slot: 0, kind, inode, name }];
        (key, Item::Dirent(DirentBucket { entries }))
    }

    /// Adds a name to a directory, and to its number of entries.
    pub fn put_entry(
        &mut self,
        directory: InodeNumber,
        name: &str,
        inode: InodeNumber,
        kind: FileKind,
    ) {
        let (key, item) = self.entry(directory, name, inode, kind);
        self.items.insert(key, item);
        self.record(directory).size += 1;
    }

    pub fn remove_entry(&mut self, directory: InodeNumber, name: &str) {
        let hash = self.hasher().hash(name.as_bytes());
        self.items.remove(&Key::dirent(directory, hash)).unwrap();
        self.record(directory).size -= 1;
    }

    pub fn xattr(&self, inode: InodeNumber, name: &str, value: &str) -> (Key, Item) {
        let entry = XattrEntry { name: name.as_bytes().into(), value: value.as_bytes().into() };
        let key = Key::xattr(inode, self.hasher().hash(name.as_bytes()));
        (key, Item::Xattr(XattrBucket { entries: vec![entry] }))
    }
}

/// A record without content.
pub fn inode_record(kind: FileKind, links: u32, parent: InodeNumber) -> InodeRecord {
    let now = Timestamp { seconds: 1_700_000_000, nanoseconds: 5 };
    InodeRecord {
        mode: kind.mode_bits() | 0o644,
        uid: 0,
        gid: 0,
        links,
        generation: 1,
        device: 0,
        flags: 0,
        size: 0,
        blocks: 0,
        parent,
        accessed: now,
        modified: now,
        changed: now,
        created: now,
    }
}
