//! Times: to the nanosecond, before 1970 and after 2038, and when they change by themselves.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use braidfs_tests::mounted::{on_mount, on_mount_with};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};

fn set(path: &Path, accessed: (i64, i64), modified: (i64, i64)) {
    let time = |(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time(accessed), last_modification: time(modified) };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn accessed(path: &Path) -> (i64, i64) {
    let seen = fs::symlink_metadata(path).unwrap();
    (seen.atime(), seen.atime_nsec())
}

fn modified(path: &Path) -> (i64, i64) {
    let seen = fs::symlink_metadata(path).unwrap();
    (seen.mtime(), seen.mtime_nsec())
}

fn changed(path: &Path) -> (i64, i64) {
    let seen = fs::symlink_metadata(path).unwrap();
    (seen.ctime(), seen.ctime_nsec())
}

/// Long enough for the clock to show another time.
fn a_moment() {
    sleep(Duration::from_millis(15));
}

#[test]
fn times_are_kept_to_the_nanosecond() {
    on_mount(|mount| {
        // Before 1970, around 2038, the years 2106 and 2446, and the year 4000.
        let seconds = [-2_000_000_000, -1, 0, 1 << 31, 1 << 32, 15_032_385_535, 64_060_588_800];
        for (number, second) in seconds.into_iter().enumerate() {
            let path = mount.path(format!("file {number}"));
            fs::write(&path, b"x").unwrap();
            set(&path, (second, 1), (second, 999_999_999));
            assert_eq!((accessed(&path), modified(&path)), ((second, 1), (second, 999_999_999)));
        }
        mount.unmount();
        mount.start();
        for (number, second) in seconds.into_iter().enumerate() {
            let path = mount.path(format!("file {number}"));
            assert_eq!(modified(&path), (second, 999_999_999), "file {number}");
            assert_eq!(accessed(&path), (second, 1), "file {number}");
        }
    });
}

#[test]
fn times_of_links_are_their_own() {
    on_mount(|mount| {
        fs::write(mount.path("file"), b"x").unwrap();
        std::os::unix::fs::symlink("file", mount.path("link")).unwrap();
        let before = modified(&mount.path("file"));
        set(&mount.path("link"), (1, 2), (3, 4));
        assert_eq!(modified(&mount.path("link")), (3, 4));
        assert_eq!(modified(&mount.path("file")), before);
    });
}

#[test]
fn times_can_be_left_alone_and_set_to_now() {
    on_mount(|mount| {
        let path = mount.path("file");
        fs::write(&path, b"x").unwrap();
        set(&path, (100, 0), (200, 0));
        set(&path, (0, UTIME_OMIT), (300, 7));
        assert_eq!((accessed(&path), modified(&path)), ((100, 0), (300, 7)));
        set(&path, (0, UTIME_NOW), (0, UTIME_OMIT));
        assert_eq!(modified(&path), (300, 7));
        assert!(accessed(&path).0 > 1_600_000_000);
    });
}

#[test]
fn a_write_changes_the_modification_time() {
    on_mount(|mount| {
        let path = mount.path("file");
        let file = File::create(&path).unwrap();
        set(&path, (100, 0), (100, 0));
        a_moment();
        file.write_all_at(b"content", 0).unwrap();
        assert!(modified(&path).0 > 1_600_000_000);
        file.sync_all().unwrap();
        let after = modified(&path);
        drop(file);
        mount.crash();
        assert_eq!(modified(&mount.path("file")), after);
    });
}

#[test]
fn a_time_that_was_set_after_a_write_stays() {
    on_mount(|mount| {
        let path = mount.path("file");
        // As cp -p and tar do it: write, set, close; the kernel hands the content over later.
        let file = File::create(&path).unwrap();
        file.write_all_at(&vec![7; 100_000], 0).unwrap();
        set(&path, (100, 5), (200, 6));
        drop(file);
        mount.sync();
        assert_eq!(modified(&path), (200, 6));
        mount.unmount();
        mount.start();
        assert_eq!(modified(&mount.path("file")), (200, 6));
    });
}

#[test]
fn names_change_the_times_of_their_directory() {
    on_mount(|mount| {
        let directory = mount.path("directory");
        fs::create_dir(&directory).unwrap();
        let mut before = modified(&directory);
        let mut has_changed = |what: &str| {
            let now = modified(&directory);
            assert!(now > before, "{what} left the directory's time at {now:?}");
            before = now;
            a_moment();
        };
        a_moment();
        fs::write(directory.join("file"), b"x").unwrap();
        has_changed("creat");
        fs::hard_link(directory.join("file"), directory.join("other")).unwrap();
        has_changed("link");
        fs::rename(directory.join("file"), directory.join("new")).unwrap();
        has_changed("rename");
        fs::remove_file(directory.join("new")).unwrap();
        has_changed("unlink");
    });
}

#[test]
fn the_change_time_follows_every_change() {
    on_mount(|mount| {
        let path = mount.path("file");
        fs::write(&path, b"x").unwrap();
        let mut before = changed(&path);
        let mut has_changed = |what: &str| {
            let now = changed(&path);
            assert!(now > before, "{what} left the change time at {now:?}");
            before = now;
            a_moment();
        };
        a_moment();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        has_changed("chmod");
        fs::hard_link(&path, mount.path("other")).unwrap();
        has_changed("link");
        fs::remove_file(mount.path("other")).unwrap();
        has_changed("unlink");
        set(&path, (1, 1), (1, 1));
        has_changed("utimensat");
        File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
        has_changed("truncate");
        rustix::fs::setxattr(&path, "user.x", b"1", rustix::fs::XattrFlags::empty()).unwrap();
        has_changed("setxattr");
    });
}

#[test]
fn access_times_are_off_when_they_are_told_to_be() {
    on_mount_with(&["--access-time", "noatime"], |mount| {
        let path = mount.path("file");
        fs::write(&path, b"x").unwrap();
        set(&path, (100, 0), (200, 0));
        mount.unmount();
        mount.start();
        fs::read(&path).unwrap();
        assert_eq!(accessed(&path), (100, 0));
    });
}

#[test]
fn a_read_after_a_change_changes_the_access_time() {
    on_mount(|mount| {
        let path = mount.path("file");
        fs::write(&path, b"x").unwrap();
        set(&path, (100, 0), (200, 0));
        mount.unmount();
        mount.start();
        fs::read(&path).unwrap();
        // The kernel may show what it knew; the volume knows better.
        mount.unmount();
        mount.start();
        assert!(accessed(&path).0 > 1_600_000_000);
    });
}
