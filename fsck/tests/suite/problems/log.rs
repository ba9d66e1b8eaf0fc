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
