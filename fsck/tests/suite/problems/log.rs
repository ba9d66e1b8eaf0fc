use braidfs_format::{Extent, ExtentContent, FileKind, Item, Key};

use super::*;

pub fn cases() -> Vec<Case> {
    vec![
        unreadable(0),
        unreadable(1),
        durable_delta_lost(),
        malformed_record(),
        malformed_header(),
        too_long(),
        durable_mark_backwards(),
        next_inode_backwards(),
        outside(),
        more_than_fits(),
        unreadable_data(),
        overwritten(true),
        overwritten(false),
    ]
}

/// Nothing is known to be durable, so that the end of the log proves nothing.
fn busy_and_undurable() -> VolumeBuilder {
    let mut volume = busy();
    for transaction in &mut volume.transactions {
        transaction.durable_through = Some(10);
    }
    volume
}

/// The first block of a transaction cannot be read, or one behind it.
fn unreadable(transaction: usize) -> Case {
    let volume = busy_and_undurable();
    let block = volume.transaction_addresses()[transaction];
    let device = Box::new(Unreadable { device: volume.build(), block });
    Case { id: "B0201", device, says: "cannot be read" }
}

fn durable_delta_lost() -> Case {
    let volume = busy();
    let device = volume.build();
    flip(&device, volume.transaction_addresses()[1], 150);
    // The third transaction knew that the second one was durable.
    Case { id: "B0202", device: Box::new(device), says: "before delta 12" }
}

fn malformed_record() -> Case {
    let mut volume = busy_and_undurable();
    volume.payload_edit = Some(Box::new(|index, payload| {
        if index == 1 {
            payload[0] = 99;
        }
    }));
    built("B0203", "99 is no type of record", &volume)
}

fn malformed_header() -> Case {
    let mut volume = busy_and_undurable();
    volume.header_edit = Some(Box::new(|index, header| {
        if index == 1 {
            header.block_length = 0;
        }
    }));
    built("B0203", "delta 12", &volume)
}

fn too_long() -> Case {
    let mut volume = busy_and_undurable();
    volume.header_edit = Some(Box::new(|index, header| {
        if index == 1 {
            header.block_length = 64;
        }
    }));
    built("B0203", "longer than", &volume)
}

fn durable_mark_backwards() -> Case {
    let mut volume = busy();
    volume.transactions[2].durable_through = Some(5);
    built("B0204", "up to delta 5", &volume)
}

fn next_inode_backwards() -> Case {
    let mut volume = busy();
    volume.header_edit = Some(Box::new(|index, header| {
        if index == 1 {
            header.next_inode = 25;
        }
    }));
    built("B0205", "the next inode number is 25", &volume)
}

fn outside() -> Case {
    let mut volume = busy_and_undurable();
    let content = ExtentContent::Unwritten { address: 8190, birth: 14 };
    let transaction = Transaction::default().map(FILE, 0, Extent { length: 2, content });
    volume.transactions.push(transaction.durable_through(10));
    built("B0203", "from block 8190 are outside", &volume)
}

/// More data than the volume has blocks, all of it the same.
fn more_than_fits() -> Case {
    let mut volume = VolumeBuilder::new();
    let extent = volume.write_pages(11, &vec![vec![7; 4096]; 256]);
    let mut transaction = Transaction::default();
    for index in 0..65 {
        transaction = transaction.map(1, index * 256, extent.clone());
    }
    volume.transactions.push(transaction);
    built("B0203", "overlap so much", &volume)
}

fn unreadable_data() -> Case {
    let volume = busy_and_undurable();
    let page = &data_pages(10, 1)[0];
    let block = *volume.data.iter().find(|(_, data)| *data == page).unwrap().0;
    Case {
        id: "B0206",
        device: Box::new(Unreadable { device: volume.build(), block }),
        says: "data",
    }
}

/// A block that a delta has freed is used again before anything durable says that the delta is, so
/// one of the two versions is gone.
fn overwritten(the_later_one_is_there: bool) -> Case {
    let mut volume = VolumeBuilder::new();
    let mut record = inode_record(FileKind::Regular, 0, 0);
    (record.size, record.blocks) = (4096, 1);
    let old = volume.write_pages(11, &data_pages(1, 1));
    let (block, _) = old.blocks().unwrap();
    let mut new = volume.write_pages(13, &data_pages(2, 1));
    let ExtentContent::Blocks { address, .. } = &mut new.content else { panic!() };
    *address = block;
    if the_later_one_is_there {
        volume.data.insert(block, data_pages(2, 1)[0].clone());
    }
    let create = Transaction::default()
        .put(Key::inode(20), Item::Inode(record.clone()))
        .put(Key::orphan(20), Item::Orphan)
        .map(20, 0, old);
    let free = Transaction::default().remove(20).delete(Key::orphan(20));
    let again = Transaction::default()
        .put(Key::inode(21), Item::Inode(record))
        .put(Key::orphan(21), Item::Orphan)
        .map(21, 0, new);
    for transaction in [create, free, again] {
        volume.transactions.push(transaction.durable_through(10));
    }
    built("B0207", "delta 13", &volume)
}
