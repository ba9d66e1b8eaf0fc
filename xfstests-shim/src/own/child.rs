//! A script, from its start to the end of whatever it started.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{AtPath, Result, ShimError};
use crate::interrupt::Interrupt;
use crate::processes::{self, Process};

const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_millis(20);
/// How long a killed process may take to go.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Status(ExitStatus),
    /// It took too long; these processes were at work.
    TimedOut(Vec<String>),
}

/// Runs a command with its output going to `output`. Whatever it leaves running is ended, but for
/// what is to be spared.
///
/// # Errors
/// When it can't be started, or on [`ShimError::Interrupted`].
pub fn run(
    mut command: Command,
    output: &Path,
    limit: Duration,
    interrupt: &Interrupt,
    spare: impl Fn(&Process) -> bool,
) -> Result<End> {
    let file = File::create(output).at("write", output)?;
    let second = file.try_clone().at("write", output)?;
    // A group of its own: Ctrl-C is for the shim, which then ends the test.
    command.stdin(Stdio::null()).stdout(file).stderr(second).process_group(0);
    let program = format!("{command:?}");
    let mut child = command.spawn().map_err(|source| ShimError::Run { program, source })?;
    let end = wait(&mut child, limit, interrupt);
    if !matches!(end, Ok(End::Status(_))) {
        let _ = child.kill();
    }
    // If it does not go (its system call waits for a server), taking the mount away will end it.
    let _ = processes::kill_descendants(spare, PATIENCE);
    let _ = child.try_wait();
    end
}

fn wait(child: &mut Child, limit: Duration, interrupt: &Interrupt) -> Result<End> {
    let started = Instant::now();
    loop {
        let status = child.try_wait().at("wait for", Path::new("the test"))?;
        if let Some(status) = status {
            return Ok(End::Status(status));
        }
        if interrupt.has_come() {
            return Err(ShimError::Interrupted);
        }
        let elapsed = started.elapsed();
        if elapsed > limit {
            let at_work = processes::descendants().into_iter();
            return Ok(End::TimedOut(at_work.map(|one| shown(&one)).collect()));
        }
        thread::sleep(if elapsed < LONG { SHORT } else { LONG });
    }
}

/// A process, and where in the kernel it waits.
fn shown(process: &Process) -> String {
    let read = |what: &str| {
        let text = std::fs::read_to_string(format!("/proc/{}/{what}", process.id));
        text.unwrap_or_default().replace('\0', " ").trim().to_owned()
    };
    format!("{} {} [{}]: {}", process.id, process.name, read("wchan"), read("cmdline"))
}
