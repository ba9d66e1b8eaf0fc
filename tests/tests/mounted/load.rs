//! Several programs at once.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use braidfs_tests::mounted::{on_mount, on_mount_with};

use crate::{bytes, names};

/// Makes, changes, renames, reads and removes files in a directory; returns what must be left of it.
fn work(directory: &Path, seed: u64) -> Vec<(String, Vec<u8>)> {
    fs::create_dir(directory).unwrap();
    let mut left = Vec::new();
    for number in 0..150 {
        let path = directory.join(format!("{number}"));
        let mut content = bytes((number * 331 % 40_000) as usize, (seed << 16) + number + 1);
        fs::write(&path, &content).unwrap();
        if number % 4 == 1 {
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.write_all_at(b"changed", 3).unwrap();
            content.resize(content.len().max(10), 0);
            content[3..10].copy_from_slice(b"changed");
        }
        if number % 10 == 5 {
            File::open(&path).unwrap().sync_all().unwrap();
        }
        match number % 3 {
            0 => fs::remove_file(&path).unwrap(),
            1 => {
                let name = format!("{number} renamed");
                fs::rename(&path, directory.join(&name)).unwrap();
                left.push((name, content));
            }
            _ => {
                assert!(fs::read(&path).unwrap() == content);
                left.push((format!("{number}"), content));
            }
        }
    }
    left
}

fn many_workers(options: &[&str]) {
    on_mount_with(options, |mount| {
        let root = mount.root();
        let left: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|seed| {
                    let directory = root.join(format!("worker {seed}"));
                    scope.spawn(move || work(&directory, seed))
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        let check = || {
            for (seed, files) in left.iter().enumerate() {
                let directory = root.join(format!("worker {seed}"));
                assert_eq!(names(&directory).len(), files.len());
                for (name, content) in files {
                    assert!(fs::read(directory.join(name)).unwrap() == *content, "{seed}: {name}");
                }
            }
        };
        check();
        mount.unmount();
        mount.check();
        mount.start();
        check();
    });
}

#[test]
fn workers_do_not_disturb_each_other() {
    many_workers(&[]);
}

#[test]
fn workers_that_wait_for_pages_do_not_disturb_each_other() {
    many_workers(&[
        "--writeback-policy",
        "wait",
        "--commit-interval",
        "20ms",
        "--cache-size",
        "8M",
    ]);
}

#[test]
fn workers_whose_pages_are_copied_do_not_disturb_each_other() {
    many_workers(&[
        "--writeback-policy",
        "copy",
        "--commit-interval",
        "20ms",
        "--cache-size",
        "8M",
    ]);
}

#[test]
fn appenders_to_one_file_do_not_overwrite_each_other() {
    on_mount(|mount| {
        let path = mount.path("log");
        File::create(&path).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4u8 {
                let path = &path;
                scope.spawn(move || {
                    let mut file = OpenOptions::new().append(true).open(path).unwrap();
                    for number in 0..200u32 {
                        file.write_all(format!("{writer} {number:>5}\n").as_bytes()).unwrap();
                    }
                });
            }
        });
        let content = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<&str> = content.lines().collect();
        assert_eq!(lines.len(), 800);
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), 800);
        assert!(lines.iter().all(|line| line.len() == 7));
    });
}

#[test]
fn a_full_volume_says_so_and_loses_nothing() {
    on_mount_with(&["--commit-interval", "200ms"], |mount| {
        let mut kept = Vec::new();
        let failed = loop {
            let number = kept.len() as u64;
            let path = mount.path(format!("file {number}"));
            let written = File::create(&path).and_then(|mut file| {
                file.write_all(&bytes(4 << 20, number + 1))?;
                file.sync_all()
            });
            match written {
                Ok(()) => kept.push(number),
                Err(error) => break error,
            }
            assert!(kept.len() < 100, "a volume of 256 MiB does not get full");
        };
        assert_eq!(failed.raw_os_error(), Some(libc::ENOSPC));
        assert!(kept.len() > 50, "only {} files of 4 MiB fit", kept.len());
        for number in &kept {
            let found = fs::read(mount.path(format!("file {number}"))).unwrap();
            assert!(found == bytes(4 << 20, number + 1), "file {number}");
        }
        fs::remove_file(mount.path("file 0")).unwrap();
        let _ = fs::remove_file(mount.path(format!("file {}", kept.len())));
        mount.sync();
        let mut file = File::create(mount.path("again")).unwrap();
        file.write_all(&bytes(2 << 20, 99)).unwrap();
        file.sync_all().unwrap();
    });
}
