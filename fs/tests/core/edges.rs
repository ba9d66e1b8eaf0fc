//! The ends of what there is: of the largest file, and of a volume's space.

use braidfs::{FallocateMode, SeekTarget, SetAttributes, Volume};

use super::support::{BLOCK, content, create, crash, find, fresh, put, remount};

const LAST: u64 = i64::MAX as u64;

fn resize(volume: &Volume, inode: u64, size: u64) -> Result<(), i32> {
    let wanted = SetAttributes { size: Some(size), ..SetAttributes::default() };
    volume.setattr(inode, &wanted).map(drop).map_err(|error| error.errno())
}

#[test]
fn a_file_reaches_to_the_last_offset_there_is() {
    let (device, volume) = fresh(16);
    let inode = create(&volume, "file").unwrap();
    assert_eq!(volume.write(inode, LAST - 3, b"end", false).unwrap(), 3);
    assert_eq!(volume.getattr(inode).unwrap().size, LAST);
    for offset in [LAST - 2, LAST, LAST + 1, u64::MAX] {
        let refused = volume.write(inode, offset, b"end", false).unwrap_err();
        assert_eq!(refused.errno(), libc::EFBIG, "at {offset}");
    }
    assert_eq!(resize(&volume, inode, LAST + 1), Err(libc::EFBIG));
    volume.syncfs().unwrap();
    let volume = crash(&device, volume);
    let inode = find(&volume, "file").unwrap();
    let mut bytes = [9; 10];
    assert_eq!(volume.read(inode, LAST - 5, &mut bytes).unwrap(), 5);
    assert_eq!(&bytes[..5], b"\0\0end");
    let last_page = LAST / BLOCK * BLOCK;
    assert_eq!(volume.seek(inode, 0, SeekTarget::Data).unwrap(), last_page);
    assert_eq!(volume.seek(inode, last_page, SeekTarget::Hole).unwrap(), LAST);
    let volume = remount(&device, volume);
    let inode = find(&volume, "file").unwrap();
    volume.fallocate(inode, FallocateMode::PunchHole, LAST - 3, 3).unwrap();
    assert_eq!(volume.read(inode, LAST - 5, &mut bytes).unwrap(), 5);
    assert_eq!(bytes[..5], [0; 5]);
    let beyond = volume.fallocate(inode, FallocateMode::PunchHole, LAST - 3, 4).unwrap_err();
    assert_eq!(beyond.errno(), libc::EFBIG);
    resize(&volume, inode, 0).unwrap();
    resize(&volume, inode, LAST).unwrap();
    assert_eq!(volume.seek(inode, 0, SeekTarget::Data).unwrap_err().errno(), libc::ENXIO);
    remount(&device, volume);
}

#[test]
fn blocks_are_shared_up_to_the_last_offset_there_is() {
    let (device, volume) = fresh(16);
    let length = 40 * BLOCK - 1;
    let data = vec![7; length as usize];
    let from = put(&volume, "from", &data);
    volume.syncfs().unwrap();
    let to = create(&volume, "to").unwrap();
    // The last block of the largest file is one byte short, as that of the source.
    let start = LAST - length;
    assert_eq!(volume.copy_file_range(from, 0, to, start, length).unwrap(), length);
    assert_eq!(volume.getattr(to).unwrap().size, LAST);
    let volume = remount(&device, volume);
    let to = find(&volume, "to").unwrap();
    let mut bytes = vec![0; data.len()];
    assert_eq!(volume.read(to, start, &mut bytes).unwrap() as u64, length);
    assert!(bytes == data);
    assert_eq!(volume.seek(to, 0, SeekTarget::Data).unwrap(), start);
}

/// On an empty volume, and on one that is full but for some blocks.
#[test]
fn what_statfs_calls_available_can_be_written() {
    for spared in [0, 3 << 20, 300 << 10] {
        let (device, volume) = fresh(32);
        if spared > 0 {
            let filler = create(&volume, "filler").unwrap();
            let mut size = 0;
            while volume.write(filler, size, &vec![1; 1 << 16], false).is_ok() {
                size += 1 << 16;
            }
            volume.syncfs().unwrap();
            resize(&volume, filler, size - spared).unwrap();
        }
        volume.syncfs().unwrap();
        volume.unify().unwrap();
        volume.syncfs().unwrap();
        let available = volume.statfs().blocks_available;
        let inode = create(&volume, "file").unwrap();
        let page = vec![3; BLOCK as usize];
        let mut written = 0;
        while volume.write(inode, written * BLOCK, &page, false).is_ok() {
            written += 1;
        }
        volume.syncfs().unwrap();
        // What the tree needs for it is not data.
        assert!(written + available / 64 + 8 >= available, "{written} of {available}");
        remount(&device, volume);
    }
}

#[test]
fn trimming_takes_nothing_that_is_needed() {
    let (device, volume) = fresh(32);
    let kept: Vec<u8> = (0..3u32 << 20).map(|at| (at >> 9) as u8).collect();
    for round in 0..4 {
        let name = format!("kept {round}");
        put(&volume, &name, &kept);
        let gone = put(&volume, "gone", &kept);
        volume.syncfs().unwrap();
        volume.unlink(braidfs::ROOT_INODE, b"gone").unwrap();
        volume.forget(gone, 1);
        let trimmed = volume.trim().unwrap();
        let space = volume.statfs();
        assert!(trimmed > 4 << 20 && trimmed <= space.blocks_free * BLOCK, "{trimmed}");
        assert!(volume.statfs().blocks_available > 1000);
        for round in 0..=round {
            let inode = find(&volume, &format!("kept {round}")).unwrap();
            assert!(content(&volume, inode) == kept);
        }
    }
    let volume = crash(&device, volume);
    assert!(content(&volume, find(&volume, "kept 3").unwrap()) == kept);
    remount(&device, volume);
}
