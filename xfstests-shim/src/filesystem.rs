//! How a volume of a filesystem is made, mounted, unmounted and checked: by running programs.

use std::ffi::OsStr;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Result, ShimError};
use crate::programs::Programs;

/// What a writer of braidfs does that meets a page under writeback (`--writeback-policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Forks the page.
    Fork,
    /// Waits.
    Wait,
    /// Copies every page when its writeback begins.
    Copy,
}

impl Policy {
    /// All.
    pub const ALL: [Self; 3] = [Self::Fork, Self::Wait, Self::Copy];

    /// As it is written in a mount option.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Wait => "wait",
            Self::Copy => "copy",
        }
    }
}

/// What is tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filesystem {
    /// braidfs, by its programs.
    Braidfs {
        /// Where these are.
        programs: Programs,
        /// How it is mounted.
        policy: Option<Policy>,
    },
    /// A filesystem of the kernel, to see whether a test asks for what Linux does.
    Peer {
        /// Its type, as `ext4`.
        kind: String,
    },
}

impl Filesystem {
    /// Its type, as df(1) shows it.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Braidfs { .. } => "fuse.braidfs",
            Self::Peer { kind } => kind,
        }
    }

    /// The policy that it is mounted with, where that is chosen.
    #[must_use]
    pub fn policy(&self) -> Option<Policy> {
        match self {
            Self::Braidfs { policy, .. } => *policy,
            Self::Peer { .. } => None,
        }
    }

    /// Makes a volume on `device`, whatever is there.
    #[must_use]
    pub fn mkfs(&self, device: &Path, extra: &[String]) -> Command {
        let mut command = match self {
            Self::Braidfs { programs, .. } => {
                let mut command = Command::new(programs.helper("mkfs"));
                command.arg("--force");
                command
            }
            Self::Peer { kind } => {
                let mut command = Command::new(format!("mkfs.{kind}"));
                command.args(if kind == "ext4" { &["-F", "-q"][..] } else { &["-f", "-q"] });
                command
            }
        };
        command.args(extra).arg(device);
        command
    }

    /// Mounts `device`. The server's log goes to `log`, where there is a server.
    #[must_use]
    pub fn mount(&self, device: &Path, directory: &Path, options: &str, log: &Path) -> Command {
        let mut list: Vec<String> = Vec::new();
        let mut command = match self {
            Self::Braidfs { programs, policy } => {
                list.push(format!("log_file={}", log.display()));
                list.extend(policy.map(|policy| format!("writeback_policy={}", policy.name())));
                Command::new(programs.helper("mount"))
            }
            Self::Peer { kind } => {
                list.extend((!is_block_device(device)).then(|| "loop".to_owned()));
                let mut command = Command::new("mount");
                command.args(["-t", kind]);
                command
            }
        };
        list.extend((!options.is_empty()).then(|| options.to_owned()));
        command.arg(device).arg(directory);
        if !list.is_empty() {
            command.arg("-o").arg(list.join(","));
        }
        command
    }

    /// Unmounts, and waits until everything is on the device.
    #[must_use]
    pub fn unmount(&self, directory: &Path) -> Command {
        let mut command = match self {
            Self::Braidfs { programs, .. } => Command::new(programs.helper("umount")),
            Self::Peer { .. } => Command::new("umount"),
        };
        command.arg(directory);
        command
    }

    /// Checks a volume that is not mounted; changes nothing.
    #[must_use]
    pub fn check(&self, device: &Path) -> Command {
        let mut command = match self {
            Self::Braidfs { programs, .. } => {
                let mut command = Command::new(programs.helper("fsck"));
                command.args(["-f", "-n", "--data"]);
                command
            }
            Self::Peer { kind } if kind == "ext4" => {
                let mut command = Command::new("e2fsck");
                command.args(["-f", "-n"]);
                command
            }
            Self::Peer { kind } => {
                let mut command = Command::new(format!("fsck.{kind}"));
                command.arg("-n");
                command
            }
        };
        command.arg(device);
        command
    }

    /// The name of the server's processes, where it has one.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        match self {
            Self::Braidfs { programs, .. } => programs.braidfs.file_name().and_then(OsStr::to_str),
            Self::Peer { .. } => None,
        }
    }
}

fn is_block_device(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    path.metadata().is_ok_and(|found| found.file_type().is_block_device())
}

/// How long a program may take that makes, mounts, unmounts or checks a volume.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(2);

/// Runs a program to its end; what it prints is in the error if it fails. One that takes longer than
/// two minutes is killed, and has failed.
///
/// # Errors
/// When it can't be started, fails, or hangs.
pub fn run(mut command: Command) -> Result<String> {
    let shown = format!("{command:?}");
    let failed = |source| ShimError::Run { program: shown.clone(), source };
    // Files, not pipes: nobody needs to read while it runs.
    let (mut out, mut err) =
        (tempfile::tempfile().map_err(failed)?, tempfile::tempfile().map_err(failed)?);
    command.stdin(Stdio::null());
    command.stdout(out.try_clone().map_err(failed)?).stderr(err.try_clone().map_err(failed)?);
    let mut child = command.spawn().map_err(failed)?;
    let started = Instant::now();
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) if status.success() => break Ok(()),
            Some(status) => break Err(status.to_string()),
            None if started.elapsed() > PATIENCE => {
                let _ = child.kill();
                let _ = child.wait();
                break Err("no end within two minutes".to_owned());
            }
            None => thread::sleep(POLL),
        }
    };
    let mut text = String::new();
    for file in [&mut out, &mut err] {
        let mut bytes = Vec::new();
        file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(failed)?;
        text = format!("{text} {}", String::from_utf8_lossy(&bytes).trim()).trim().to_owned();
    }
    match status {
        Ok(()) => Ok(text),
        Err(status) => Err(ShimError::Program { command: shown, status, output: text }),
    }
}
