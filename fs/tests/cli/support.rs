//! Running the program.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_braidfs");
/// The smallest volume.
pub const SMALL: &str = "16M";

/// How a command ended.
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// It did what it was asked to, without complaints.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert!(self.status.success(), "failed: {}{}", self.stdout, self.stderr);
        assert_eq!(self.stderr, "");
        self
    }

    /// It failed with this code, and one line that has all of `words`.
    #[track_caller]
    pub fn failed(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stderr.lines().count(), 1, "not one line: {}", self.stderr);
        assert!(self.stderr.starts_with("braidfs: "), "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in: {}", self.stderr);
        }
        self
    }

    /// The output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}

/// A directory to work in, empty.
pub struct Workshop {
    directory: TempDir,
}

impl Workshop {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// The path of `name` in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs the program in it.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_as(PROGRAM, arguments)
    }

    /// Runs another program, or this one by another name.
    #[track_caller]
    pub fn run_as(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Outcome {
        let output = self.command(program, arguments).output().unwrap();
        Outcome {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn command(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program.as_ref());
        command.args(arguments).current_dir(self.directory.path()).env_remove("BRAIDFS_LOG");
        command
    }

    /// A small volume.
    pub fn volume(&self, name: &str) -> PathBuf {
        self.run(&["mkfs", "-q", name, SMALL]).succeeded();
        self.path(name)
    }

    /// The names of all files in it.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// Mounts in the foreground and waits until that is done.
    pub fn mount(&self, arguments: &[&str]) -> Server {
        if !is_mounted(&self.path("mnt")) {
            std::fs::create_dir_all(self.path("mnt")).unwrap();
        }
        let mut child = self
            .command(PROGRAM, &[&["mount"], arguments].concat())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut printed = String::new();
        while !printed.contains("stop with Ctrl-C") {
            assert_ne!(output.read_line(&mut printed).unwrap(), 0, "no mount: {printed}");
        }
        Server { child, output, printed, mount_point: self.path("mnt") }
    }
}

/// A program that serves a mount; killed at the end if it still does.
pub struct Server {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    /// What it has printed so far.
    pub printed: String,
    mount_point: PathBuf,
}

impl Server {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid() as i32).unwrap(), signal).unwrap();
    }

    /// Waits until it has printed `words`.
    #[track_caller]
    pub fn wait_for(&mut self, words: &str) {
        while !self.printed.contains(words) {
            assert_ne!(self.output.read_line(&mut self.printed).unwrap(), 0, "{}", self.printed);
        }
    }

    /// Waits until it has ended; returns its exit code and all that it printed.
    #[track_caller]
    pub fn ended(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut printed = std::mem::take(&mut self.printed);
        std::io::Read::read_to_string(&mut self.output, &mut printed).unwrap();
        (status.code(), printed)
    }

    /// The mount has ended in order.
    #[track_caller]
    pub fn ended_well(self) {
        let mount_point = self.mount_point.clone();
        let (code, printed) = self.ended();
        assert_eq!(code, Some(0), "{printed}");
        assert!(printed.ends_with("unmounted; everything is on disk\n"), "{printed}");
        assert!(!is_mounted(&mount_point));
    }

    /// Ends it as a crash would.
    pub fn crash(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::forget(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        detach(&self.mount_point);
    }
}

/// Takes a mount away, whatever its state.
pub fn detach(mount_point: &Path) {
    if is_mounted(mount_point) {
        let _ = Command::new(PROGRAM).args(["umount", "--lazy"]).arg(mount_point).output();
    }
}

pub fn is_mounted(mount_point: &Path) -> bool {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let place = format!(" {} ", mount_point.display());
    table.lines().any(|line| line.contains(&place))
}

/// Whether there is FUSE here. If not, the test says so and is over, unless it must not be.
pub fn has_fuse() -> bool {
    let opened = std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse");
    match opened {
        Ok(_) => true,
        Err(error) if std::env::var_os("BRAIDFS_REQUIRE_FUSE").is_some_and(|v| v == "1") => {
            panic!("BRAIDFS_REQUIRE_FUSE is set, but /dev/fuse cannot be opened: {error}");
        }
        Err(error) => {
            eprintln!("skipped: /dev/fuse cannot be opened: {error}");
            false
        }
    }
}

/// Whether this may do what only root may; if not, the test says so and is over.
pub fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: needs root");
    }
    is_root
}
