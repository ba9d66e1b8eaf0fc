//! The shim as a program: tests that fail, hang, crash the server or leave a mess are reported as
//! such, and nothing is left of them.
//!
//! Needs the programs `braidfs` and `fsck-braidfs` in the target directory, and FUSE; says so and
//! does nothing where they are not there, unless `BRAIDFS_REQUIRE_FUSE` is 1.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use assert_cmd::cargo::CommandCargoExt;
use serde_json::Value;
use tempfile::TempDir;

/// Where the programs are, if the shim can be tried out here.
fn programs() -> Option<PathBuf> {
    let shim = assert_cmd::cargo::cargo_bin("xfstests-shim");
    let place = shim.parent().expect("programs lie in a directory").to_owned();
    let is_there = ["braidfs", "fsck-braidfs"].iter().all(|name| place.join(name).is_file());
    let has_fuse = fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").is_ok();
    if is_there && has_fuse {
        return Some(place);
    }
    let required = std::env::var("BRAIDFS_REQUIRE_FUSE").is_ok_and(|value| value == "1");
    assert!(!required, "BRAIDFS_REQUIRE_FUSE is 1, but FUSE or a program is missing");
    eprintln!("skipped: there is no FUSE here, or the programs are not built (`cargo build`)");
    None
}

/// A directory of tests, as the shim is to find it.
struct Tests {
    directory: TempDir,
}

