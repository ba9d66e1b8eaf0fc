//! Modes, owners, sizes and what statfs tells.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown};

use braidfs_tests::mounted::on_mount;

use crate::{bytes, errno};

#[test]
fn permissions_are_kept() {
    on_mount(|mount| {
        let path = mount.path("file");
        fs::write(&path, b"").unwrap();
        fs::create_dir(mount.path("directory")).unwrap();
        for mode in [0o000, 0o640, 0o7777, 0o1755] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode(), 0o100_000 | mode);
            fs::set_permissions(mount.path("directory"), Permissions::from_mode(mode)).unwrap();
            assert_eq!(fs::metadata(mount.path("directory")).unwrap().mode(), 0o040_000 | mode);
        }
        mount.unmount();
        mount.start();
        assert_eq!(fs::metadata(mount.path("file")).unwrap().mode(), 0o101_755);
    });
}

#[test]
fn owners_are_kept_and_lose_their_privileges() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    on_mount(|mount| {
        let path = mount.path("file");
        fs::write(&path, b"").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o6755)).unwrap();
        chown(&path, Some(1234), Some(4_000_000_000)).unwrap();
        let seen = fs::metadata(&path).unwrap();
        assert_eq!((seen.uid(), seen.gid(), seen.mode() & 0o7777), (1234, 4_000_000_000, 0o755));
        chown(&path, None, Some(5)).unwrap();
        mount.sync();
        mount.crash();
        let seen = fs::metadata(mount.path("file")).unwrap();
        assert_eq!((seen.uid(), seen.gid()), (1234, 5));
    });
}

#[test]
fn a_directory_hands_its_group_on() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    on_mount(|mount| {
        let path = mount.path("shared");
        fs::create_dir(&path).unwrap();
        chown(&path, None, Some(77)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o2775)).unwrap();
        fs::write(path.join("file"), b"").unwrap();
        fs::create_dir(path.join("directory")).unwrap();
        assert_eq!(fs::metadata(path.join("file")).unwrap().gid(), 77);
        let below = fs::metadata(path.join("directory")).unwrap();
        assert_eq!((below.gid(), below.mode() & 0o2000), (77, 0o2000));
    });
}

#[test]
fn sizes_in_blocks_are_those_of_the_data() {
    on_mount(|mount| {
        let file = File::create(mount.path("file")).unwrap();
        file.write_all_at(&bytes(1 << 20, 1), 0).unwrap();
        file.sync_all().unwrap();
        assert_eq!(file.metadata().unwrap().blocks(), (1 << 20) / 512);
        file.set_len(1000).unwrap();
        file.sync_all().unwrap();
        drop(file);
        mount.unmount();
        mount.start();
        assert!(fs::metadata(mount.path("file")).unwrap().blocks() <= 8);
    });
}

#[test]
fn statfs_adds_up() {
    on_mount(|mount| {
        let before = rustix::fs::statvfs(mount.root()).unwrap();
        assert_eq!((before.f_bsize, before.f_namemax), (4096, 255));
        assert!(before.f_blocks * 4096 > 200 << 20 && before.f_blocks * 4096 < 256 << 20);
        assert!(before.f_bavail <= before.f_bfree && before.f_bfree <= before.f_blocks);
        let file = File::create(mount.path("file")).unwrap();
        file.write_all_at(&bytes(10 << 20, 1), 0).unwrap();
        file.sync_all().unwrap();
        let after = rustix::fs::statvfs(mount.root()).unwrap();
        let used = before.f_bavail - after.f_bavail;
        assert!((2560..2700).contains(&used), "{used} blocks for 10 MiB");
        assert!(after.f_ffree <= before.f_ffree);
    });
}

#[test]
fn files_can_not_grow_without_end() {
    on_mount(|mount| {
        let file = File::create(mount.path("file")).unwrap();
        file.set_len(1 << 50).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 1 << 50);
        file.set_len(i64::MAX as u64).unwrap();
        file.write_all_at(b"x", i64::MAX as u64 - 1).unwrap();
        let result = file.write_at(b"x", i64::MAX as u64);
        assert!([libc::EFBIG, libc::EINVAL].contains(&errno(result)));
        file.set_len(0).unwrap();
    });
}

#[test]
fn only_its_owner_may_change_a_file() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    braidfs_tests::mounted::on_mount_with(&["--allow-other"], |mount| {
        let path = mount.path("file");
        fs::write(&path, b"secret").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(mount.outside(), Permissions::from_mode(0o755)).unwrap();
        let as_nobody = |command: &str| {
            let mut shell = std::process::Command::new("setpriv");
            shell.args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", command]);
            shell.current_dir(mount.root()).output().unwrap().status.success()
        };
        assert!(as_nobody("true") && as_nobody("stat file"));
        assert!(!as_nobody("cat file") && !as_nobody("chmod 644 file") && !as_nobody("rm -f file"));
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(as_nobody("cat file") && !as_nobody("echo x >> file"));
    });
}
