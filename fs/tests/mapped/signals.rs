//! What raises SIGBUS or SIGSEGV, tried by children of this test; and system calls.
#![allow(unsafe_code)]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;

use braidfs::{FaultMechanism, MapOptions, MappedMemory, SetAttributes, Volume};
use braidfs_block::{Fault, FaultyDevice, MemoryDevice};

use super::support::{BLOCK, MIB, create, fresh, make, put, quiet};
use super::{PAGE, grow, load, map, mechanisms, store};

/// Lets `use_it` have the memory as a slice.
pub fn with_slice(memory: &mut MappedMemory, use_it: impl FnOnce(&mut [u8])) {
    // SAFETY: the test has the only mapping of the file, and writes the file from this thread only.
    use_it(unsafe { memory.slice_mut() });
}

/// What a child is to do.
const ACTION: &str = "BRAIDFS_TEST_MAPPED_ACTION";

fn signal_of(mechanism: FaultMechanism, action: &str) -> Option<i32> {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "signals::child", "--nocapture"])
        .env(ACTION, format!("{} {action}", mechanism.name()))
        .output()
        .unwrap();
    child.status.signal()
}

#[test]
fn child() {
    let Ok(action) = std::env::var(ACTION) else { return };
    let (name, action) = action.split_once(' ').unwrap();
    let mechanism = FaultMechanism::ALL.into_iter().find(|one| one.name() == name).unwrap();
    match action {
        "beyond the end" => {
            let (_, volume) = fresh(32);
            let inode = put(&volume, "file", &[1; PAGE + 1]);
            let mapping = map(&volume, inode, 8, mechanism);
            assert_eq!(load(&mapping, PAGE, 2), [1, 0]);
            load(&mapping, 2 * PAGE, 1);
        }
        "cut" => {
            let (_, volume) = fresh(32);
            let inode = put(&volume, "file", &[1; 4 * PAGE]);
            let mapping = map(&volume, inode, 4, mechanism);
            store(&mapping, 0, &[2; 4 * PAGE]);
            let cut = SetAttributes { size: Some(1), ..Default::default() };
            volume.setattr(inode, &cut).unwrap();
            store(&mapping, PAGE, &[3]);
        }
        "unmounted" => {
            let (_, volume) = fresh(32);
            let inode = put(&volume, "file", &[1; PAGE]);
            let mapping = map(&volume, inode, 1, mechanism);
            store(&mapping, 0, &[2]);
            volume.unmount().unwrap();
            assert_eq!(load(&mapping, 0, 2), [2, 1], "what is there can be read still");
            store(&mapping, 0, &[3]);
        }
        "read-only" => {
            let (_, volume) = fresh(32);
            let inode = put(&volume, "file", &[1; PAGE]);
            let options = MapOptions { mechanism, read_only: true };
            let mapping = volume.map(inode, 0..BLOCK, options).unwrap();
            assert_eq!(load(&mapping, 0, 1), [1]);
            store(&mapping, 0, &[2]);
        }
        "damaged" => read_damaged(mechanism),
        "full" => fill_up(mechanism),
        other => unreachable!("{other}"),
    }
}

/// A page whose blocks cannot be read.
fn read_damaged(mechanism: FaultMechanism) {
    let faulty = Arc::new(FaultyDevice::new(MemoryDevice::new(32 * MIB)));
    make(&faulty, 64);
    let volume = Volume::mount(faulty.clone(), quiet()).unwrap();
    put(&volume, "file", &[1; 64 * PAGE]);
    volume.unmount().unwrap();
    drop(volume);
    let volume = Volume::mount(faulty.clone(), quiet()).unwrap();
    let inode = super::support::find(&volume, "file").unwrap();
    let mapping = map(&volume, inode, 64, mechanism);
    faulty.inject(Fault::nth(braidfs_block::BlockOperation::Read, 1).forever());
    load(&mapping, 5 * PAGE, 1);
}

/// A volume without room for another page.
fn fill_up(mechanism: FaultMechanism) {
    let (_, volume) = fresh(16);
    let inode = create(&volume, "file").unwrap();
    grow(&volume, inode, 1 << 14);
    let mapping = map(&volume, inode, 1 << 14, mechanism);
    for page in 0..1 << 14 {
        store(&mapping, page * PAGE, &[1; PAGE]);
    }
}

#[test]
fn what_cannot_be_had_raises_sigbus() {
    for mechanism in mechanisms() {
        for action in ["beyond the end", "cut", "unmounted", "damaged", "full"] {
            assert_eq!(signal_of(mechanism, action), Some(libc::SIGBUS), "{mechanism:?} {action}");
        }
        assert_eq!(signal_of(mechanism, "read-only"), Some(libc::SIGSEGV), "{mechanism:?}");
    }
}

#[test]
fn system_calls_get_the_memory_where_threads_handle_faults() {
    let mechanism = FaultMechanism::Userfault;
    if !mechanism.is_available() {
        return;
    }
    let (_, volume) = fresh(32);
    let inode = put(&volume, "file", &[1; 4 * PAGE]);
    let mut mapping = map(&volume, inode, 8, mechanism);
    let file = tempfile::tempfile().unwrap();
    with_slice(mapping.memory_mut(), |bytes| {
        assert_eq!(rustix::io::pwrite(&file, &bytes[..2 * PAGE], 0), Ok(2 * PAGE));
        assert_eq!(rustix::io::pread(&file, &mut bytes[2 * PAGE..3 * PAGE], 0), Ok(PAGE));
        let beyond = rustix::io::pwrite(&file, &bytes[5 * PAGE..6 * PAGE], 0);
        assert_eq!(beyond, Err(rustix::io::Errno::FAULT));
    });
    volume.fsync(inode, false).unwrap();
}
