//! What is there after the server was killed, and after it ended in order.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use braidfs_tests::mounted::{Mount, on_mount, on_mount_with};
use rustix::process::Signal;

use crate::{bytes, names};

fn fill(mount: &Mount) {
    fs::create_dir(mount.path("directory")).unwrap();
    for number in 0..50 {
        let content = bytes(number * 1000, number as u64 + 1);
        fs::write(mount.path(format!("directory/{number}")), content).unwrap();
    }
}

fn check_filled(mount: &Mount) {
    assert_eq!(names(mount.path("directory")).len(), 50);
    for number in 0..50 {
        let found = fs::read(mount.path(format!("directory/{number}"))).unwrap();
        assert!(found == bytes(number * 1000, number as u64 + 1), "file {number}");
    }
}

#[test]
fn fsync_keeps_a_file_and_its_name() {
    on_mount(|mount| {
        for round in 0..3 {
            let name = format!("new {round}");
            let mut file = File::create(mount.path(&name)).unwrap();
            file.write_all(&bytes(100_000, round + 1)).unwrap();
            file.sync_all().unwrap();
            drop(file);
            mount.crash();
            assert!(fs::read(mount.path(&name)).unwrap() == bytes(100_000, round + 1));
        }
    });
}

#[test]
fn fdatasync_and_synchronous_writes_keep_content() {
    on_mount(|mount| {
        let file = File::create(mount.path("data")).unwrap();
        file.write_all_at(&bytes(30_000, 1), 0).unwrap();
        file.sync_data().unwrap();
        let mut options = OpenOptions::new();
        options.create(true).append(true).custom_flags(libc::O_SYNC);
        let mut synchronous = options.open(mount.path("synchronous")).unwrap();
        synchronous.write_all(b"one line\n").unwrap();
        drop((file, synchronous));
        mount.crash();
        assert!(fs::read(mount.path("data")).unwrap() == bytes(30_000, 1));
        assert_eq!(fs::read(mount.path("synchronous")).unwrap(), b"one line\n");
    });
}

#[test]
fn braidfs_sync_keeps_everything() {
    on_mount(|mount| {
        fill(mount);
        let output = mount.run(&["sync", "mnt"]);
        assert!(output.status.success(), "{output:?}");
        mount.crash();
        check_filled(mount);
    });
}

#[test]
fn fsync_of_a_directory_keeps_its_names() {
    on_mount(|mount| {
        fs::write(mount.path("old"), b"x").unwrap();
        mount.sync();
        fs::rename(mount.path("old"), mount.path("new")).unwrap();
        fs::create_dir(mount.path("directory")).unwrap();
        File::open(mount.root()).unwrap().sync_all().unwrap();
        mount.crash();
        assert_eq!(names(mount.root()), ["directory", "new"]);
    });
}

#[test]
fn a_file_that_replaced_another_is_never_empty() {
    on_mount(|mount| {
        let (old, new) = (bytes(20_000, 1), bytes(30_000, 2));
        fs::write(mount.path("config"), &old).unwrap();
        mount.sync();
        fs::write(mount.path("config.new"), &new).unwrap();
        fs::rename(mount.path("config.new"), mount.path("config")).unwrap();
        // Makes the rename durable, and says nothing about the file.
        File::create(mount.path("other")).unwrap().sync_all().unwrap();
        mount.crash();
        assert!(fs::read(mount.path("config")).unwrap() == new);
    });
}

#[test]
fn an_unmount_keeps_everything() {
    on_mount(|mount| {
        fill(mount);
        mount.unmount();
        mount.check();
        mount.start();
        check_filled(mount);
    });
}

#[test]
fn signals_end_a_mount_in_order() {
    on_mount(|mount| {
        fill(mount);
        for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
            mount.stop_by(signal);
            mount.check();
            mount.start();
            check_filled(mount);
        }
    });
}

#[test]
fn the_commit_interval_keeps_what_nobody_synced() {
    on_mount_with(&["--commit-interval", "100ms"], |mount| {
        fill(mount);
        File::create(mount.path("empty")).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1500));
        mount.crash();
        check_filled(mount);
        assert!(mount.path("empty").exists());
    });
}

#[test]
fn a_killed_server_leaves_no_orphans() {
    on_mount(|mount| {
        let file = File::create(mount.path("file")).unwrap();
        file.write_all_at(&bytes(1 << 20, 1), 0).unwrap();
        fs::remove_file(mount.path("file")).unwrap();
        file.sync_all().unwrap();
        mount.kill();
        drop(file);
        mount.check();
        mount.start();
        assert!(names(mount.root()).is_empty());
        let seen = rustix::fs::statvfs(mount.root()).unwrap();
        mount.unmount();
        mount.start();
        let used = seen.f_blocks - rustix::fs::statvfs(mount.root()).unwrap().f_bfree;
        assert!(used < 128, "{used} blocks are in use on an empty volume");
    });
}

#[test]
fn a_server_is_killed_again_and_again_in_the_midst_of_work() {
    on_mount(|mount| {
        let mut kept = Vec::new();
        for round in 0..4u64 {
            let root = mount.root();
            let writer = std::thread::spawn(move || {
                let mut acknowledged = Vec::new();
                for number in 0u64.. {
                    let name = format!("{round}-{number}");
                    let length = (number * 977 % 30_000) as usize;
                    let work = || -> std::io::Result<()> {
                        let mut file = File::create(root.join(&name))?;
                        file.write_all(&bytes(length, number + 1))?;
                        file.sync_all()?;
                        let _ = fs::rename(root.join(&name), root.join(format!("{name}.done")));
                        Ok(())
                    };
                    match work() {
                        Ok(()) => acknowledged.push((name, length, number + 1)),
                        Err(_) => return acknowledged,
                    }
                }
                acknowledged
            });
            std::thread::sleep(std::time::Duration::from_millis(150 + 50 * round));
            mount.kill();
            kept.extend(writer.join().unwrap());
            mount.check();
            mount.start();
            for (name, length, seed) in &kept {
                let found = fs::read(mount.path(name))
                    .or_else(|_| fs::read(mount.path(format!("{name}.done"))));
                assert!(found.unwrap() == bytes(*length, *seed), "round {round}: {name}");
            }
        }
        assert!(kept.len() > 20, "only {} files were acknowledged", kept.len());
    });
}
