//! What sources may hold.

use crate::source::{files, rust, top};
use crate::text::{code, has_word};

/// Files with `unsafe` in them outside mm, each with its own SAFETY comments.
const UNSAFE_FILES: [&str; 4] = [
    "fs/block/src/file/queue.rs",
    "fs/tests/mapped/signals.rs",
    "tests/src/mapped.rs",
    "xfstests-shim/src/io/kernel.rs",
];

#[test]
fn sources_are_ascii() {
    for source in files(&[".rs", ".toml", ".md", ".sh", ".yml"]) {
        for (number, line) in source.text.lines().enumerate() {
            assert!(line.is_ascii(), "{}:{}: {line}", source.path, number + 1);
        }
    }
}

#[test]
fn unsafe_code_stays_in_mm() {
    for source in rust() {
        let is_allowed = source.path.starts_with("mm/")
            || source.path == "tests/tests/tidy/style.rs"
            || UNSAFE_FILES.contains(&source.path.as_str());
        let found = has_word(&code(&source.text), "unsafe");
        assert!(!found || is_allowed, "{} has unsafe code", source.path);
    }
}

#[test]
fn every_crate_says_what_it_thinks_of_unsafe_code() {
    for crate_folder in [
        "mm",
        "pagecache",
        "fs",
        "fs/format",
        "fs/block",
        "fs/store",
        "fsck",
        "tests",
        "xfstests-shim",
    ] {
        let root = std::fs::read_to_string(top().join(crate_folder).join("src/lib.rs"));
        let root = root.unwrap_or_else(|error| panic!("{crate_folder}/src/lib.rs: {error}"));
        let says =
            root.contains("#![forbid(unsafe_code)]") || root.contains("#![deny(unsafe_code)]");
        assert!(
            says || crate_folder == "mm",
            "{crate_folder} neither forbids nor denies unsafe code"
        );
    }
}

#[test]
fn nothing_is_left_unfinished() {
    for source in rust() {
        let code = code(&source.text);
        for word in ["todo!", "unimplemented!", "dbg!"] {
            assert!(!code.contains(word), "{} has {word}", source.path);
        }
        let unfinished = source
            .text
            .lines()
            .find(|line| ["TODO", "FIXME", "XXX", "HACK"].iter().any(|word| has_word(line, word)));
        let is_this = source.path == "tests/tests/tidy/style.rs";
        assert!(unfinished.is_none() || is_this, "{}: {}", source.path, unfinished.unwrap_or(""));
    }
}

#[test]
fn modules_say_what_they_are_for() {
    for source in rust().into_iter().filter(|source| source.path.contains("src/")) {
        let first = source.text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
        assert!(first.starts_with("//!"), "{} begins with {first:?}", source.path);
    }
}

#[test]
fn no_path_of_one_machine_is_named() {
    // Put together here, so that this file does not name them.
    let machines = [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"], ["/Us", "ers/"]]
        .map(|parts| parts.concat());
    for source in files(&[".rs", ".toml", ".md", ".sh", ".yml"]) {
        for (number, line) in source.text.lines().enumerate() {
            let found = machines.iter().find(|path| line.contains(path.as_str()));
            assert!(found.is_none(), "{}:{}: {line}", source.path, number + 1);
        }
    }
}
