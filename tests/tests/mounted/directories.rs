//! Directories: large ones, and reading them while they change.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use braidfs_tests::mounted::{Mount, on_mount};
use rustix::fs::{RawDir, SeekFrom, seek};

use crate::names;

const MANY: usize = 10_000;

/// A name, and the place behind it.
type Entry = (String, u64);

fn make_many(mount: &Mount) {
    (0..MANY).for_each(|number| drop(File::create(mount.path(format!("file-{number}"))).unwrap()));
}

/// Reads on from where the directory's handle stands; small steps, so that the kernel asks often.
fn read_some(directory: &File, most: usize) -> Vec<Entry> {
    let mut buffer = [MaybeUninit::uninit(); 2048];
    let mut reader = RawDir::new(directory, &mut buffer);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_str().unwrap().to_owned();
        entries.push((name, entry.next_entry_cookie()));
        if entries.len() == most {
            break;
        }
    }
    entries
}

fn go_to(directory: &File, cookie: u64) {
    seek(directory, SeekFrom::Start(cookie)).unwrap();
}

fn open(path: impl AsRef<Path>) -> File {
    File::open(path).unwrap()
}

#[test]
fn ten_thousand_entries_are_listed_each_once() {
    on_mount(|mount| {
        make_many(mount);
        let expected: BTreeSet<String> = (0..MANY).map(|number| format!("file-{number}")).collect();
        let found = names(mount.root());
        assert_eq!(found.len(), MANY);
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
        mount.unmount();
        mount.start();
        assert_eq!(names(mount.root()).into_iter().collect::<BTreeSet<_>>(), expected);
    });
}

#[test]
fn places_in_a_directory_stay_right_while_entries_go() {
    on_mount(|mount| {
        make_many(mount);
        let directory = open(mount.root());
        let all = read_some(&directory, usize::MAX);
        assert_eq!(all.len(), MANY + 2);
        // Every third entry goes; the places of the others must not notice.
        let (gone, stay): (Vec<_>, Vec<_>) =
            all.iter().enumerate().skip(2).partition(|(number, _)| number % 3 == 0);
        for (_, (name, _)) in &gone {
            fs::remove_file(mount.path(name)).unwrap();
        }
        // The kernel may show what is gone to a handle that was opened before.
        let is_gone = |name: &String| gone.iter().any(|(_, (other, _))| other == name);
        let next = |cookie| {
            go_to(&directory, cookie);
            let mut entries = read_some(&directory, 9).into_iter().map(|(name, _)| name);
            entries.find(|name| !is_gone(name)).unwrap()
        };
        let stay: Vec<&Entry> = stay.into_iter().map(|(_, entry)| entry).collect();
        for at in (0..stay.len() - 1).step_by(577) {
            assert_eq!(next(stay[at].1), stay[at + 1].0, "behind {:?}", stay[at]);
        }
        // A place whose entry is gone leads to the next one that is there.
        let (number, entry) = gone[gone.len() / 2];
        assert_eq!(next(entry.1), all[number + 1].0);
    });
}

#[test]
fn what_stays_is_seen_once_while_others_come_and_go() {
    on_mount(|mount| {
        (0..3000)
            .for_each(|number| drop(File::create(mount.path(format!("stay-{number}"))).unwrap()));
        let directory = open(mount.root());
        let mut seen = Vec::new();
        for round in 0.. {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut reader = RawDir::new(&directory, &mut buffer);
            let mut is_end = true;
            for _ in 0..200 {
                let Some(entry) = reader.next() else { break };
                seen.push(entry.unwrap().file_name().to_str().unwrap().to_owned());
                is_end = false;
            }
            if is_end {
                break;
            }
            // What the buffer still holds is read by the next round from its place.
            let place = reader_place(&directory, &seen);
            go_to(&directory, place);
            File::create(mount.path(format!("come-{round}"))).unwrap();
            if round > 0 {
                fs::remove_file(mount.path(format!("come-{}", round - 1))).unwrap();
            }
        }
        seen.retain(|name| name.starts_with("stay"));
        assert_eq!(seen.len(), 3000);
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>().len(), 3000);
    });
}

/// The place behind the entry that was seen last, found from the start.
fn reader_place(directory: &File, seen: &[String]) -> u64 {
    go_to(directory, 0);
    let last = seen.last().unwrap();
    let all = read_some(directory, usize::MAX);
    all.iter().find(|(name, _)| name == last).map(|(_, cookie)| *cookie).unwrap()
}

#[test]
fn a_directory_is_emptied_while_it_is_read() {
    on_mount(|mount| {
        fs::create_dir(mount.path("directory")).unwrap();
        for number in 0..2000 {
            let path = mount.path(format!("directory/{number}"));
            if number % 10 == 0 {
                fs::create_dir(path).unwrap()
            } else {
                fs::write(path, b"x").unwrap()
            }
        }
        fs::remove_dir_all(mount.path("directory")).unwrap();
        assert!(names(mount.root()).is_empty());
    });
}

#[test]
fn a_directory_that_is_read_again_shows_what_is_new() {
    on_mount(|mount| {
        File::create(mount.path("old")).unwrap();
        let directory = open(mount.root());
        assert_eq!(read_some(&directory, 9).len(), 3);
        File::create(mount.path("new")).unwrap();
        go_to(&directory, 0);
        let found: BTreeSet<String> =
            read_some(&directory, 9).into_iter().map(|(name, _)| name).collect();
        let expected = [".", "..", "old", "new"].map(str::to_owned);
        assert_eq!(found, BTreeSet::from(expected));
    });
}

#[test]
fn a_deleted_directory_that_is_open_is_empty_and_stays_so() {
    on_mount(|mount| {
        fs::create_dir(mount.path("directory")).unwrap();
        let directory = open(mount.path("directory"));
        fs::remove_dir(mount.path("directory")).unwrap();
        let mut buffer = [MaybeUninit::uninit(); 512];
        let entry = RawDir::new(&directory, &mut buffer).next().map(|entry| entry.map(drop));
        assert!(matches!(entry, None | Some(Err(rustix::io::Errno::NOENT))));
        let create = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
        let mode = rustix::fs::Mode::RWXU;
        let result = rustix::fs::openat(&directory, "file", create, mode);
        assert_eq!(result.unwrap_err(), rustix::io::Errno::NOENT);
        assert_eq!(directory.metadata().unwrap().nlink(), 0);
    });
}

#[test]
fn dots_have_the_right_inodes() {
    on_mount(|mount| {
        fs::create_dir_all(mount.path("a/b")).unwrap();
        fs::create_dir(mount.path("c")).unwrap();
        fs::rename(mount.path("a/b"), mount.path("c/b")).unwrap();
        let inode = |path: &str| fs::metadata(mount.path(path)).unwrap().ino();
        assert_eq!(inode("c/b/.."), inode("c"));
        assert_eq!(inode("c/b/."), inode("c/b"));
        assert_eq!(inode(""), 1);
    });
}
