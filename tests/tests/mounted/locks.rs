//! File locks, which the kernel keeps.

use std::fs::{self, File};

use braidfs_tests::mounted::on_mount;
use rustix::fs::{FlockOperation, fcntl_lock, flock};
use rustix::io::Errno;

#[test]
fn whole_file_locks_exclude_each_other() {
    on_mount(|mount| {
        fs::write(mount.path("file"), b"x").unwrap();
        let open = || File::options().read(true).write(true).open(mount.path("file")).unwrap();
        let (one, other) = (open(), open());
        flock(&one, FlockOperation::LockShared).unwrap();
        flock(&other, FlockOperation::NonBlockingLockShared).unwrap();
        let exclusive = FlockOperation::NonBlockingLockExclusive;
        assert_eq!(flock(&one, exclusive), Err(Errno::WOULDBLOCK));
        drop(other);
        flock(&one, exclusive).unwrap();
        assert_eq!(flock(open(), FlockOperation::NonBlockingLockShared), Err(Errno::WOULDBLOCK));
        flock(&one, FlockOperation::Unlock).unwrap();
        flock(open(), exclusive).unwrap();
    });
}

#[test]
fn record_locks_exclude_other_processes() {
    on_mount(|mount| {
        fs::write(mount.path("file"), b"x").unwrap();
        let file = File::options().read(true).write(true).open(mount.path("file")).unwrap();
        fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        // Another process is refused, as sqlite's writers are.
        let table = fs::read_to_string("/proc/locks").unwrap();
        let own = format!(" {} ", std::process::id());
        assert!(table.lines().any(|line| line.contains("POSIX") && line.contains(&own)), "{table}");
        fcntl_lock(&file, FlockOperation::Unlock).unwrap();
    });
}
