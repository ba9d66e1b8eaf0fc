//! Names: renames, links, deletions, and what of them outlives a crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use braidfs::{Credentials, MountOptions, ROOT_INODE, RenameMode, Volume, XattrMode};

use super::support::{
    assert_clean, content, crash, create, create_in, device, find, fresh, mkdir, names, put, quiet,
    remount, write,
};

fn rename(volume: &Volume, from: &str, to: &str, mode: RenameMode) -> Result<(), i32> {
    let renamed = volume.rename(ROOT_INODE, from.as_bytes(), ROOT_INODE, to.as_bytes(), mode);
    renamed.map_err(|error| error.errno())
}

#[test]
fn renames_by_mode() {
    let (device, volume) = fresh(16);
    let (a, b) = (put(&volume, "a", b"a"), put(&volume, "b", b"b"));
    assert_eq!(rename(&volume, "a", "b", RenameMode::NoReplace), Err(libc::EEXIST));
    assert_eq!(rename(&volume, "a", "none", RenameMode::Exchange), Err(libc::ENOENT));
    assert_eq!(rename(&volume, "none", "a", RenameMode::Replace), Err(libc::ENOENT));
    rename(&volume, "a", "b", RenameMode::Exchange).unwrap();
    assert_eq!((find(&volume, "a"), find(&volume, "b")).0.unwrap(), b);
    rename(&volume, "b", "a", RenameMode::Replace).unwrap();
    assert_eq!(find(&volume, "a").unwrap(), a);
    assert_eq!(find(&volume, "b").unwrap_err().errno(), libc::ENOENT);
    volume.link(a, ROOT_INODE, b"same").unwrap();
    rename(&volume, "a", "same", RenameMode::Replace).unwrap();
    assert_eq!(names(&volume, ROOT_INODE), ["a", "same"], "two names of one file: nothing to do");
    remount(&device, volume);
}

#[test]
fn directories_do_not_move_into_themselves() {
    let (device, volume) = fresh(16);
    let outer = mkdir(&volume, "outer");
    let owner = Credentials::default();
    let inner = volume.mkdir(outer, b"inner", 0o755, &owner).unwrap().inode;
    for mode in [RenameMode::Replace, RenameMode::Exchange] {
        let moved = volume.rename(ROOT_INODE, b"outer", outer, b"inner", mode);
        assert_eq!(moved.unwrap_err().errno(), libc::EINVAL);
    }
    let moved = volume.rename(ROOT_INODE, b"outer", inner, b"x", RenameMode::Replace);
    assert_eq!(moved.unwrap_err().errno(), libc::EINVAL);
    create_in(&volume, inner, "file").unwrap();
    let other = mkdir(&volume, "other");
    let replaced = volume.rename(ROOT_INODE, b"other", outer, b"inner", RenameMode::Replace);
    assert_eq!(replaced.unwrap_err().errno(), libc::ENOTEMPTY);
    assert_eq!(volume.rmdir(ROOT_INODE, b"outer").unwrap_err().errno(), libc::ENOTEMPTY);
    volume.rename(outer, b"inner", other, b"inner", RenameMode::Replace).unwrap();
    let links = |inode| volume.getattr(inode).unwrap().links;
    assert_eq!((links(ROOT_INODE), links(outer), links(other), links(inner)), (4, 2, 3, 2));
    remount(&device, volume);
}

#[test]
fn a_file_renamed_over_another_goes_to_disk_with_its_data() {
    let (device, volume) = fresh(16);
    put(&volume, "config", b"old");
    let bystander = put(&volume, "bystander", b"x");
    volume.syncfs().unwrap();
    put(&volume, "config.new", &[7; 10_000]);
    write(&volume, bystander, 0, b"y");
    rename(&volume, "config.new", "config", RenameMode::Replace).unwrap();
    let other = create(&volume, "other").unwrap();
    volume.fsync(other, false).unwrap();
    let volume = crash(&device, volume);
    let config = find(&volume, "config").unwrap();
    assert_eq!(content(&volume, config), [7; 10_000]);
    assert_eq!(content(&volume, bystander), b"x", "an fsync takes no other file's data");
    remount(&device, volume);
}

