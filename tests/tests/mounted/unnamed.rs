//! Files without names, whiteouts, and the volume that is shut down.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use braidfs_tests::mounted::{Mount, on_mount};
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, StatxFlags, XattrFlags, linkat, open, renameat_with,
    setxattr, statx,
};

use crate::{bytes, errno, names};

fn unnamed(mount: &Mount) -> File {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    File::from(open(mount.root(), flags, Mode::from(0o640)).unwrap())
}

fn give_name(file: &File, path: &Path) -> rustix::io::Result<()> {
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    linkat(CWD, unnamed, CWD, path, AtFlags::SYMLINK_FOLLOW)
}

#[test]
fn a_file_without_a_name_can_get_one() {
    on_mount(|mount| {
        let content = bytes(100_000, 3);
        let mut file = unnamed(mount);
        file.write_all(&content).unwrap();
        assert_eq!(file.metadata().unwrap().nlink(), 0);
        assert_eq!(names(mount.root()), [] as [&str; 0]);
        give_name(&file, &mount.path("named")).unwrap();
        assert_eq!(file.metadata().unwrap().nlink(), 1);
        drop(file);
        mount.unmount();
        mount.start();
        assert!(fs::read(mount.path("named")).unwrap() == content);
    });
}

#[test]
fn a_file_without_a_name_is_gone_with_its_last_handle() {
    on_mount(|mount| {
        let mut file = unnamed(mount);
        file.write_all(&bytes(1 << 20, 3)).unwrap();
        file.sync_all().unwrap();
        file.rewind().unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        assert!(content == bytes(1 << 20, 3));
        drop(file);
        // A kill instead of the close leaves an orphan, which the next mount deletes.
        let mut other = unnamed(mount);
        other.write_all(b"x").unwrap();
        other.sync_all().unwrap();
        drop(other);
    });
}

#[test]
fn a_rename_can_leave_a_whiteout() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root may make whiteouts everywhere");
        return;
    }
    on_mount(|mount| {
        let (old, new) = (mount.path("old"), mount.path("new"));
        fs::write(&old, b"content").unwrap();
        let whiteout = RenameFlags::WHITEOUT;
        renameat_with(CWD, &old, CWD, &new, whiteout).unwrap();
        mount.unmount();
        mount.start();
        assert_eq!(fs::read(&new).unwrap(), b"content");
        let left = fs::symlink_metadata(&old).unwrap();
        assert!(left.file_type().is_char_device() && left.rdev() == 0 && left.nlink() == 1);
        let taken = renameat_with(CWD, &new, CWD, &old, whiteout | RenameFlags::NOREPLACE);
        assert_eq!(taken, Err(rustix::io::Errno::EXIST));
        renameat_with(CWD, &new, CWD, &old, whiteout).unwrap();
        assert_eq!(fs::read(&old).unwrap(), b"content");
        assert_eq!(names(mount.root()), ["new", "old"]);
    });
}

#[test]
fn birth_times_are_told() {
    on_mount(|mount| {
        let path = mount.path("file");
        fs::write(&path, b"").unwrap();
        let born = || {
            let status = statx(CWD, &path, AtFlags::empty(), StatxFlags::BTIME).unwrap();
            assert_ne!(status.stx_mask & StatxFlags::BTIME.bits(), 0);
            (status.stx_btime.tv_sec, status.stx_btime.tv_nsec)
        };
        let before = born();
        fs::write(&path, b"changed").unwrap();
        mount.unmount();
        mount.start();
        assert_eq!(born(), before);
    });
}

#[test]
fn a_volume_that_is_shut_down_is_as_after_a_crash() {
    for mode in ["everything", "names", "nothing"] {
        on_mount(|mount| {
            let (durable, later) = (mount.path("durable"), mount.path("later"));
            fs::write(&durable, b"durable\n").unwrap();
            File::open(&durable).unwrap().sync_all().unwrap();
            fs::write(&later, b"later\n").unwrap();
            let flags = XattrFlags::empty();
            setxattr(mount.root(), "system.braidfs.shutdown", mode.as_bytes(), flags).unwrap();
            assert_eq!(errno(fs::create_dir(mount.path("after"))), libc::EIO);
            assert_eq!(errno(File::open(&durable).unwrap().sync_all()), libc::EIO);
            mount.unmount();
            mount.start();
            assert_eq!(fs::read(&durable).unwrap(), b"durable\n");
            let found = fs::read_to_string(&later).ok();
            match mode {
                "nothing" => assert_eq!(found, None),
                "names" => assert_eq!(found.as_deref(), Some("")),
                _ => assert_eq!(found.as_deref(), Some("later\n")),
            }
        });
    }
}
