//! A small volume with one of everything.

use std::sync::Arc;

use braidfs_format::item::SharedRange;
use braidfs_format::{Extent, ExtentContent, FileKind, IncompatFeatures, Item, Key};

use super::builder::{VolumeBuilder, inode_record};
use super::log::Transaction;

/// `/dir`.
pub const DIRECTORY: u64 = 2;
/// `/file` and `/dir/hard`: three blocks of data, then a hole, then one more.
pub const FILE: u64 = 3;
/// `/small`: inline.
pub const SMALL: u64 = 4;
/// `/link`.
pub const SYMLINK: u64 = 5;
/// `/dir/inner`.
pub const INNER: u64 = 6;
/// `/dir/inner/pre`: one block of data and eight reserved ones behind its size.
pub const PREALLOCATED: u64 = 7;
/// `/fifo`.
pub const FIFO: u64 = 8;
/// No name, one block.
pub const ORPHAN: u64 = 9;
/// `/sharer` of [`sharing`]; the one behind it is `/other sharer`.
pub const SHARER: u64 = 14;

/// Pages that differ.
pub fn data_pages(seed: u8, count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|index| vec![seed.wrapping_mul(31).wrapping_add(index); 4096]).collect()
}

fn inline(bytes: &[u8]) -> Extent {
    Extent { length: 1, content: ExtentContent::Inline { bytes: Arc::from(bytes) } }
}

/// The sample, without a log.
pub fn sample() -> VolumeBuilder {
    let mut volume = VolumeBuilder::new();
    directories(&mut volume);
    files(&mut volume);
    special(&mut volume);
    volume
}

fn directories(volume: &mut VolumeBuilder) {
    volume.put_inode(DIRECTORY, inode_record(FileKind::Directory, 3, 1));
    volume.put_inode(INNER, inode_record(FileKind::Directory, 2, DIRECTORY));
    volume.record(1).links = 3;
    volume.put_entry(1, "dir", DIRECTORY, FileKind::Directory);
    volume.put_entry(DIRECTORY, "inner", INNER, FileKind::Directory);
}

fn files(volume: &mut VolumeBuilder) {
    let mut record = inode_record(FileKind::Regular, 2, 0);
    (record.size, record.blocks) = (9 * 4096 + 100, 4);
    volume.put_inode(FILE, record);
    let extent = volume.write_pages(3, &data_pages(1, 3));
    volume.put_extent(FILE, 0, extent);
    let extent = volume.write_pages(4, &data_pages(2, 1));
    volume.put_extent(FILE, 9, extent);
    let (key, item) = volume.xattr(FILE, "user.comment", "of some length");
    volume.items.insert(key, item);
    volume.put_entry(1, "file", FILE, FileKind::Regular);
    volume.put_entry(DIRECTORY, "hard", FILE, FileKind::Regular);

    let mut record = inode_record(FileKind::Regular, 1, 0);
    (record.size, record.blocks) = (5, 1);
    volume.put_inode(SMALL, record);
    volume.put_extent(SMALL, 0, inline(b"small"));
    volume.put_entry(1, "small", SMALL, FileKind::Regular);

    let mut record = inode_record(FileKind::Regular, 1, 0);
    (record.size, record.blocks) = (4096, 9);
    volume.put_inode(PREALLOCATED, record);
    let extent = volume.write_pages(5, &data_pages(3, 1));
    volume.put_extent(PREALLOCATED, 0, extent);
    let extent = volume.reserve(5, 8);
    volume.put_extent(PREALLOCATED, 1, extent);
    volume.put_entry(INNER, "pre", PREALLOCATED, FileKind::Regular);
}

fn special(volume: &mut VolumeBuilder) {
    let mut record = inode_record(FileKind::Symlink, 1, 0);
    (record.size, record.blocks) = (4, 1);
    volume.put_inode(SYMLINK, record);
    volume.put_extent(SYMLINK, 0, inline(b"file"));
    volume.put_entry(1, "link", SYMLINK, FileKind::Symlink);

    volume.put_inode(FIFO, inode_record(FileKind::Fifo, 1, 0));
    volume.put_entry(1, "fifo", FIFO, FileKind::Fifo);

    let mut record = inode_record(FileKind::Regular, 0, 0);
    (record.size, record.blocks) = (4096, 1);
    volume.put_inode(ORPHAN, record);
    let extent = volume.write_pages(6, &data_pages(4, 1));
    volume.put_extent(ORPHAN, 0, extent);
    volume.items.insert(Key::orphan(ORPHAN), Item::Orphan);
}

