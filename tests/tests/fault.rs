//! A disk that fails: each read, write and flush of a run in turn, once and for good.
//!
//! No panic; whoever syncs is told, then and ever after; nothing is changed any more; and what is on the
//! disk afterwards is the state of one delta, no older than the last acknowledged.

use std::sync::Arc;

use braidfs::{Credentials, FsErrorKind, ROOT_INODE, Volume};
use braidfs_block::{BlockDevice, BlockOperation, Fault, FaultyDevice, MemoryDevice};
use braidfs_format::Superblock;
use braidfs_tests::crash::{Recorder, Setup, recover};
use braidfs_tests::fault::{Prepared, options, run_with};
use braidfs_tests::model::{Tree, differences};
use braidfs_tests::world::{LOG_BLOCKS, VOLUME_BYTES, format};

const PREPARING_STEPS: usize = 150;
const STEPS: usize = 40;
/// More operations than any run makes.
const MOST: u64 = 400;

/// Fails each operation of a run in turn; returns how many there were.
fn fail_each(seed: u64, stride: u64, fault: impl Fn(u64) -> Fault) -> u64 {
    let base = Prepared::random(seed, PREPARING_STEPS);
    for number in (1..MOST).step_by(stride as usize) {
        let outcome = run_with(&base, fault(number), seed + 1, STEPS);
        if outcome.injected == 0 {
            return number;
        }
        let writes = !matches!(fault(number).operation, BlockOperation::Read);
        assert!(outcome.failed || !writes, "nobody noticed {:?}", fault(number));
    }
    panic!("a run of {STEPS} steps makes more than {MOST} operations");
}

#[test]
fn writes_that_fail_once() {
    assert!(fail_each(1, 1, |number| Fault::nth(BlockOperation::Write, number)) > 10);
}

#[test]
fn writes_that_fail_for_good() {
    fail_each(2, 2, |number| Fault::nth(BlockOperation::Write, number).forever());
}

#[test]
fn writes_that_are_made_but_reported_as_failed() {
    fail_each(3, 2, |number| Fault::nth(BlockOperation::Write, number).carried_out());
}

#[test]
fn writes_that_find_the_disk_below_full() {
    fail_each(4, 2, |number| Fault::nth(BlockOperation::Write, number).no_space());
}

#[test]
fn flushes_that_fail_once() {
    assert!(fail_each(5, 1, |number| Fault::nth(BlockOperation::Flush, number)) > 3);
}

#[test]
fn flushes_that_fail_for_good() {
    fail_each(6, 1, |number| Fault::nth(BlockOperation::Flush, number).forever());
}

#[test]
fn flushes_that_are_made_but_reported_as_failed() {
    fail_each(7, 1, |number| Fault::nth(BlockOperation::Flush, number).carried_out());
}

#[test]
fn reads_that_fail_once() {
    assert!(fail_each(8, 1, |number| Fault::nth(BlockOperation::Read, number)) > 3);
}

#[test]
fn reads_that_fail_for_good() {
    fail_each(9, 3, |number| Fault::nth(BlockOperation::Read, number).forever());
}

/// A volume with a log to replay, and what it holds.
fn unclean() -> (MemoryDevice, Tree) {
    let run = Recorder::random(10, 60, &Setup::default());
    let tree = run.states.values().next_back().expect("there are deltas").as_ref().clone();
    (run.recording.image_at(run.recording.events().len()), tree)
}

/// Fails each operation of a mount in turn; each time the next mount must find everything.
fn fail_mount(operation: BlockOperation) -> u64 {
    let (image, tree) = unclean();
    for number in 1..MOST {
        let device = Arc::new(FaultyDevice::new(image.clone()));
        device.inject(Fault::nth(operation, number));
        let mounted = Volume::mount(device.clone(), options());
        if device.injected() == 0 {
            return number;
        }
        if let Err(error) = &mounted {
            assert_eq!(error.kind(), FsErrorKind::Io, "{error}");
        }
        drop(mounted);
        device.heal();
        let recovered = recover(device, &options()).unwrap_or_else(|problem| {
            panic!("after {operation:?} {number} of a mount failed: {problem}")
        });
        assert_eq!(differences(&tree, &recovered.tree), "");
    }
    panic!("a mount makes more than {MOST} operations");
}

#[test]
fn mounts_that_can_not_read() {
    assert!(fail_mount(BlockOperation::Read) > 5);
}

#[test]
fn mounts_that_can_not_write() {
    assert!(fail_mount(BlockOperation::Write) > 1);
}

#[test]
fn mounts_that_can_not_flush() {
    assert!(fail_mount(BlockOperation::Flush) > 1);
}

#[test]
fn a_block_that_decayed_is_an_error_of_its_file_and_of_no_other() {
    let image = MemoryDevice::new(VOLUME_BYTES);
    let device = Arc::new(FaultyDevice::new(image));
    format(&device, LOG_BLOCKS);
    let volume = Volume::mount(device.clone(), options()).expect("mount");
    let owner = Credentials::default();
    let make = |name: &[u8], fill: u8| {
        let made = volume.mknod(ROOT_INODE, name, 0o100_644, 0, &owner).expect("create");
        volume.write(made.inode, 0, &vec![fill; 50 * 4096], false).expect("write");
        made.inode
    };
    let (good, bad) = (make(b"good", 1), make(b"bad", 2));
    volume.unmount().expect("unmount");
    drop(volume);
    let geometry = Superblock::decode(&read_block(&device, 0), 0).expect("superblock").geometry;
    let rotten = (geometry.data_start..geometry.block_count)
        .find(|block| read_block(&device, *block) == vec![2; 4096])
        .expect("the file has blocks of its own");
    device.corrupt_block_at(rotten * 4096);
    let volume = Volume::mount(device, options()).expect("mount");
    let mut content = vec![0; 50 * 4096];
    let error = volume.read(bad, 0, &mut content).expect_err("the checksum does not fit");
    assert_eq!(error.errno(), libc::EIO);
    let text = error.to_string();
    assert!(text.contains(&format!("inode {bad}")) && text.contains(&rotten.to_string()), "{text}");
    assert_eq!(volume.read(good, 0, &mut content).expect("read"), content.len());
    assert!(content.iter().all(|byte| *byte == 1));
    // The volume goes on working, and the bad block can be written over.
    volume.write(bad, 0, &vec![3; 50 * 4096], false).expect("write");
    volume.fsync(bad, false).expect("fsync");
    volume.unmount().expect("unmount");
}

fn read_block(device: &dyn BlockDevice, block: u64) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    device.read_at(block * 4096, &mut bytes).expect("read");
    bytes
}