#[test]
fn an_orphan_lives_while_it_is_referenced_and_no_longer() {
    let (device, volume) = fresh(16);
    let orphan = put(&volume, "file", b"content");
    volume.open(orphan, false).unwrap();
    volume.unlink(ROOT_INODE, b"file").unwrap();
    volume.forget(orphan, 1);
    volume.syncfs().unwrap();
    write(&volume, orphan, 7, b" and more");
    assert_eq!(content(&volume, orphan), b"content and more");
    assert_eq!(volume.link(orphan, ROOT_INODE, b"again").unwrap_err().errno(), libc::ENOENT);
    volume.release(orphan);
    assert_eq!(volume.getattr(orphan).map(|found| found.links).unwrap_or(0), 0);
    let other = put(&volume, "other", b"content");
    volume.unlink(ROOT_INODE, b"other").unwrap();
    volume.syncfs().unwrap();
    let volume = crash(&device, volume);
    for gone in [orphan, other] {
        assert_eq!(volume.getattr(gone).unwrap_err().errno(), libc::ENOENT);
    }
    remount(&device, volume);
}

#[test]
fn a_file_deleted_while_its_delta_is_staged_does_not_stay_in_memory() {
    let device = device(32);
    let options = MountOptions { background: false, ..quiet() };
    let volume = Volume::mount(device.clone(), options).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                volume.syncfs().unwrap();
            }
        });
        for tag in 0..2000 {
            let inode = put(&volume, &format!("{tag}"), b"content");
            volume.forget(inode, 1);
            volume.unlink(ROOT_INODE, format!("{tag}").as_bytes()).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    volume.syncfs().unwrap();
    assert!(volume.statistics().inodes_in_memory <= 2, "{:?}", volume.statistics());
    assert_eq!(volume.statistics().cache.dirty_bytes, 0);
    remount(&device, volume);
}

#[test]
fn attributes_have_limits_and_modes() {
    let (device, volume) = fresh(16);
    let inode = put(&volume, "file", b"");
    let set = |name: &[u8], value: &[u8], mode| {
        volume.setxattr(inode, name, value, mode).map_err(|error| error.errno())
    };
    assert_eq!(set(b"user.a", b"1", XattrMode::Replace), Err(libc::ENODATA));
    set(b"user.a", &[1; 4096], XattrMode::Create).unwrap();
    assert_eq!(set(b"user.a", b"1", XattrMode::Create), Err(libc::EEXIST));
    assert_eq!(set(b"user.b", &[1; 4097], XattrMode::Set), Err(libc::E2BIG));
    assert_eq!(set(&[b'u'; 256], b"", XattrMode::Set), Err(libc::ENAMETOOLONG));
    set(&[b'u'; 255], b"", XattrMode::Set).unwrap();
    volume.forget(inode, 1);
    let volume = remount(&device, volume);
    assert_eq!(volume.getxattr(inode, b"user.a").unwrap(), [1; 4096]);
    assert_eq!(volume.listxattr(inode).unwrap().len(), 2);
    volume.removexattr(inode, b"user.a").unwrap();
    assert_eq!(volume.removexattr(inode, b"user.a").unwrap_err().errno(), libc::ENODATA);
    remount(&device, volume);
}

#[test]
fn links_keep_their_target() {
    let (device, volume) = fresh(16);
    let owner = Credentials::default();
    let long = vec![b'x'; 4095];
    let make = |name: &[u8], target: &[u8]| volume.symlink(ROOT_INODE, name, target, &owner);
    assert_eq!(make(b"l", &[b'x'; 4096]).unwrap_err().errno(), libc::ENAMETOOLONG);
    let link = make(b"l", &long).unwrap();
    assert_eq!(link.size, 4095);
    for tag in 0..100 {
        make(format!("{tag}").as_bytes(), &long).unwrap();
    }
    volume.fsync(ROOT_INODE, false).unwrap();
    let volume = crash(&device, volume);
    assert_eq!(volume.readlink(link.inode).unwrap(), long);
    assert_eq!(volume.readlink(ROOT_INODE).unwrap_err().errno(), libc::EINVAL);
    remount(&device, volume);
}

