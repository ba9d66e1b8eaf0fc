//! Looking at volumes.

use crate::support::Workshop;

#[test]
fn info_tells_what_a_volume_is_like() {
    let work = Workshop::new();
    work.volume("a.img");
    let text = work.run(&["info", "a.img"]).succeeded().stdout;
    for words in ["a.img", "16.0 MiB", "clean", "inodes    1 "] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let json = work.run(&["info", "--json", "a.img"]).succeeded().json();
    assert_eq!(json["clean"], true);
    assert_eq!(json["deltas_to_replay"], 0);
    assert_eq!(json["size_bytes"], 16 << 20);
}

#[test]
fn dump_shows_each_part() {
    let work = Workshop::new();
    work.volume("a.img");
    let superblocks = work.run(&["dump", "a.img", "superblock", "--json"]).succeeded().json();
    assert!(superblocks.as_array().unwrap().len() >= 2);
    let tree = work.run(&["dump", "--json", "a.img", "tree", "--items"]).succeeded().json();
    assert_eq!(tree[0]["items"][0]["key"]["inode"], 1);
    let log = work.run(&["dump", "a.img", "log", "--records"]).succeeded().stdout;
    assert!(log.contains("the log ends at block"), "{log}");
    let root = work.run(&["dump", "a.img", "inode", "1"]).succeeded().stdout;
    assert!(root.contains("mode 40755"), "{root}");
    work.run(&["dump", "a.img", "inode", "12345"]).failed(1, &["no inode 12345"]);
}

#[test]
fn help_completions_and_man_pages_come_from_the_same_flags() {
    let work = Workshop::new();
    let help = work.run(&["mount", "--help"]).succeeded().stdout;
    let bash = work.run(&["completions", "bash"]).succeeded().stdout;
    work.run(&["man", "pages"]).succeeded();
    let page = std::fs::read_to_string(work.path("pages/braidfs-mount.8")).unwrap();
    for flag in ["create", "commit-interval", "writeback-policy"] {
        assert!(help.contains(flag) && bash.contains(flag), "{flag}");
        assert!(page.contains(&flag.replace('-', "\\-")), "{flag}: {page}");
    }
}

#[test]
fn nothing_to_do_is_told() {
    let work = Workshop::new();
    assert_eq!(work.run(&[]).status.code(), Some(2));
    work.run(&["umount", "."]).failed(1, &["neither a mount nor the image"]);
    assert!(work.run(&["--version"]).succeeded().stdout.starts_with("braidfs "));
}
