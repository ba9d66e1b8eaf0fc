//! Renaming, links, and what names can be.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};

use braidfs_tests::mounted::{Mount, on_mount};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, mkdirat, openat, renameat_with};
use rustix::io::Errno;

use crate::{errno, names};

fn rename(mount: &Mount, from: &str, to: &str, flags: RenameFlags) -> Result<(), Errno> {
    renameat_with(CWD, mount.path(from), CWD, mount.path(to), flags)
}

#[test]
fn renaming_replaces_by_the_rules() {
    on_mount(|mount| {
        for directory in ["d1", "d2", "full", "full/below"] {
            fs::create_dir(mount.path(directory)).unwrap();
        }
        for file in ["f1", "f2"] {
            fs::write(mount.path(file), file).unwrap();
        }
        let rename = |from: &str, to: &str| fs::rename(mount.path(from), mount.path(to));
        rename("f1", "f2").unwrap();
        assert_eq!(fs::read(mount.path("f2")).unwrap(), b"f1");
        assert_eq!(errno(rename("f2", "d1")), libc::EISDIR);
        assert_eq!(errno(rename("d1", "f2")), libc::ENOTDIR);
        assert_eq!(errno(rename("d1", "full")), libc::ENOTEMPTY);
        rename("d1", "d2").unwrap();
        rename("d2", "full/below/d2").unwrap();
        assert_eq!(errno(rename("full", "full/below/d2/full")), libc::EINVAL);
        assert_eq!(errno(rename("nothing", "f2")), libc::ENOENT);
        assert_eq!(errno(rename("f2", "nowhere/f2")), libc::ENOENT);
        rename("f2", "f2").unwrap();
        assert_eq!(names(mount.root()), ["f2", "full"]);
    });
}

#[test]
fn renaming_can_refuse_to_replace_and_can_exchange() {
    on_mount(|mount| {
        fs::write(mount.path("one"), b"1").unwrap();
        fs::create_dir(mount.path("two")).unwrap();
        fs::write(mount.path("two/below"), b"2").unwrap();
        let (refuse, exchange) = (RenameFlags::NOREPLACE, RenameFlags::EXCHANGE);
        assert_eq!(rename(mount, "one", "two", refuse), Err(Errno::EXIST));
        rename(mount, "one", "three", refuse).unwrap();
        rename(mount, "three", "two", exchange).unwrap();
        assert_eq!(fs::read(mount.path("two")).unwrap(), b"1");
        assert_eq!(fs::read(mount.path("three/below")).unwrap(), b"2");
        assert_eq!(rename(mount, "two", "nothing", exchange), Err(Errno::NOENT));
        let both = RenameFlags::WHITEOUT | exchange;
        assert_eq!(rename(mount, "two", "four", both), Err(Errno::INVAL));
        assert_eq!(fs::metadata(mount.root()).unwrap().nlink(), 3);
    });
}

#[test]
fn a_file_can_have_many_names() {
    on_mount(|mount| {
        fs::write(mount.path("first"), b"content").unwrap();
        for number in 0..200 {
            fs::hard_link(mount.path("first"), mount.path(format!("name {number}"))).unwrap();
        }
        let seen = fs::metadata(mount.path("first")).unwrap();
        assert_eq!(seen.nlink(), 201);
        fs::remove_file(mount.path("first")).unwrap();
        let other = fs::metadata(mount.path("name 7")).unwrap();
        assert_eq!((other.nlink(), other.ino()), (200, seen.ino()));
        fs::create_dir(mount.path("directory")).unwrap();
        let result = fs::hard_link(mount.path("directory"), mount.path("other"));
        assert_eq!(errno(result), libc::EPERM);
        let result = fs::hard_link(mount.path("name 1"), mount.path("name 2"));
        assert_eq!(errno(result), libc::EEXIST);
        mount.unmount();
        mount.start();
        assert_eq!(fs::metadata(mount.path("name 9")).unwrap().nlink(), 200);
    });
}

