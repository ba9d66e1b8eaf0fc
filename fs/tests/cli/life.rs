//! The life of a mount: made, used, ended in every way there is.

use std::fs;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::{PROGRAM, SMALL, Workshop, detach, has_fuse, is_mounted, is_root};

#[test]
fn the_first_command_of_the_read_me() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    let server = work.mount(&["disk.img", "mnt", "--create", "64M"]);
    assert!(server.printed.contains("made disk.img: 64.0 MiB"), "{}", server.printed);
    assert!(server.printed.contains("disk.img is mounted on"), "{}", server.printed);
    fs::write(work.path("mnt/hello"), "world").unwrap();
    server.signal(Signal::INT);
    server.ended_well();
    assert_eq!(work.run(&["info", "disk.img", "--json"]).json()["clean"], true);

    let server = work.mount(&["disk.img", "mnt", "--create", "64M"]);
    assert!(!server.printed.contains("made"), "{}", server.printed);
    assert_eq!(fs::read_to_string(work.path("mnt/hello")).unwrap(), "world");
    server.signal(Signal::TERM);
    server.ended_well();
}

#[test]
fn unmounting_ends_the_server() {
    if !has_fuse() || !is_root() {
        return;
    }
    let work = Workshop::new();
    let server = work.mount(&["a.img", "mnt", "--create", SMALL]);
    fs::write(work.path("mnt/file"), [7; 100_000]).unwrap();
    assert!(Command::new("umount").arg(work.path("mnt")).status().unwrap().success());
    server.ended_well();
    let server = work.mount(&["a.img", "mnt"]);
    assert_eq!(fs::read(work.path("mnt/file")).unwrap(), [7; 100_000]);
    work.run(&["umount", "a.img"]).succeeded();
    // Once that has returned, nobody holds the image any more.
    assert_eq!(work.run(&["info", "a.img", "--json"]).json()["used_by"], serde_json::Value::Null);
    server.ended_well();
}

#[test]
fn a_daemon_is_ready_when_the_command_returns() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    fs::create_dir(work.path("mnt")).unwrap();
    let command = ["mount", "--daemon", "a.img", "mnt", "--create", SMALL, "--log-file", "log"];
    let outcome = work.run(&command).succeeded();
    assert!(outcome.stdout.contains("is mounted on"), "{}", outcome.stdout);
    assert!(is_mounted(&work.path("mnt")));
    fs::write(work.path("mnt/file"), b"x").unwrap();
    let busy = work.run(&command);
    let unmounted = work.run(&["umount", "mnt"]);
    detach(&work.path("mnt"));
    busy.failed(1, &["mnt is in use"]);
    unmounted.succeeded();
    assert!(!is_mounted(&work.path("mnt")));
    assert_eq!(work.run(&["info", "a.img", "--json"]).json()["clean"], true);
}

#[test]
fn a_mount_in_use_is_ended_by_the_second_signal() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    let mut server = work.mount(&["a.img", "mnt", "--create", SMALL]);
    fs::write(work.path("mnt/file"), b"written").unwrap();
    let mut user = Command::new("sleep")
        .arg("60")
        .current_dir(work.path("mnt"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    work.run(&["umount", "mnt"]).failed(1, &["in use by sleep", "--lazy"]);
    server.signal(Signal::TERM);
    server.wait_for("is in use by sleep");
    while is_mounted(&work.path("mnt")) {
        std::thread::yield_now();
    }
    server.signal(Signal::TERM);
    server.ended_well();
    user.kill().unwrap();
    user.wait().unwrap();
    let server = work.mount(&["a.img", "mnt"]);
    assert_eq!(fs::read(work.path("mnt/file")).unwrap(), b"written");
    drop(server);
}

#[test]
fn a_mount_in_use_ends_with_its_last_user() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    let mut server = work.mount(&["a.img", "mnt", "--create", SMALL]);
    let file = fs::File::create(work.path("mnt/file")).unwrap();
    server.signal(Signal::HUP);
    server.wait_for("is in use");
    file.sync_all().unwrap();
    drop(file);
    server.ended_well();
}

