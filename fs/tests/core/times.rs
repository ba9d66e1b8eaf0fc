//! Time stamps, across commits and mounts.

use braidfs::{SetAttributes, SetTime, Volume};
use braidfs_format::Timestamp;

use super::support::{fresh, put, remount};

const OLD: Timestamp = Timestamp { seconds: 1_000_000_000, nanoseconds: 5 };

fn set_modified(volume: &Volume, inode: u64) {
    let wanted = SetAttributes { modified: Some(SetTime::At(OLD)), ..SetAttributes::default() };
    volume.setattr(inode, &wanted).expect("setattr");
}

#[test]
fn a_modification_time_set_by_hand_stays_though_no_data_changes() {
    let (device, volume) = fresh(16);
    let inode = put(&volume, "file", b"content");
    volume.syncfs().expect("syncfs");
    set_modified(&volume, inode);
    volume.fsync(inode, false).expect("fsync");
    let volume = remount(&device, volume);
    assert_eq!(volume.getattr(inode).expect("getattr").modified, OLD);
    let other = put(&volume, "other", b"content");
    set_modified(&volume, other);
    volume.forget(other, 1);
    let volume = remount(&device, volume);
    assert_eq!(volume.getattr(other).expect("getattr").modified, OLD);
    assert_eq!(volume.getattr(inode).expect("getattr").modified, OLD);
}
