//! Pages of zeros on a volume: they take no blocks, unless the mount was told to keep them.

use braidfs::{MountOptions, SeekTarget, SettingsChange, Volume};

use super::support::{
    BLOCK, MIB, assert_clean, content, crash, device, find, fresh, put, quiet, remount, write,
};

fn blocks(volume: &Volume, inode: u64) -> u64 {
    volume.getattr(inode).expect("getattr").blocks_512 / 8
}

/// Where the file has data, as far as a program can see.
fn first_data(volume: &Volume, inode: u64) -> Result<u64, i32> {
    volume.seek(inode, 0, SeekTarget::Data).map_err(|error| error.errno())
}

#[test]
fn a_file_of_zeros_takes_no_blocks_and_reads_as_zeros_after_a_remount() {
    let (device, volume) = fresh(16);
    let free = volume.statfs().blocks_free;
    let inode = put(&volume, "zeros", &vec![0; 4 * MIB as usize]);
    volume.syncfs().unwrap();
    assert_eq!((blocks(&volume, inode), first_data(&volume, inode)), (0, Err(libc::ENXIO)));
    assert!(free - volume.statfs().blocks_free < 16, "only what the name takes");
    let volume = crash(&device, volume);
    let volume = remount(&device, volume);
    let inode = find(&volume, "zeros").unwrap();
    assert_eq!(volume.getattr(inode).unwrap().size, 4 * MIB);
    assert!(content(&volume, inode) == vec![0; 4 * MIB as usize]);
    assert_eq!((blocks(&volume, inode), first_data(&volume, inode)), (0, Err(libc::ENXIO)));
    remount(&device, volume);
}

#[test]
fn blocks_that_become_zeros_become_free() {
    let (device, volume) = fresh(16);
    let inode = put(&volume, "file", &[7; 64 * BLOCK as usize]);
    volume.syncfs().unwrap();
    assert_eq!(blocks(&volume, inode), 64);
    // A whole page, and one in parts.
    write(&volume, inode, 0, &[0; BLOCK as usize]);
    for part in 0..8 {
        write(&volume, inode, BLOCK + part * BLOCK / 8, &[0; BLOCK as usize / 8]);
    }
    volume.syncfs().unwrap();
    assert_eq!((blocks(&volume, inode), first_data(&volume, inode)), (62, Ok(2 * BLOCK)));
    write(&volume, inode, BLOCK + 9, b"x");
    volume.syncfs().unwrap();
    assert_eq!(first_data(&volume, inode), Ok(BLOCK));
    let mut expected = vec![7; 64 * BLOCK as usize];
    expected[..2 * BLOCK as usize].fill(0);
    expected[BLOCK as usize + 9] = b'x';
    let volume = remount(&device, volume);
    let inode = find(&volume, "file").unwrap();
    assert!(content(&volume, inode) == expected);
    remount(&device, volume);
}

#[test]
fn zeros_take_blocks_if_they_are_to_be_kept() {
    let device = device(16);
    let options = MountOptions { dedup_zero: false, zero_colours: 8, ..quiet() };
    let volume = Volume::mount(device.clone(), options).unwrap();
    let inode = put(&volume, "zeros", &[0; 64 * BLOCK as usize]);
    let small = put(&volume, "small", &[0; 10]);
    volume.syncfs().unwrap();
    assert_eq!((blocks(&volume, inode), blocks(&volume, small)), (64, 1));
    assert_eq!(first_data(&volume, inode), Ok(0));
    // From now on.
    let change = SettingsChange { zero_dedup: Some(true), ..SettingsChange::default() };
    volume.change_settings(&change).unwrap();
    write(&volume, inode, 0, &[0; 32 * BLOCK as usize]);
    volume.syncfs().unwrap();
    assert_eq!((blocks(&volume, inode), first_data(&volume, inode)), (32, Ok(32 * BLOCK)));
    assert!(content(&volume, inode) == [0; 64 * BLOCK as usize]);
    volume.unmount().unwrap();
    drop(volume);
    assert_clean(&device);
}
