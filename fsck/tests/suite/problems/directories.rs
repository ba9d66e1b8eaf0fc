use braidfs_format::{FileKind, Item, Key};

use super::*;

pub fn cases() -> Vec<Case> {
    let mut cases = entries();
    cases.extend(connectivity());
    cases.extend(links());
    cases.extend(orphans());
    cases
}

fn entries() -> Vec<Case> {
    vec![
        changed("B0501", "inode 8", |volume| {
            let (key, item) = volume.entry(FIFO, "inside", SMALL, FileKind::Regular);
            volume.items.insert(key, item);
        }),
        changed("B0501", "inode 15", |volume| {
            let (key, item) = volume.entry(15, "inside", SMALL, FileKind::Regular);
            volume.items.insert(key, item);
        }),
        changed("B0502", "small", |volume| {
            let (mut key, item) = volume.entry(1, "small", SMALL, FileKind::Regular);
            volume.items.remove(&key);
            key.offset ^= 1;
            volume.items.insert(key, item);
        }),
        changed("B0503", "inode 15", |volume| volume.put_entry(1, "ghost", 15, FileKind::Regular)),
        changed("B0504", "named pipe", |volume| {
            let (key, item) = volume.entry(1, "fifo", FIFO, FileKind::Regular);
            volume.items.insert(key, item);
        }),
        changed("B0505", "5 entries", |volume| volume.record(1).size = 4),
    ]
}

fn connectivity() -> Vec<Case> {
    vec![
        changed("B0601", "inode 4", |volume| volume.remove_entry(1, "small")),
        changed("B0601", "inode 6", |volume| {
            volume.remove_entry(DIRECTORY, "inner");
            volume.record(DIRECTORY).links -= 1;
        }),
        changed("B0602", "2 directories", |volume| {
            for (inode, other) in [(15, 16), (16, 15)] {
                volume.put_inode(inode, inode_record(FileKind::Directory, 3, other));
            }
            volume.put_entry(15, "sixteen", 16, FileKind::Directory);
            volume.put_entry(16, "fifteen", 15, FileKind::Directory);
        }),
        changed("B0602", "1 directories", |volume| {
            volume.put_inode(15, inode_record(FileKind::Directory, 3, 15));
            volume.put_entry(15, "itself", 15, FileKind::Directory);
        }),
        changed("B0603", "directory 6", |volume| volume.record(INNER).parent = 1),
        changed("B0603", "directory 1 ", |volume| volume.record(1).parent = DIRECTORY),
        changed("B0604", "2 names", |volume| {
            volume.put_entry(1, "again", INNER, FileKind::Directory);
            volume.record(1).links += 1;
        }),
        changed("B0605", "root", |volume| {
            volume.put_entry(INNER, "top", 1, FileKind::Directory);
            volume.record(INNER).links += 1;
        }),
    ]
}

fn links() -> Vec<Case> {
    vec![
        changed("B0701", "2 names", |volume| volume.record(FILE).links = 3),
        changed("B0701", "says 0", |volume| volume.record(FIFO).links = 0),
        changed("B0702", "directory 2", |volume| volume.record(DIRECTORY).links = 2),
        changed("B0702", "directory 1 ", |volume| volume.record(1).links = 4),
        // The log can be as wrong as the tree.
        changed("B0701", "says 7", |volume| {
            let mut record = volume.record(FILE).clone();
            record.links = 7;
            let put = Transaction::default().put(Key::inode(FILE), Item::Inode(record));
            volume.transactions.push(put);
        }),
    ]
}

fn orphans() -> Vec<Case> {
    vec![
        changed("B0801", "inode 15", |volume| {
            volume.items.insert(Key::orphan(15), Item::Orphan);
        }),
        changed("B0802", "link count of 1", |volume| volume.record(ORPHAN).links = 1),
        changed("B0803", "1 names", |volume| {
            volume.put_entry(1, "back", ORPHAN, FileKind::Regular);
        }),
        changed("B0804", "1 entries", |volume| {
            volume.put_inode(15, inode_record(FileKind::Directory, 0, 1));
            volume.items.insert(Key::orphan(15), Item::Orphan);
            volume.put_entry(15, "left", SMALL, FileKind::Regular);
            volume.record(SMALL).links += 1;
        }),
    ]
}