/// The sample with a file of three blocks that a second one shares, and with shared ranges: blocks
/// from the start of the file, length, references beyond the first.
pub fn sharing(ranges: &[(u64, u32, u32)]) -> VolumeBuilder {
    let mut volume = sample();
    let extent = volume.write_pages(7, &data_pages(9, 3));
    let (address, _) = extent.blocks().unwrap();
    // A neighbour, so that a range that is too long lies on blocks that are in use.
    let neighbour = volume.write_pages(7, &data_pages(10, 1));
    for (inode, name) in [(SHARER, "sharer"), (SHARER + 1, "other sharer")] {
        let mut record = inode_record(FileKind::Regular, 1, 0);
        (record.size, record.blocks) = (3 * 4096, 3);
        volume.put_inode(inode, record);
        volume.put_extent(inode, 0, extent.clone());
        volume.put_entry(1, name, inode, FileKind::Regular);
    }
    volume.record(SHARER).size += 4096;
    volume.record(SHARER).blocks += 1;
    volume.put_extent(SHARER, 3, neighbour);
    for (start, length, extra_references) in ranges {
        let range = SharedRange { length: *length, extra_references: *extra_references };
        volume.items.insert(Key::shared(address + start), Item::Shared(range));
    }
    volume.superblock_edit = Some(Box::new(|superblock| {
        superblock.incompat |= IncompatFeatures::SHARED_EXTENTS;
    }));
    volume
}

/// As [`sharing`], with two more places in the first file that share its first blocks, which are
/// counted `extra_references` times.
pub fn shared_often(extra_references: u32) -> VolumeBuilder {
    let mut volume = sharing(&[(0, 3, extra_references)]);
    let extent = match volume.items.get(&Key::extent(SHARER, 0)) {
        Some(Item::Extent(extent)) => extent.clone(),
        other => panic!("the sharer has {other:?}"),
    };
    for start in [10, 20] {
        volume.put_extent(SHARER, start, extent.clone());
    }
    volume.record(SHARER).size = 23 * 4096;
    volume.record(SHARER).blocks += 6;
    volume
}

/// A log that does everything a log can do, twice around the ring's end.
pub fn busy() -> VolumeBuilder {
    let mut volume = sample();
    volume.log_tail = 62;
    // A new directory with a new file in it.
    let mut root = volume.record(1).clone();
    (root.size, root.links) = (root.size + 1, root.links + 1);
    let mut directory = inode_record(FileKind::Directory, 2, 1);
    directory.size = 1;
    let mut file = inode_record(FileKind::Regular, 1, 0);
    (file.size, file.blocks) = (2 * 4096, 2);
    let (in_root, new) = volume.entry(1, "new", 20, FileKind::Directory);
    let (in_new, name) = volume.entry(20, "name", 21, FileKind::Regular);
    let data = volume.write_pages(11, &data_pages(9, 2));
    let create = Transaction::default()
        .put(Key::inode(1), Item::Inode(root))
        .put(Key::inode(20), Item::Inode(directory))
        .put(Key::inode(21), Item::Inode(file))
        .put(in_root, new)
        .put(in_new, name)
        .map(21, 0, data);
    volume.transactions.push(create);
    // The middle of the old file is overwritten, its end cut off, and a small write goes inline.
    let mut file = volume.record(FILE).clone();
    (file.size, file.blocks) = (5 * 4096, 4);
    let data = volume.write_pages(12, &data_pages(10, 1));
    let bytes = Arc::from(vec![5; 4096]);
    let inline = Extent { length: 1, content: ExtentContent::Inline { bytes } };
    let overwrite = Transaction::default()
        .put(Key::inode(FILE), Item::Inode(file))
        .hole(FILE, 5, 1 << 40)
        .map(FILE, 1, data)
        .map(FILE, 4, inline);
    volume.transactions.push(overwrite);
    // The orphan goes; a reserved block is written in place.
    let mut file = volume.record(PREALLOCATED).clone();
    file.size = 3 * 4096;
    let mut written = volume.write_pages(13, &data_pages(11, 1));
    let Item::Extent(reserved) = &volume.items[&Key::extent(PREALLOCATED, 1)] else { panic!() };
    let (place, _) = reserved.blocks().unwrap();
    let ExtentContent::Blocks { address, .. } = &mut written.content else { panic!() };
    volume.data.insert(place + 1, data_pages(11, 1)[0].clone());
    *address = place + 1;
    let finish = Transaction::default()
        .remove(ORPHAN)
        .delete(Key::orphan(ORPHAN))
        .put(Key::inode(PREALLOCATED), Item::Inode(file))
        .map(PREALLOCATED, 2, written);
    volume.transactions.push(finish);
    volume
}
