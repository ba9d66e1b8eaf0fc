//! Who may know whom.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::source::{rust, top};
use crate::text::{code, has_word};

/// What each of our crates may depend on, of our own.
const ARROWS: [(&str, &[&str]); 9] = [
    ("braidfs-measure", &[]),
    ("braidfs-mm", &[]),
    ("braidfs-pagecache", &["braidfs-mm"]),
    ("braidfs-format", &[]),
    ("braidfs-block", &[]),
    ("braidfs-store", &["braidfs-format", "braidfs-block"]),
    (
        "braidfs",
        &["braidfs-mm", "braidfs-pagecache", "braidfs-store", "braidfs-format", "braidfs-block"],
    ),
    ("braidfs-fsck", &["braidfs-format", "braidfs-block"]),
    ("xfstests-shim", &[]),
];
/// What the tests and the benchmarks of a crate may use besides.
const TEST_ARROWS: [(&str, &str); 4] = [
    ("braidfs-mm", "braidfs-measure"),
    ("braidfs-pagecache", "braidfs-measure"),
    ("braidfs", "braidfs-measure"),
    ("braidfs", "braidfs-fsck"),
];
/// Who alone may use these crates of others, and where.
const PLACES: [(&str, &[&str]); 1] = [(
    "clap",
    &[
        "fs/src/cli/",
        "fs/src/main.rs",
        "fsck/src/cli/",
        "fsck/src/main.rs",
        "tests/src/bin/",
        "xfstests-shim/src/cli/",
    ],
)];

/// The packages that have a command line.
const CLAP_USERS: [&str; 3] = ["braidfs", "braidfs-fsck", "xfstests-shim"];

/// What a package depends on.
struct Dependency {
    name: String,
    is_for_tests: bool,
}

/// The dependencies of each package.
fn dependencies() -> BTreeMap<String, Vec<Dependency>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(top())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let packages = metadata["packages"].as_array().expect("packages").iter();
    packages
        .map(|package| {
            let needs = package["dependencies"].as_array().expect("dependencies").iter();
            let needs = needs.map(|dependency| Dependency {
                name: name(dependency),
                is_for_tests: dependency["kind"] == "dev",
            });
            (name(package), needs.collect())
        })
        .collect()
}

#[test]
fn crates_depend_on_whom_they_may() {
    let dependencies = dependencies();
    let known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for name in dependencies.keys().filter(|name| *name != "braidfs-tests") {
        assert!(known.contains(name.as_str()), "no arrows are drawn for {name}");
    }
    for (name, allowed) in ARROWS {
        let needs = dependencies.get(name).unwrap_or_else(|| panic!("there is no crate {name}"));
        for other in needs.iter().filter(|other| other.name.starts_with("braidfs")) {
            let is_for_tests =
                TEST_ARROWS.contains(&(name, other.name.as_str())) && other.is_for_tests;
            let may = allowed.contains(&other.name.as_str()) || is_for_tests;
            assert!(may, "{name} must not know {}", other.name);
        }
        assert!(
            CLAP_USERS.contains(&name) || needs.iter().all(|other| other.name != "clap"),
            "{name} depends on clap"
        );
    }
}

#[test]
fn crates_name_whom_they_may() {
    for source in rust() {
        let code = code(&source.text);
        for (name, places) in PLACES {
            let is_there = places.iter().any(|place| source.path.starts_with(place));
            assert!(is_there || !has_word(&code, name), "{} names {name}", source.path);
        }
        for (name, allowed) in ARROWS {
            if owner(&source.path) != Some(name) {
                continue;
            }
            for (other, _) in ARROWS.iter().filter(|(other, _)| *other != name) {
                let word = other.replace('-', "_");
                let is_for_tests = TEST_ARROWS.contains(&(name, *other)) && is_test(&source.path);
                let may = allowed.contains(other) || is_for_tests || !has_word(&code, &word);
                // The filesystem's name is also that of its program, which others may run.
                assert!(may || *other == "braidfs", "{} names {word}", source.path);
            }
        }
    }
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.contains("/benches/")
}

/// The crate that a file belongs to.
fn owner(path: &str) -> Option<&'static str> {
    let folders = [
        ("mm/", "braidfs-mm"),
        ("pagecache/", "braidfs-pagecache"),
        ("fs/format/", "braidfs-format"),
        ("fs/block/", "braidfs-block"),
        ("fs/store/", "braidfs-store"),
        ("fs/", "braidfs"),
        ("fsck/", "braidfs-fsck"),
        ("tests/measure/", "braidfs-measure"),
        ("xfstests-shim/", "xfstests-shim"),
    ];
    folders.iter().find(|(folder, _)| path.starts_with(folder)).map(|(_, name)| *name)
}
