//! The command line around a mount: images in use, background servers, read-only mounts, bad input.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use braidfs_tests::mounted::{Mount, has_fuse, on_mount};

use crate::{bytes, errno, names};

/// The line on stderr of a command that must fail, with nothing but that line.
#[track_caller]
fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    assert!(!output.status.success(), "it worked: {text}");
    assert!(text.starts_with("braidfs: ") && text.lines().count() == 1, "{text}");
    text
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_image_in_use_is_refused_with_the_name_of_its_user() {
    on_mount(|mount| {
        let holder = mount.server_id().to_string();
        let place = mount.outside().join("second");
        fs::create_dir(&place).unwrap();
        let place = place.to_str().unwrap();
        let second = complaint(&mount.run(&["mount", "disk.img", place]));
        assert!(second.contains(&holder) && second.contains("disk.img"), "{second}");
        let format = complaint(&mount.run(&["mkfs", "disk.img"]));
        assert!(format.contains(&holder), "{format}");
        fs::write(mount.path("file"), b"the first one goes on").unwrap();
    });
}

#[test]
fn a_mount_point_in_use_is_refused() {
    on_mount(|mount| {
        let image = mount.outside().join("other.img");
        let arguments = ["mount", image.to_str().unwrap(), "mnt", "--create", "32M"];
        let text = complaint(&mount.run(&arguments));
        assert!(text.contains("mnt") && text.contains("in use"), "{text}");
        assert!(!image.exists(), "an image was made although nothing could be mounted");
    });
}

#[test]
fn a_server_in_the_background_is_ready_when_the_command_returns() {
    on_mount(|mount| {
        mount.unmount();
        for _ in 0..3 {
            let output = mount.run(&["mount", "--daemon", "disk.img", "mnt"]);
            assert!(output.status.success(), "{output:?}");
            assert!(mount.is_mounted());
            fs::write(mount.path("file"), bytes(200_000, 1)).unwrap();
            let output = mount.run(&["umount", "mnt"]);
            assert!(output.status.success(), "{output:?}");
            // It returns when everything is on disk and the image is free again.
            assert!(!mount.is_mounted());
            mount.check();
        }
        mount.start();
        assert!(fs::read(mount.path("file")).unwrap() == bytes(200_000, 1));
    });
}

#[test]
fn a_background_server_that_can_not_mount_says_so() {
    on_mount(|mount| {
        mount.unmount();
        let text = complaint(&mount.run(&["mount", "--daemon", "missing.img", "mnt"]));
        assert!(text.contains("missing.img"), "{text}");
    });
}

#[test]
fn umount_of_a_mount_in_use_says_who_uses_it() {
    on_mount(|mount| {
        let file = fs::File::create(mount.path("file")).unwrap();
        let text = complaint(&mount.run(&["umount", "mnt"]));
        assert!(text.contains(&std::process::id().to_string()), "{text}");
        drop(file);
        assert!(mount.is_mounted());
    });
}

#[test]
fn a_read_only_mount_changes_nothing() {
    on_mount(|mount| {
        fs::write(mount.path("file"), b"content").unwrap();
        // With a log to replay, which a read-only mount does in memory.
        fs::File::open(mount.path("file")).unwrap().sync_all().unwrap();
        mount.kill();
        let before = fs::read(mount.image()).unwrap();
        let output = mount.run(&["mount", "--daemon", "--read-only", "disk.img", "mnt"]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(fs::read(mount.path("file")).unwrap(), b"content");
        assert_eq!(errno(fs::write(mount.path("file"), b"other")), libc::EROFS);
        assert_eq!(errno(fs::create_dir(mount.path("directory"))), libc::EROFS);
        assert!(mount.run(&["umount", "mnt"]).status.success());
        assert!(fs::read(mount.image()).unwrap() == before, "the image has changed");
        mount.start();
    });
}

#[test]
fn a_mount_whose_server_was_killed_makes_room_for_the_next() {
    on_mount(|mount| {
        fs::write(mount.path("file"), b"content").unwrap();
        mount.sync();
        // The dead mount is left where it is.
        let server = rustix::process::Pid::from_raw(mount.server_id() as i32).unwrap();
        rustix::process::kill_process(server, rustix::process::Signal::KILL).unwrap();
        wait_until("the end of the mount", || names_or_none(&mount.root()).is_none());
        mount.forget_server();
        mount.start();
        assert_eq!(names(mount.root()), ["file"]);
    });
}

fn names_or_none(directory: &Path) -> Option<usize> {
    fs::read_dir(directory).ok().map(Iterator::count)
}

#[test]
fn bad_input_is_refused_in_a_line() {
    if !has_fuse() {
        return;
    }
    let mut mount = Mount::new(&[]);
    mount.unmount();
    fs::write(mount.outside().join("text"), bytes(20 << 20, 1)).unwrap();
    fs::write(mount.outside().join("short"), b"BRAIDFS").unwrap();
    let whole = fs::read(mount.image()).unwrap();
    fs::write(mount.outside().join("cut.img"), &whole[..100 << 20]).unwrap();
    fs::write(mount.outside().join("newer.img"), {
        let mut newer = whole;
        let length = newer.len();
        for copy in [0, 4096, length - 8192, length - 4096] {
            newer[copy + 8..copy + 12].copy_from_slice(&999u32.to_le_bytes());
        }
        newer
    })
    .unwrap();
    for (arguments, words) in [
        (vec!["mount", "missing.img", "mnt"], "--create"),
        (vec!["mount", "text", "mnt"], "text"),
        (vec!["mount", "short", "mnt"], "short"),
        (vec!["mount", "cut.img", "mnt"], "cut.img"),
        (vec!["mount", "newer.img", "mnt"], "newer.img"),
        (vec!["mount", "disk.img", "nowhere"], "mkdir"),
        (vec!["mount", "disk.img", "text"], "not a directory"),
        (vec!["mount", "tiny.img", "mnt", "--create", "1M"], "16 MiB"),
        (vec!["umount", "mnt"], "mnt"),
    ] {
        let text = complaint(&mount.run(&arguments));
        assert!(text.contains(words), "{arguments:?}: {text}");
        assert!(!mount.is_mounted());
    }
    assert!(!mount.outside().join("tiny.img").exists());
    mount.finish();
}