#[test]
fn symbolic_links_lead_anywhere() {
    on_mount(|mount| {
        fs::write(mount.path("file"), b"content").unwrap();
        symlink("file", mount.path("near")).unwrap();
        symlink("nowhere", mount.path("dangling")).unwrap();
        symlink("loop", mount.path("loop")).unwrap();
        let long = "x/".repeat(2047) + "y";
        symlink(&long, mount.path("long")).unwrap();
        assert_eq!(fs::read(mount.path("near")).unwrap(), b"content");
        assert_eq!(errno(fs::read(mount.path("dangling"))), libc::ENOENT);
        assert_eq!(errno(fs::read(mount.path("loop"))), libc::ELOOP);
        mount.unmount();
        mount.start();
        assert_eq!(fs::read_link(mount.path("long")).unwrap().as_os_str(), OsStr::new(&long));
        assert_eq!(fs::symlink_metadata(mount.path("long")).unwrap().len(), 4095);
        let too_long = "z".repeat(4096);
        assert_eq!(errno(symlink(too_long, mount.path("longer"))), libc::ENAMETOOLONG);
    });
}

#[test]
fn names_are_bytes_up_to_255_of_them() {
    on_mount(|mount| {
        let all: Vec<u8> = (1..=255).filter(|byte| *byte != b'/').collect();
        let longest = "n".repeat(255);
        for name in [&all[..], longest.as_bytes(), b" ", b"...", "\u{e9}\u{1f409}".as_bytes()] {
            let path = mount.path(OsStr::from_bytes(name));
            fs::write(&path, name).unwrap();
            assert_eq!(fs::read(&path).unwrap(), name);
        }
        let too_long = mount.path("n".repeat(256));
        assert_eq!(errno(File::create(&too_long)), libc::ENAMETOOLONG);
        assert_eq!(errno(fs::metadata(&too_long)), libc::ENAMETOOLONG);
        assert_eq!(errno(fs::rename(mount.path(&longest), &too_long)), libc::ENAMETOOLONG);
        mount.unmount();
        mount.start();
        let found = fs::read_dir(mount.root()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(found.into_iter().any(|name| name.as_bytes() == all));
    });
}

#[test]
fn paths_can_be_longer_than_any_path() {
    on_mount(|mount| {
        let name = "d".repeat(200);
        let flags = OFlags::DIRECTORY | OFlags::RDONLY;
        let mut at = openat(CWD, mount.root(), flags, Mode::empty()).unwrap();
        for _ in 0..100 {
            mkdirat(&at, &name, Mode::RWXU).unwrap();
            at = openat(&at, &name, flags, Mode::empty()).unwrap();
        }
        let create = OFlags::CREATE | OFlags::WRONLY;
        openat(&at, "file", create, Mode::RWXU).unwrap();
        let file = openat(&at, "file", OFlags::RDONLY, Mode::empty()).unwrap();
        assert_eq!(rustix::fs::fstat(&file).unwrap().st_nlink, 1);
        drop((at, file));
        fs::remove_dir_all(mount.path(&name)).unwrap();
        assert!(names(mount.root()).is_empty());
    });
}

#[test]
fn directories_count_their_subdirectories() {
    on_mount(|mount| {
        let links = |name: &str| fs::metadata(mount.path(name)).unwrap().nlink();
        for name in ["a", "a/b", "a/c", "d"] {
            fs::create_dir(mount.path(name)).unwrap();
        }
        assert_eq!((links(""), links("a"), links("d")), (4, 4, 2));
        fs::rename(mount.path("a/b"), mount.path("d/b")).unwrap();
        assert_eq!((links("a"), links("d")), (3, 3));
        fs::remove_dir(mount.path("d/b")).unwrap();
        assert_eq!(links("d"), 2);
        assert_eq!(errno(fs::remove_dir(mount.path("a"))), libc::ENOTEMPTY);
    });
}
