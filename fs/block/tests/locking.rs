//! The lock of an image, between handles and between processes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use braidfs_block::{BlockError, BlockErrorKind, BlockOperation, FileDevice, FileOptions};
use tempfile::TempDir;

const IMAGE_VARIABLE: &str = "BRAIDFS_BLOCK_TEST_IMAGE";
const READ_ONLY_VARIABLE: &str = "BRAIDFS_BLOCK_TEST_READ_ONLY";

fn image() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("volume.img");
    FileDevice::open(&path, &FileOptions::create(1 << 20)).unwrap();
    (directory, path)
}

fn open(path: &Path, read_only: bool) -> Result<FileDevice, BlockError> {
    FileDevice::open(path, &FileOptions { read_only, ..FileOptions::default() })
}

fn refused(path: &Path, read_only: bool) -> BlockError {
    let error = open(path, read_only).unwrap_err();
    assert_eq!((error.kind, error.operation), (BlockErrorKind::InUse, BlockOperation::Lock));
    error
}

/// Another process that holds the image until its input is closed.
struct Other(Child);

impl Other {
    fn holding(path: &Path, read_only: bool) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "hold_the_image_of_the_environment", "--nocapture"])
            .env(IMAGE_VARIABLE, path)
            .env(READ_ONLY_VARIABLE, if read_only { "1" } else { "0" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let holds = output.lines().any(|line| line.unwrap().contains("image held"));
        let other = Self(child);
        assert!(holds);
        other
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // Killed rather than asked, so that it ends even if it is stuck; the lock ends with it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test by itself: what the other process of these tests does.
#[test]
fn hold_the_image_of_the_environment() {
    let Some(path) = env::var_os(IMAGE_VARIABLE) else {
        return;
    };
    let read_only = env::var(READ_ONLY_VARIABLE).unwrap() == "1";
    let _device = open(Path::new(&path), read_only).unwrap();
    println!("image held");
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn a_writer_keeps_everybody_else_away() {
    let (_directory, path) = image();
    let device = open(&path, false).unwrap();
    refused(&path, false);
    let error = refused(&path, true);
    assert_eq!(error.holder.as_ref().map(|holder| holder.pid), Some(std::process::id()));
    assert!(error.to_string().contains("this process"), "{error}");
    drop(device);
    open(&path, false).unwrap();
}

#[test]
fn readers_share_and_keep_writers_away() {
    let (_directory, path) = image();
    let first = open(&path, true).unwrap();
    let second = open(&path, true).unwrap();
    drop(first);
    refused(&path, false);
    drop(second);
    open(&path, false).unwrap();
}

#[test]
fn another_process_is_named() {
    let (_directory, path) = image();
    let other = Other::holding(&path, false);
    let error = refused(&path, false);
    let holder = error.holder.clone().unwrap();
    assert_eq!(holder.pid, other.0.id());
    assert!(holder.command.starts_with("locking"), "{holder:?}");
    let sentence = error.to_string();
    assert!(sentence.contains(&format!("(pid {})", holder.pid)), "{sentence}");
    assert!(sentence.contains(&holder.command), "{sentence}");
    drop(other);
    open(&path, false).unwrap();
}

#[test]
fn a_reader_in_another_process_shares() {
    let (_directory, path) = image();
    let other = Other::holding(&path, true);
    open(&path, true).unwrap();
    assert_eq!(refused(&path, false).holder.unwrap().pid, other.0.id());
}

#[test]
fn a_lock_inherited_by_a_child_is_traced_to_it() {
    let (_directory, path) = image();
    // The shell takes the lock for itself and leaves it to a child: what a daemon does that goes
    // into the background after it has opened the image.
    let script = "exec 8<&0 9<>\"$0\"; flock -x 9; (exec >&-; read line <&8) & echo $!";
    let mut shell = Command::new("sh")
        .args(["-c", script])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let _keeps_the_child_waiting = shell.stdin.take();
    let mut line = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
    shell.wait().unwrap();
    let child: u32 = line.trim().parse().unwrap();
    assert_eq!(refused(&path, false).holder.map(|holder| holder.pid), Some(child));
}

#[test]
fn a_lock_that_is_given_back_in_a_moment_is_waited_for() {
    let (_directory, path) = image();
    let device = open(&path, false).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(60));
            drop(device);
        });
        open(&path, false).unwrap();
    });
}