#[test]
fn after_a_crash_the_same_command_mounts_again() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    let server = work.mount(&["a.img", "mnt", "--create", SMALL]);
    let file = fs::File::create(work.path("mnt/synced")).unwrap();
    std::io::Write::write_all(&mut &file, &[1; 10_000]).unwrap();
    file.sync_all().unwrap();
    drop(file);
    server.crash();
    // The server is gone, but not its mount.
    assert!(is_mounted(&work.path("mnt")));
    let info = work.run(&["info", "a.img", "--json"]).succeeded().json();
    assert_eq!(info["clean"], false);
    let server = work.mount(&["a.img", "mnt"]);
    assert_eq!(fs::read(work.path("mnt/synced")).unwrap(), [1; 10_000]);
    server.signal(Signal::INT);
    server.ended_well();
}

#[test]
fn a_read_only_mount_changes_nothing() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    let image = work.volume("a.img");
    let before = fs::read(&image).unwrap();
    let server = work.mount(&["--read-only", "a.img", "mnt"]);
    let refused = fs::write(work.path("mnt/file"), b"x").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    fs::read_dir(work.path("mnt")).unwrap().for_each(drop);
    server.signal(Signal::INT);
    server.ended_well();
    assert!(fs::read(&image).unwrap() == before);
}

#[test]
fn the_helper_of_mount_is_silent_and_takes_what_fstab_has() {
    if !has_fuse() || !is_root() {
        return;
    }
    let work = Workshop::new();
    work.volume("a.img");
    fs::create_dir(work.path("mnt")).unwrap();
    for name in ["mount.fuse.braidfs", "umount.fuse.braidfs"] {
        std::os::unix::fs::symlink(PROGRAM, work.path(name)).unwrap();
    }
    let options = "rw,relatime,user_xattr,acl,_netdev,nofail,x-systemd.automount";
    let mount = work.path("mount.fuse.braidfs");
    let mounted = work.run_as(&mount, &["a.img", "mnt", "-o", options]);
    let table = fs::read_to_string("/proc/self/mounts").unwrap();
    let again = work.run_as(&mount, &["a.img", "mnt"]);
    fs::create_dir(work.path("second")).unwrap();
    let second = work.run_as(&mount, &["a.img", "second", "-o", "ro"]);
    fs::write(work.path("mnt/shared"), b"shared").unwrap();
    let shown = fs::read(work.path("second/shared"));
    let to_second = fs::write(work.path("second/file"), b"x");
    let second_gone = work.run_as(work.path("umount.fuse.braidfs"), &["second"]);
    let remounted = work.run_as(&mount, &["a.img", "mnt", "-o", "remount,ro"]);
    let write = fs::write(work.path("mnt/file"), b"x");
    let unmounted = work.run_as(work.path("umount.fuse.braidfs"), &["mnt"]);
    detach(&work.path("mnt"));
    assert_eq!(mounted.succeeded().stdout, "");
    let place = format!("{} fuse.braidfs", work.path("mnt").display());
    let line = table.lines().find(|line| line.contains(&place)).unwrap();
    assert!(line.contains("allow_other") && !line.contains("nosuid"), "{line}");
    again.failed(32, &["is mounted on", "already"]);
    assert_eq!(second.succeeded().stdout, "");
    assert_eq!(shown.unwrap(), b"shared");
    assert_eq!(to_second.unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    second_gone.succeeded();
    remounted.succeeded();
    assert_eq!(write.unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    unmounted.succeeded();
}

#[test]
fn what_the_kernel_has_not_handed_over_is_data_all_the_same() {
    if !has_fuse() {
        return;
    }
    use rustix::fs::{SeekFrom, seek};
    let work = Workshop::new();
    let server = work.mount(&["a.img", "mnt", "--create", SMALL]);
    let file = fs::File::create_new(work.path("mnt/sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[1; 4096], 1 << 20).unwrap();
    assert_eq!(seek(&file, SeekFrom::Data(0)), Ok(1 << 20));
    assert_eq!(seek(&file, SeekFrom::Hole(0)), Ok(0));
    assert_eq!(seek(&file, SeekFrom::Hole(1 << 20)), Ok((1 << 20) + 4096));
    assert_eq!(seek(&file, SeekFrom::Data(2 << 20)), Err(rustix::io::Errno::NXIO));
    drop(file);
    server.signal(Signal::INT);
    server.ended_well();
}
