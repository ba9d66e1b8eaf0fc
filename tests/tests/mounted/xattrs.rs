//! Extended attributes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use braidfs_tests::mounted::on_mount;
use rustix::fs::{XattrFlags, getxattr, listxattr, lremovexattr, lsetxattr, removexattr, setxattr};
use rustix::io::Errno;

use crate::bytes;

fn get(path: &Path, name: &str) -> Result<Vec<u8>, Errno> {
    let mut value = vec![0; 70_000];
    let length = getxattr(path, name, &mut value[..])?;
    value.truncate(length);
    Ok(value)
}

fn set(path: &Path, name: &str, value: &[u8]) -> Result<(), Errno> {
    setxattr(path, name, value, XattrFlags::empty())
}

fn list(path: &Path) -> BTreeSet<String> {
    let mut names = vec![0; 70_000];
    let length = listxattr(path, &mut names[..]).unwrap();
    let names = String::from_utf8(names[..length].to_vec()).unwrap();
    names.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn attributes_are_set_read_listed_and_removed() {
    on_mount(|mount| {
        let path = mount.path("file");
        fs::write(&path, b"").unwrap();
        assert_eq!(get(&path, "user.none"), Err(Errno::NODATA));
        for (name, length) in [("user.empty", 0), ("user.short", 5), ("user.longest", 4096)] {
            set(&path, name, &bytes(length, 1)).unwrap();
            assert!(get(&path, name).unwrap() == bytes(length, 1));
        }
        set(&path, "user.short", b"another value").unwrap();
        removexattr(&path, "user.empty").unwrap();
        assert_eq!(removexattr(&path, "user.empty"), Err(Errno::NODATA));
        mount.unmount();
        mount.start();
        assert_eq!(get(&path, "user.short").unwrap(), b"another value");
        let expected = ["user.longest", "user.short"].map(str::to_owned);
        assert_eq!(list(&path), BTreeSet::from(expected));
    });
}

#[test]
fn setting_can_insist_on_new_or_on_old() {
    on_mount(|mount| {
        let path = mount.path("file");
        fs::write(&path, b"").unwrap();
        let (create, replace) = (XattrFlags::CREATE, XattrFlags::REPLACE);
        assert_eq!(setxattr(&path, "user.x", b"1", replace), Err(Errno::NODATA));
        setxattr(&path, "user.x", b"1", create).unwrap();
        assert_eq!(setxattr(&path, "user.x", b"2", create), Err(Errno::EXIST));
        setxattr(&path, "user.x", b"2", replace).unwrap();
        assert_eq!(get(&path, "user.x").unwrap(), b"2");
    });
}

#[test]
fn limits_are_told() {
    on_mount(|mount| {
        let path = mount.path("file");
        fs::write(&path, b"").unwrap();
        assert_eq!(set(&path, "user.long", &bytes(4097, 1)), Err(Errno::TOOBIG));
        let longest = format!("user.{}", "n".repeat(250));
        set(&path, &longest, b"1").unwrap();
        assert_eq!(set(&path, &format!("{longest}n"), b"1"), Err(Errno::RANGE));
        let mut short = [0; 1];
        set(&path, "user.x", b"12345").unwrap();
        assert_eq!(getxattr(&path, "user.x", &mut short[..]), Err(Errno::RANGE));
        assert_eq!(set(&path, "nonsense", b"1"), Err(Errno::OPNOTSUPP));
    });
}

#[test]
fn a_file_can_have_many_attributes() {
    on_mount(|mount| {
        let path = mount.path("file");
        fs::write(&path, b"").unwrap();
        for number in 0..300 {
            set(&path, &format!("user.attribute-{number}"), &bytes(200, number + 1)).unwrap();
        }
        fs::File::open(&path).unwrap().sync_all().unwrap();
        mount.crash();
        assert_eq!(list(&path).len(), 300);
        assert!(get(&path, "user.attribute-123").unwrap() == bytes(200, 124));
    });
}

#[test]
fn directories_and_links_have_attributes_of_their_own() {
    on_mount(|mount| {
        fs::create_dir(mount.path("directory")).unwrap();
        set(&mount.path("directory"), "user.x", b"1").unwrap();
        assert_eq!(get(&mount.path("directory"), "user.x").unwrap(), b"1");
        std::os::unix::fs::symlink("directory", mount.path("link")).unwrap();
        let on_link = |name| lsetxattr(mount.path("link"), name, b"2", XattrFlags::empty());
        assert_eq!(on_link("user.x"), Err(Errno::PERM));
        if rustix::process::geteuid().is_root() {
            on_link("trusted.x").unwrap();
            lremovexattr(mount.path("link"), "trusted.x").unwrap();
        }
    });
}