impl Tests {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/own/lib.sh");
        fs::copy(library, directory.path().join("lib.sh")).unwrap();
        fs::write(directory.path().join("excludes.toml"), "").unwrap();
        fs::create_dir(directory.path().join("tmp")).unwrap();
        Self { directory }
    }

    fn add(&self, id: &str, groups: &str, script: &str, golden: &str) {
        let text = format!("#!/usr/bin/env bash\n# Test {id}\n#\n# groups: {groups}\n{script}\n");
        fs::write(self.directory.path().join(id), text).unwrap();
        fs::write(self.directory.path().join(format!("{id}.out")), golden).unwrap();
    }

    fn check(&self, arguments: &[&str]) -> Command {
        let path = self.directory.path();
        let mut command = Command::cargo_bin("xfstests-shim").unwrap();
        command.args(["check", "--own", "--tests"]).arg(path);
        command.arg("--excludes").arg(path.join("excludes.toml"));
        command.arg("--results").arg(path.join("results")).args(arguments);
        // Work directories are made here, so that it can be seen what is left of them.
        command.env("TMPDIR", path.join("tmp")).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.check(arguments).output().unwrap()
    }

    /// Outcome and reason of a test of the last run.
    fn result(&self, id: &str) -> (String, String) {
        let text = fs::read_to_string(self.directory.path().join("results/results.json")).unwrap();
        let run: Value = serde_json::from_str(&text).unwrap();
        let tests = run["tests"].as_array().unwrap();
        let test = tests.iter().find(|test| test["id"] == id);
        let test = test.unwrap_or_else(|| panic!("{id} has no result"));
        let text = |name: &str| test[name].as_str().unwrap_or("").to_owned();
        (text("outcome"), text("reason"))
    }

    fn assert_failed(&self, id: &str, reason: &str) {
        let (outcome, why) = self.result(id);
        assert!(outcome == "fail" && why.contains(reason), "{id}: {outcome}: {why}");
    }

    /// Nothing is mounted below, no process works there, and the work directories are gone.
    fn assert_nothing_is_left(&self) {
        let place = self.directory.path().canonicalize().unwrap();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let place = place.to_str().unwrap();
        assert!(!mounts.contains(place), "mounts are left:\n{mounts}");
        for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
            let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            assert!(!line.contains(place), "a process is left: {line}");
        }
        let left: Vec<_> = fs::read_dir(self.directory.path().join("tmp")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn what_tests_do_is_reported_and_cleaned_up() {
    if programs().is_none() {
        return;
    }
    let tests = Tests::new();
    tests.add("001", "auto quick", "echo hello", "hello\n");
    tests.add("002", "auto", "echo hello", "good bye\n");
    tests.add("003", "auto", "sleep 1000 >\"$dir/f\" & cd \"$dir\"; sleep 1000", "");
    tests.add("004", "auto", "kill -9 \"$(\"$SHIM\" volume server test)\"", "");
    tests.add("005", "auto", "scratch; cd \"$mnt\"; (sleep 1000 >f) & exit 0", "");
    tests.add("006", "auto", "notrun it can not be", "");
    tests.add("007", "auto", "echo x >\"$dir/x\"; exit 3", "");
    tests.add(
        "008",
        "auto",
        "scratch; yes needle | head -c 100000 >\"$mnt/f\"; scratch_unmount\n\
         at=$(grep -abo -m1 needle \"$SCRATCH_DEV\" | head -n1 | cut -d: -f1)\n\
         printf X | dd of=\"$SCRATCH_DEV\" bs=1 seek=$at conv=notrunc status=none",
        "",
    );
    tests.add("009", "soak", "exit 1", "");
    let output = tests.run(&["-g", "auto", "--limit", "3"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("2 passed, 5 failed, 1 notrun, 0 excluded"), "{said}");
    assert_eq!(tests.result("001").0, "pass");
    tests.assert_failed("002", "the output differs");
    tests.assert_failed("003", "took too long; at work were:");
    tests.assert_failed("004", "a server ended with signal 9");
    assert_eq!(tests.result("005").0, "pass");
    assert_eq!(tests.result("006"), ("notrun".to_owned(), "it can not be".to_owned()));
    tests.assert_failed("007", "exit status: 3");
    tests.assert_failed("008", "the check of scratch found something");
    let read = |name: &str| fs::read_to_string(tests.directory.path().join("results").join(name));
    assert!(read("own/002.full").unwrap().contains("+hello"));
    assert!(read("results.xml").unwrap().contains("failures=\"5\""));
    tests.assert_nothing_is_left();
}

#[test]
fn excludes_are_no_place_to_hide() {
    if programs().is_none() {
        return;
    }
    let tests = Tests::new();
    tests.add("001", "auto", "echo right", "right\n");
    tests.add("002", "auto", "echo right", "wrong\n");
    let exclude =
        |id| format!("[[exclude]]\nsuite = 'own'\ntest = '{id}'\nreason = 'so'\nuntil = 'never'\n");
    let path = tests.directory.path().join("excludes.toml");
    fs::write(&path, exclude("001") + &exclude("002")).unwrap();
    assert_eq!(tests.run(&[]).status.code(), Some(1));
    tests.assert_failed("001", "passes now");
    assert_eq!(tests.result("002"), ("exclude".to_owned(), "so (until never)".to_owned()));
    fs::write(&path, exclude("003")).unwrap();
    assert_eq!(tests.run(&[]).status.code(), Some(2));
}

#[test]
fn each_policy_and_each_repetition_is_a_result() {
    if programs().is_none() {
        return;
    }
    let tests = Tests::new();
    tests.add("001", "auto", "grep -c writeback_policy=wait /proc/self/mountinfo; true", "0\n");
    let output = tests.run(&["--policy", "all", "--repeat", "2"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("6 passed"), "{said}");
}

#[test]
fn an_interrupt_cleans_up() {
    if programs().is_none() {
        return;
    }
    let tests = Tests::new();
    tests.add(
        "001",
        "auto",
        "scratch; cd \"$mnt\"; : >f; : >\"$tmp/started\"; sleep 1000 & sleep 1000",
        "",
    );
    let mut child = tests.check(&[]).stdout(Stdio::piped()).spawn().unwrap();
    // Until the test is in the middle of it.
    let work = tests.directory.path().join("tmp");
    let is_at_it = || {
        let entries = fs::read_dir(&work).unwrap().filter_map(Result::ok);
        entries.into_iter().any(|entry| entry.path().join("tmp/started").exists())
    };
    let mut polls = 0;
    while !is_at_it() {
        std::thread::sleep(Duration::from_millis(20));
        polls += 1;
        assert!(polls < 1500, "the test does not start");
    }
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    tests.assert_nothing_is_left();
}

#[test]
fn mistakes_are_told() {
    let run = |arguments: &[&str]| {
        let mut command = Command::cargo_bin("xfstests-shim").unwrap();
        let output = command.args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, why) = run(&["list", "-g", "nonsense"]);
    assert!(code == Some(2) && why.contains("no test is in the group nonsense"), "{why}");
    let (code, why) = run(&["list", "--tests", "/nonexistent"]);
    assert!(code == Some(2) && why.contains("/nonexistent"), "{why}");
    let (code, why) = run(&["volume", "mkfs", "scratch"]);
    assert!(code == Some(2) && why.contains("SHIM_WORLD"), "{why}");
}
