//! Access control lists, and what takes setuid, setgid and capabilities away.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use braidfs_tests::mounted::on_mount;
use rustix::fs::{XattrFlags, getxattr, removexattr, setxattr};
use rustix::io::Errno;

use crate::bytes;

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";
const CAPABILITY: &str = "security.capability";
/// `cap_net_raw=ep`, as setcap(8) writes it.
const NET_RAW: [u8; 20] = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A list as Linux encodes it: tag, permissions, id.
fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// Owner, one user, group, mask, others.
fn with_user(owner: u16, user: u16, group: u16, mask: u16, others: u16) -> Vec<u8> {
    const NONE: u32 = u32::MAX;
    list(&[
        (1, owner, NONE),
        (2, user, 1000),
        (4, group, NONE),
        (16, mask, NONE),
        (32, others, NONE),
    ])
}

fn minimal(owner: u16, group: u16, others: u16) -> Vec<u8> {
    list(&[(1, owner, u32::MAX), (4, group, u32::MAX), (32, others, u32::MAX)])
}

fn get(path: &Path, name: &str) -> Result<Vec<u8>, Errno> {
    let mut value = [0; 4096];
    getxattr(path, name, &mut value).map(|length| value[..length].to_vec())
}

fn set(path: &Path, name: &str, value: &[u8]) -> Result<(), Errno> {
    setxattr(path, name, value, XattrFlags::empty())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_list_and_the_mode_say_the_same() {
    on_mount(|mount| {
        let path = mount.path("file");
        fs::write(&path, b"").unwrap();
        set_mode(&path, 0o644);
        assert_eq!(get(&path, ACCESS), Err(Errno::NODATA));
        set(&path, ACCESS, &with_user(6, 6, 4, 6, 0)).unwrap();
        assert_eq!(mode(&path), 0o660);
        assert_eq!(get(&path, ACCESS), Ok(with_user(6, 6, 4, 6, 0)));
        set_mode(&path, 0o741);
        assert_eq!(get(&path, ACCESS), Ok(with_user(7, 6, 4, 4, 1)));
        mount.unmount();
        mount.start();
        assert_eq!(get(&path, ACCESS), Ok(with_user(7, 6, 4, 4, 1)));
        set_mode(&path, 0o700);
        assert_eq!(get(&path, ACCESS), Ok(with_user(7, 6, 4, 0, 0)));
        set(&path, ACCESS, &minimal(6, 4, 4)).unwrap();
        assert_eq!((mode(&path), get(&path, ACCESS)), (0o644, Err(Errno::NODATA)));
    });
}

#[test]
fn new_files_inherit_the_default_list() {
    on_mount(|mount| {
        let directory = mount.path("directory");
        fs::create_dir(&directory).unwrap();
        let default = with_user(7, 7, 5, 7, 5);
        set(&directory, DEFAULT, &default).unwrap();
        for round in 0..2 {
            let file = directory.join(format!("file{round}"));
            fs::write(&file, b"").unwrap();
            // Made with 0666; the umask of the test does not count.
            assert_eq!(get(&file, ACCESS), Ok(with_user(6, 7, 5, 6, 4)));
            assert_eq!((mode(&file), get(&file, DEFAULT)), (0o664, Err(Errno::NODATA)));
            let below = directory.join(format!("below{round}"));
            fs::create_dir(&below).unwrap();
            assert_eq!(get(&below, DEFAULT), Ok(default.clone()));
            assert_eq!(get(&below, ACCESS), Ok(default.clone()));
            mount.unmount();
            mount.start();
        }
        removexattr(&directory, DEFAULT).unwrap();
        fs::write(directory.join("plain"), b"").unwrap();
        assert_eq!(get(&directory.join("plain"), ACCESS), Err(Errno::NODATA));
        // To remove what is not there is no mistake.
        removexattr(&directory, DEFAULT).unwrap();
    });
}

#[test]
fn what_is_no_list_is_refused() {
    on_mount(|mount| {
        let path = mount.path("file");
        fs::write(&path, b"").unwrap();
        let user_without_mask = list(&[(1, 6, 0), (2, 4, 7), (4, 4, 0), (32, 0, 0)]);
        assert_eq!(set(&path, ACCESS, &user_without_mask), Err(Errno::INVAL));
        assert_eq!(set(&path, ACCESS, b"nonsense"), Err(Errno::OPNOTSUPP));
        assert_eq!(set(&path, DEFAULT, &minimal(6, 4, 4)), Err(Errno::ACCESS));
        assert_eq!(get(&path, ACCESS), Err(Errno::NODATA));
    });
}

#[test]
fn a_change_of_owner_takes_privileges() {
    on_mount(|mount| {
        let path = mount.path("program");
        fs::write(&path, b"#!").unwrap();
        let owner = fs::metadata(&path).unwrap();
        set_mode(&path, 0o6755);
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        assert_eq!(mode(&path), 0o755);
        // Directories keep theirs, which mean something else.
        let directory = mount.path("directory");
        fs::create_dir(&directory).unwrap();
        set_mode(&directory, 0o2755);
        chown(&directory, Some(owner.uid()), Some(owner.gid())).unwrap();
        assert_eq!(mode(&directory), 0o2755);
    });
}

#[test]
fn capabilities_go_when_a_program_changes() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root may give capabilities");
        return;
    }
    on_mount(|mount| {
        let path = mount.path("program");
        let give = || {
            fs::write(&path, bytes(10_000, 1)).unwrap();
            set(&path, CAPABILITY, &NET_RAW).unwrap();
            assert_eq!(get(&path, CAPABILITY), Ok(NET_RAW.to_vec()));
        };
        let is_gone = || assert_eq!(get(&path, CAPABILITY), Err(Errno::NODATA));
        give();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(5_000).unwrap();
        drop(file);
        is_gone();
        give();
        chown(&path, Some(1), Some(1)).unwrap();
        is_gone();
        give();
        mount.unmount();
        mount.start();
        fs::write(&path, b"other").unwrap();
        is_gone();
    });
}
