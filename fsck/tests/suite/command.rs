//! The command: exit status, output, locking.

use std::path::PathBuf;
use std::process::Output;

use assert_cmd::Command;
use braidfs_block::{BlockDevice, FileDevice, FileOptions, MemoryDevice};
use tempfile::TempDir;

use crate::support::*;

/// A volume in an image file.
struct Image {
    _directory: TempDir,
    path: PathBuf,
}

fn image(device: &MemoryDevice) -> Image {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("disk.img");
    let options = FileOptions::create(device.geometry().size_bytes);
    device.copy_to(&FileDevice::open(&path, &options).unwrap()).unwrap();
    Image { _directory: directory, path }
}

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_fsck-braidfs"))
}

impl Image {
    fn fsck(&self, arguments: &[&str]) -> Output {
        command().args(arguments).arg(&self.path).output().unwrap()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_clean_volume_is_0_and_silent_on_stderr() {
    let image = image(&sample().build());
    for arguments in [&[][..], &["-f"], &["-n"], &["-p"], &["-a"], &["-y", "-f"], &["-f", "--data"]]
    {
        let output = image.fsck(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stdout(&output));
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
    assert!(stdout(&image.fsck(&[])).contains(": clean, 9 inodes"));
    assert!(stdout(&image.fsck(&["-f"])).contains(": no problems, 9 inodes"));
}

#[test]
fn a_volume_that_needs_replay_is_0() {
    let output = image(&busy().build()).fsck(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("the next mount replays 3 deltas"), "{}", stdout(&output));
}

#[test]
fn damage_is_4_and_left_as_it_is() {
    let mut volume = sample();
    volume.record(FILE).links = 7;
    let image = image(&volume.build());
    let before = std::fs::read(&image.path).unwrap();
    for (arguments, says) in
        [("-f", "nothing was changed"), ("-fp", "does not repair yet"), ("-fy", "not repair yet")]
    {
        let output = image.fsck(&[arguments]);
        assert_eq!(output.status.code(), Some(4));
        let text = stdout(&output);
        assert!(text.contains("B0701 error: inode 3 has 2 names"), "{text}");
        assert!(text.contains("/dir/hard") && text.contains("1 problem left uncorrected"));
        assert!(text.contains(says), "{text}");
    }
    assert!(stdout(&image.fsck(&["-fv"])).contains("a repair would: write the right number"));
    assert!(std::fs::read(&image.path).unwrap() == before);
}

#[test]
fn what_is_no_volume_or_not_there_is_8() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("noise");
    std::fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
    let output = command().arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(8));
    assert!(stderr(&output).contains("no braidfs volume"), "{}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 1);
    std::fs::write(&path, b"").unwrap();
    assert_eq!(command().arg(&path).output().unwrap().status.code(), Some(8));
    let output = command().arg(directory.path().join("nothing")).output().unwrap();
    assert_eq!(output.status.code(), Some(8));
    assert_eq!(stderr(&output).lines().count(), 1);
    assert_eq!(command().arg(directory.path()).output().unwrap().status.code(), Some(8));
}

#[test]
fn a_truncated_image_is_4() {
    let image = image(&sample().build());
    std::fs::OpenOptions::new().write(true).open(&image.path).unwrap().set_len(5 << 20).unwrap();
    let output = image.fsck(&[]);
    assert_eq!(output.status.code(), Some(4));
    assert!(stdout(&output).contains("B0106 fatal"), "{}", stdout(&output));
}

#[test]
fn a_volume_in_use_is_8_and_names_the_user() {
    let image = image(&sample().build());
    let user = FileDevice::open(&image.path, &FileOptions::read_write()).unwrap();
    let output = image.fsck(&["-f"]);
    assert_eq!(output.status.code(), Some(8));
    let pid = std::process::id().to_string();
    assert!(stderr(&output).contains(&pid), "{}", stderr(&output));
    drop(user);
    let _reader = FileDevice::open(&image.path, &FileOptions::read_only()).unwrap();
    assert_eq!(image.fsck(&["-f"]).status.code(), Some(0));
}

#[test]
fn a_wrong_command_line_is_16() {
    let image = image(&sample().build());
    for arguments in [&["-n", "-y"][..], &["--nonsense"], &["-C=x"], &["extra"], &["-C", "99"]] {
        let output = image.fsck(arguments);
        assert_eq!(output.status.code(), Some(16), "{arguments:?}");
        assert!(!stderr(&output).is_empty());
    }
    assert_eq!(command().output().unwrap().status.code(), Some(16));
    for argument in ["-V", "--version", "-h", "--help"] {
        let output = command().arg(argument).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("fsck.braidfs") && stderr(&output).is_empty());
    }
}

#[test]
fn the_report_can_be_json() {
    let mut volume = sample();
    volume.record(FILE).links = 7;
    let output = image(&volume.build()).fsck(&["-f", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["exit_status"], 4);
    assert_eq!(json["findings"][0]["id"], "B0701");
    assert_eq!(json["findings"][0]["severity"], "error");
    assert_eq!(json["counts"]["B0701"], 1);
    let output = command().args(["--json", "/nonexistent/x"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["exit_status"], 8);
    assert!(json["error"].as_str().unwrap().contains("no such file"));
}

#[test]
fn progress_goes_to_a_descriptor_in_lines() {
    let image = image(&sample().build());
    let output = image.fsck(&["-f", "-C", "2"]);
    assert_eq!(output.status.code(), Some(0));
    let lines = stderr(&output);
    assert!(lines.lines().any(|line| line.starts_with("9 1 1 ")), "{lines}");
    assert!(lines.lines().all(|line| line.split(' ').count() == 4), "{lines}");
    // A bar is for terminals only, even if it is asked for.
    assert_eq!(stderr(&image.fsck(&["-f", "-C0"])), "");
}

#[test]
fn times_and_passes_are_told_on_demand() {
    let image = image(&sample().build());
    let text = stdout(&image.fsck(&["-f", "-t"]));
    assert!(text.contains("pass  9, bitmaps:") && text.contains(" s\n"), "{text}");
    let text = stdout(&image.fsck(&["-f", "-v"]));
    assert!(
        text.contains("pass 10, data: every data block against its checksum: skipped"),
        "{text}"
    );
    assert!(text.contains("9 inodes (3 directories, 1 orphans)"), "{text}");
}
