use braidfs_format::{Extent, ExtentContent, FileKind, Item, Key, NODE_BLOCKS};

use super::*;

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        root_missing(),
        root_no_directory(),
        changed("B0403", "inode 15", |volume| {
            let (key, item) = volume.xattr(15, "user.lost", "");
            volume.items.insert(key, item);
        }),
        changed("B0403", "inode 15", |volume| {
            let extent = volume.reserve(3, 2);
            volume.put_extent(15, 0, extent);
        }),
        changed("B0405", "4 mapped blocks", |volume| volume.record(FILE).blocks = 99),
        overlap(),
        changed("B0407", "from block 8191", |volume| add_reserved(volume, 8191, 1)),
        changed("B0407", "from block 1000000", |volume| add_reserved(volume, 1_000_000, 50)),
        changed("B0410", "logical block 9", |volume| volume.record(FILE).size = 9 * 4096),
        changed("B0411", "named pipe", |volume| {
            let extent = volume.reserve(3, 1);
            volume.put_extent(FIFO, 0, extent);
            volume.record(FIFO).blocks = 1;
        }),
        changed("B0412", "delta 11", |volume| {
            let extent = volume.write_pages(11, &data_pages(7, 1));
            add_extent(volume, extent);
        }),
        changed("B0413", "no content", |volume| {
            volume.items.remove(&Key::extent(SYMLINK, 0));
            volume.record(SYMLINK).blocks = 0;
        }),
        changed("B0414", "user.comment", |volume| {
            let (mut key, item) = volume.xattr(FILE, "user.comment", "");
            volume.items.remove(&key);
            key.offset ^= 1;
            volume.items.insert(key, item);
        }),
    ];
    cases.extend(fields());
    cases.extend(blocks_twice());
    cases.extend(logged_on_tree());
    cases
}

/// Adds an extent to the file, in its hole.
fn add_extent(volume: &mut VolumeBuilder, extent: Extent) {
    volume.record(FILE).blocks += u64::from(extent.length);
    volume.put_extent(FILE, 5, extent);
}

fn add_reserved(volume: &mut VolumeBuilder, address: u64, length: u32) {
    let extent = Extent { length, content: ExtentContent::Unwritten { address, birth: 3 } };
    volume.record(FILE).blocks += u64::from(length);
    volume.put_extent(FILE, 100, extent);
}

fn root_missing() -> Case {
    let mut volume = VolumeBuilder::new();
    volume.items.clear();
    volume.put_inode(9, inode_record(FileKind::Regular, 0, 0));
    volume.items.insert(Key::orphan(9), Item::Orphan);
    built("B0401", "does not exist", &volume)
}

fn root_no_directory() -> Case {
    let mut volume = VolumeBuilder::new();
    volume.put_inode(1, inode_record(FileKind::Regular, 1, 0));
    built("B0402", "no directory", &volume)
}

fn fields() -> Vec<Case> {
    let id = "B0404";
    vec![
        changed(id, "size of 3", |volume| volume.record(FIFO).size = 3),
        changed(id, "size of 5000", |volume| volume.record(SYMLINK).size = 5000),
        changed(id, "9223372036854775808", |volume| volume.record(FILE).size = 1 << 63),
        changed(id, "device number", |volume| volume.record(FILE).device = 5),
        changed(id, "name a parent", |volume| volume.record(FILE).parent = 1),
        changed(id, "above 65000", |volume| {
            volume.record(SMALL).links = 65001;
            for index in 0..65000 {
                volume.put_entry(INNER, &format!("name {index}"), SMALL, FileKind::Regular);
            }
            volume.fanout = 200;
        }),
    ]
}

/// Neighbours in one leaf cannot overlap, the decoder sees to that; in two leaves they can.
fn overlap() -> Case {
    changed("B0406", "ends at 3", |volume| {
        volume.fanout = 1;
        let extent = volume.write_pages(3, &data_pages(7, 1));
        volume.put_extent(FILE, 2, extent);
        volume.record(FILE).blocks += 1;
    })
}

/// The block of the orphan, which is easy to collide with.
fn extent_of_orphan(volume: &VolumeBuilder) -> Extent {
    match &volume.items[&Key::extent(ORPHAN, 0)] {
        Item::Extent(extent) => extent.clone(),
        other => panic!("{other:?}"),
    }
}

/// A transaction that maps an extent into the file's hole.
fn map_into_file(volume: &mut VolumeBuilder, extent: Extent) -> Transaction {
    volume.record(FILE).blocks += u64::from(extent.length);
    let record = volume.record(FILE).clone();
    volume.record(FILE).blocks -= u64::from(extent.length);
    Transaction::default().put(Key::inode(FILE), Item::Inode(record)).map(FILE, 5, extent)
}

fn blocks_twice() -> Vec<Case> {
    let id = "B0408";
    vec![
        changed(id, "inode 3 at logical block 5 (in the tree), by inode 9", |volume| {
            let extent = extent_of_orphan(volume);
            add_extent(volume, extent);
        }),
        changed(id, "by the tree itself, by inode 3", |volume| {
            let address = volume.leaf_address(1) + 1;
            add_reserved(volume, address, 2);
        }),
        changed(id, "(in the log), by inode 3 at logical block 7 (in the log)", |volume| {
            let extent = volume.reserve(11, 1);
            let record = Transaction::default();
            let mut inode = volume.record(FILE).clone();
            inode.blocks += 2;
            let record = record.put(Key::inode(FILE), Item::Inode(inode));
            let record = record.map(FILE, 5, extent.clone()).map(FILE, 7, extent);
            volume.transactions.push(record);
        }),
        changed(id, "by the tree itself", |volume| {
            let address = volume.leaf_address(0);
            let content = ExtentContent::Unwritten { address, birth: 11 };
            let length = NODE_BLOCKS as u32;
            let record = map_into_file(volume, Extent { length, content });
            volume.transactions.push(record);
        }),
        // A file's own block, but in two places of it.
        changed(id, "(in the tree), by inode 3", |volume| {
            let Item::Extent(own) = volume.items[&Key::extent(FILE, 9)].clone() else { panic!() };
            let record = map_into_file(volume, own);
            volume.transactions.push(record);
        }),
    ]
}

fn logged_on_tree() -> Vec<Case> {
    let id = "B0409";
    vec![
        changed(id, "for inode 3, logical block 5", |volume| {
            let record = map_into_file(volume, extent_of_orphan(volume));
            volume.transactions.push(record);
        }),
        // Even if the log has removed the other file: the tree on disk stays in force until the
        // unify.
        changed(id, "1 blocks", |volume| {
            let record = map_into_file(volume, extent_of_orphan(volume));
            let record = record.remove(ORPHAN).delete(Key::orphan(ORPHAN));
            volume.transactions.push(record);
        }),
    ]
}