#[test]
fn a_cookie_stays_right_while_names_come_and_go() {
    let (_device, volume) = fresh(16);
    let directory = mkdir(&volume, "directory");
    for tag in 0..600 {
        create_in(&volume, directory, &format!("stays {tag}")).unwrap();
        create_in(&volume, directory, &format!("goes {tag}")).unwrap();
    }
    let (mut after, mut seen, mut round) = (0, Vec::new(), 0);
    loop {
        let before = after;
        let mut left = 50;
        volume
            .readdir(directory, after, &mut |entry| {
                seen.push(String::from_utf8(entry.name.clone()).unwrap());
                after = entry.cookie;
                left -= 1;
                left > 0
            })
            .unwrap();
        if before == after {
            break;
        }
        volume.unlink(directory, format!("goes {round}").as_bytes()).unwrap();
        create_in(&volume, directory, &format!("comes {round}")).unwrap();
        match round % 4 {
            0 => volume.syncfs().unwrap(),
            1 => volume.unify().unwrap(),
            _ => {}
        }
        round += 1;
    }
    let mut stays: Vec<_> = seen.iter().filter(|name| name.starts_with("stays")).collect();
    stays.sort();
    stays.dedup();
    assert_eq!(stays.len(), 600);
    let before = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), before, "an entry was shown twice");
}

#[test]
fn a_name_that_is_replaced_over_and_over_is_always_found() {
    let device = device(32);
    let volume = Volume::mount(device.clone(), quiet()).unwrap();
    put(&volume, "name", b"0");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let found = volume.lookup(ROOT_INODE, b"name").expect("it is always there");
                    volume.forget(found.inode, 1);
                }
            });
        }
        let syncing = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                volume.syncfs().unwrap();
            }
        });
        for _ in 0..1500 {
            let inode = put(&volume, "new", b"1");
            volume.forget(inode, 1);
            rename(&volume, "new", "name", RenameMode::Replace).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        syncing.join().unwrap();
    });
    remount(&device, volume);
}

/// A few threads that make, rename, link and delete in two directories.
fn stress(volume: &Arc<Volume>, directories: &[u64], thread: u64) {
    let mut random = thread * 7919 + 1;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 33) % below
    };
    for _ in 0..1500 {
        let name = format!("{}", next(12));
        let other = format!("{}", next(12));
        let (from, to) = (directories[next(2) as usize], directories[next(2) as usize]);
        let _ = match next(7) {
            0 | 1 => create_in(volume, from, &name).map(|inode| {
                let _ = volume.write(inode, next(9000), &[thread as u8; 500], false);
                volume.forget(inode, 1);
            }),
            2 => volume.unlink(from, name.as_bytes()),
            3 => volume.rename(from, name.as_bytes(), to, other.as_bytes(), RenameMode::Replace),
            4 => volume.rename(from, name.as_bytes(), to, other.as_bytes(), RenameMode::Exchange),
            5 => volume.lookup(from, name.as_bytes()).and_then(|found| {
                let linked = volume.link(found.inode, to, other.as_bytes());
                volume.forget(found.inode, 1 + u64::from(linked.is_ok()));
                linked.map(drop)
            }),
            _ => volume.lookup(from, name.as_bytes()).and_then(|found| {
                let synced = volume.fsync(found.inode, false);
                volume.forget(found.inode, 1);
                synced
            }),
        };
    }
}

#[test]
fn many_threads_leave_a_sound_volume() {
    let device = device(64);
    let options = MountOptions {
        background: true,
        commit_interval: std::time::Duration::from_millis(5),
        ..quiet()
    };
    let volume = Volume::mount(device.clone(), options).unwrap();
    let directories = [mkdir(&volume, "one"), mkdir(&volume, "two")];
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (volume, directories) = (&volume, &directories);
            scope.spawn(move || stress(volume, directories, thread));
        }
    });
    volume.syncfs().unwrap();
    // The root is never forgotten by a kernel; the two directories were counted once each.
    assert!(volume.statistics().inodes_in_memory <= 3, "{:?}", volume.statistics());
    volume.unmount().unwrap();
    drop(volume);
    assert_clean(&device);
}
