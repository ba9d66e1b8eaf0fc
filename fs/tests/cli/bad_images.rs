//! Images that cannot be mounted, or looked at.

use std::fs;
use std::os::unix::fs::FileExt;

use crate::support::{Workshop, has_fuse};

/// Tries all commands that read an image. Each must fail with one line that has all of `words`.
#[track_caller]
fn all_refuse(work: &Workshop, image: &str, words: &[&str]) {
    work.run(&["info", image]).failed(1, words);
    for what in ["log", "tree"] {
        work.run(&["dump", image, what]).failed(1, words);
    }
    work.run(&["dump", image, "inode", "1"]).failed(1, words);
    mount_refuses(work, image, words);
}

#[track_caller]
fn mount_refuses(work: &Workshop, image: &str, words: &[&str]) {
    if has_fuse() {
        fs::create_dir_all(work.path("mnt")).unwrap();
        work.run(&["mount", image, "mnt"]).failed(1, words);
        work.run(&["mount", "--daemon", image, "mnt"]).failed(1, words);
    }
}

#[test]
fn files_that_are_no_images() {
    let work = Workshop::new();
    fs::write(work.path("letter"), "Dear Sir or Madam\n".repeat(5000)).unwrap();
    fs::write(work.path("empty"), b"").unwrap();
    fs::write(work.path("short"), b"BRAIDFS\0").unwrap();
    fs::File::create(work.path("blank")).unwrap().set_len(20 << 20).unwrap();
    all_refuse(&work, "letter", &["letter is no braidfs volume", "something else"]);
    all_refuse(&work, "empty", &["empty is no braidfs volume", "it is empty", "mkfs"]);
    all_refuse(&work, "short", &["short is no braidfs volume"]);
    all_refuse(&work, "blank", &["it is blank"]);
    assert_eq!(work.path("empty").metadata().unwrap().len(), 0);
}

#[test]
fn another_filesystem_is_named() {
    let work = Workshop::new();
    let disk = fs::File::create(work.path("disk")).unwrap();
    disk.set_len(20 << 20).unwrap();
    disk.write_all_at(b"XFSB", 0).unwrap();
    all_refuse(&work, "disk", &["disk is no braidfs volume", "an XFS filesystem"]);
}

#[test]
fn things_that_hold_no_blocks() {
    let work = Workshop::new();
    fs::create_dir(work.path("directory")).unwrap();
    all_refuse(&work, "directory", &["directory", "image file or a block device"]);
    work.run(&["info", "missing"]).failed(1, &["missing", "check the path"]);
    mount_refuses(&work, "missing", &["missing does not exist", "--create"]);
    mount_refuses(&work, "/dev/null", &["/dev/null"]);
}

#[test]
fn a_truncated_image() {
    let work = Workshop::new();
    let image = work.volume("a.img");
    fs::OpenOptions::new().write(true).open(image).unwrap().set_len(10 << 20).unwrap();
    all_refuse(&work, "a.img", &["a.img is cut short", "16.0 MiB", "10.0 MiB"]);
}

#[test]
fn a_newer_format() {
    let work = Workshop::new();
    let image = work.volume("a.img");
    let mut bytes = fs::read(&image).unwrap();
    for block in bytes.chunks_mut(4096).filter(|block| block.starts_with(b"BRAIDFS\0")) {
        block[12] = 99;
        braidfs_format::checksum::seal(block);
    }
    fs::write(&image, bytes).unwrap();
    all_refuse(&work, "a.img", &["a.img was made by a newer braidfs", "99"]);
}

#[test]
fn superblocks_that_are_all_damaged() {
    let work = Workshop::new();
    let image = work.volume("a.img");
    let mut bytes = fs::read(&image).unwrap();
    for block in bytes.chunks_mut(4096).filter(|block| block.starts_with(b"BRAIDFS\0")) {
        block[100] ^= 1;
    }
    fs::write(&image, bytes).unwrap();
    all_refuse(&work, "a.img", &["no intact superblock", "braidfs fsck a.img"]);
    let dumped = work.run(&["dump", "a.img", "superblock", "--json"]).succeeded().json();
    assert!(dumped.as_array().unwrap().iter().all(|copy| copy["error"].is_string()));
}
