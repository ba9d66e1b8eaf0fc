//! Making volumes.

use std::fs;
use std::os::unix::fs::FileExt;

use crate::support::{SMALL, Workshop, is_root};

#[test]
fn a_new_image_gets_its_size_and_is_told_about() {
    let work = Workshop::new();
    let outcome = work.run(&["mkfs", "a.img", "32M", "-L", "data"]).succeeded();
    assert_eq!(work.path("a.img").metadata().unwrap().len(), 32 << 20);
    for words in
        ["made a braidfs volume in a.img", "uuid", "data", "32.0 MiB", "braidfs mount a.img"]
    {
        assert!(outcome.stdout.contains(words), "{words}: {}", outcome.stdout);
    }
    assert_eq!(work.files(), ["a.img"]);
}

#[test]
fn label_and_uuid_are_those_that_were_asked_for() {
    let work = Workshop::new();
    let uuid = "01234567-89ab-cdef-0123-456789abcdef";
    let made = work.run(&["mkfs", "a.img", SMALL, "-U", uuid, "-L", "x", "--json"]).succeeded();
    assert_eq!(made.json()["uuid"], uuid);
    assert_eq!(made.json()["size_bytes"], 16 << 20);
    let info = work.run(&["info", "a.img", "--json"]).succeeded().json();
    assert_eq!((&info["uuid"], &info["label"]), (&uuid.into(), &"x".into()));
}

#[test]
fn quiet_is_silent_and_a_dry_run_makes_nothing() {
    let work = Workshop::new();
    let dry = work.run(&["mkfs", "-n", "a.img", SMALL]).succeeded();
    assert!(dry.stdout.contains("would make"), "{}", dry.stdout);
    assert!(work.files().is_empty());
    assert_eq!(work.run(&["mkfs", "-q", "a.img", SMALL]).succeeded().stdout, "");
    let before = fs::read(work.path("a.img")).unwrap();
    work.run(&["mkfs", "-n", "-f", "a.img", "32M"]).succeeded();
    assert!(fs::read(work.path("a.img")).unwrap() == before);
}

#[test]
fn an_existing_blank_file_keeps_its_size() {
    let work = Workshop::new();
    fs::File::create(work.path("a.img")).unwrap().set_len(20 << 20).unwrap();
    work.run(&["mkfs", "a.img"]).succeeded();
    assert_eq!(work.path("a.img").metadata().unwrap().len(), 20 << 20);
    fs::write(work.path("empty.img"), b"").unwrap();
    work.run(&["mkfs", "empty.img", SMALL]).succeeded();
    assert_eq!(work.path("empty.img").metadata().unwrap().len(), 16 << 20);
}

#[test]
fn what_is_there_is_overwritten_by_force_only() {
    let work = Workshop::new();
    work.volume("a.img");
    work.run(&["mkfs", "a.img"]).failed(1, &["a.img holds a braidfs volume", "--force"]);
    work.run(&["mkfs", "a.img", "--force"]).succeeded();

    let letter = vec![b'x'; 20 << 20];
    fs::write(work.path("letter"), &letter).unwrap();
    work.run(&["mkfs", "letter"]).failed(1, &["letter holds data", "--force"]);
    assert!(fs::read(work.path("letter")).unwrap() == letter);

    let disk = fs::File::create(work.path("ext.img")).unwrap();
    disk.set_len(20 << 20).unwrap();
    disk.write_all_at(b"\x53\xef", 0x438).unwrap();
    work.run(&["mkfs", "ext.img"]).failed(1, &["ext2, ext3 or ext4", "--force"]);
    work.run(&["mkfs", "-f", "ext.img"]).succeeded();
}

#[test]
fn sizes_that_make_no_sense_are_refused() {
    let work = Workshop::new();
    work.run(&["mkfs", "a.img", "many"]).failed(2, &["`many` is no size", "2G"]);
    work.run(&["mkfs", "a.img", "1M"]).failed(2, &["1.0 MiB", "16 MiB"]);
    work.run(&["mkfs", "a.img", "900P"]).failed(2, &["cannot be made"]);
    work.run(&["mkfs", "a.img", "99999999P"]).failed(2, &["smaller"]);
    work.run(&["mkfs", "a.img"]).failed(2, &["does not exist", "give a size"]);
    work.run(&["mkfs", "a.img", "64M", "--log-size", "60M"]).failed(2, &["a quarter"]);
    work.run(&["mkfs", "a.img", SMALL, "-L", &"x".repeat(65)]).failed(2, &["65 bytes"]);
    work.run(&["mkfs", "a.img", SMALL, "-U", "nonsense"]).failed(2, &["nonsense"]);
    assert!(work.files().is_empty());
}

#[test]
fn places_where_nothing_can_be_made_are_told() {
    let work = Workshop::new();
    work.run(&["mkfs", "no/a.img", SMALL]).failed(1, &["directory does not exist"]);
    work.run(&["mkfs", ".", SMALL]).failed(1, &["directory"]);
    work.run(&["mkfs", "/dev/null", SMALL]).failed(1, &["/dev/null"]);
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    if !is_root() {
        return;
    }
    let work = Workshop::new();
    fs::create_dir(work.path("full")).unwrap();
    let script = "mount -t tmpfs -o size=1M none full || exit 99; \
                  \"$0\" mkfs full/a.img 1G; code=$?; ls -A full; exit $code";
    let program = crate::support::PROGRAM;
    let outcome = work.run_as("unshare", &["-m", "sh", "-c", script, program]);
    let outcome = outcome.failed(1, &["full/a.img", "is full", "smaller size"]);
    assert_eq!(outcome.stdout, "", "left behind");
}

#[test]
fn the_helper_of_mkfs_takes_the_same() {
    let work = Workshop::new();
    std::os::unix::fs::symlink(crate::support::PROGRAM, work.path("mkfs.fuse.braidfs")).unwrap();
    let helper = work.path("mkfs.fuse.braidfs");
    fs::File::create(work.path("a.img")).unwrap().set_len(20 << 20).unwrap();
    work.run_as(&helper, &["-L", "x", "--", "a.img"]).succeeded();
    work.run_as(&helper, &["--", "a.img"]).failed(1, &["--force"]);
}
