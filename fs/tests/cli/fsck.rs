//! Handing over to the checker.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{PROGRAM, Workshop};

/// A copy of the program, beside which nothing else lies.
fn alone(work: &Workshop) -> std::path::PathBuf {
    let program = work.path("braidfs");
    fs::copy(PROGRAM, &program).unwrap();
    program
}

#[test]
fn a_checker_that_is_not_there_is_told() {
    let work = Workshop::new();
    let output = work.command(alone(&work), &["fsck", "a.img"]).env("PATH", "").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(8), "{text}");
    assert!(text.starts_with("braidfs: the checker fsck.braidfs is neither"), "{text}");
}

#[test]
fn the_checker_beside_the_program_gets_all_arguments_and_its_code_counts() {
    let work = Workshop::new();
    let program = alone(&work);
    let checker = work.path("fsck.braidfs");
    fs::write(&checker, "#!/bin/sh\nprintf '%s\\n' \"$*\"\nexit 4\n").unwrap();
    fs::set_permissions(&checker, fs::Permissions::from_mode(0o755)).unwrap();
    let outcome = work.run_as(&program, &["fsck", "-n", "--json", "a.img"]);
    assert_eq!((outcome.status.code(), outcome.stdout.as_str()), (Some(4), "-n --json a.img\n"));
    std::os::unix::fs::symlink(&program, work.path("fsck.fuse.braidfs")).unwrap();
    let outcome = work.run_as(work.path("fsck.fuse.braidfs"), &["-n", "/dev/loop0"]);
    assert_eq!(outcome.stdout, "-n /dev/loop0\n");
}
