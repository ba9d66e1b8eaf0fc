//! Serving in the background.
//!
//! The program starts itself once more, before it has any thread, and waits until that process
//! reports that the mount can be used, or why not. (A plain fork would need unsafe code and gain
//! nothing: no state is inherited but the command line.) What the new process prints goes through a
//! pipe, whose last line [`READY`] says that all is well; errors go to the same stderr.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use super::error::{CliError, CliResult, FAILURE};
use super::output::say;

/// Set for the process in the background.
const MARK: &str = "BRAIDFS_IN_BACKGROUND";
const READY: &str = "ready";

/// Whether this is the process in the background, which a process in the foreground waits for.
pub fn is_background() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Starts this program again in the background and waits until it is ready.
///
/// # Errors
/// When it cannot be started. Its own failures it has told already; its exit code is passed on.
pub fn launch(arguments: &[OsString]) -> CliResult<ExitCode> {
    let failed =
        |error| CliError::new(format!("cannot start a process in the background: {error}"));
    let (name, rest) = arguments
        .split_first()
        .map_or((OsString::new(), &[][..]), |(name, rest)| (name.clone(), rest));
    let mut child = Command::new(own_program())
        .arg0(name)
        .args(rest)
        .env(MARK, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if relay_until_ready(&mut child) {
        return Ok(ExitCode::SUCCESS);
    }
    let status = child.wait().map_err(failed)?;
    exit_code(status)
}

/// Says that the mount can be used, and leaves the terminal. To be called once in the background.
///
/// # Errors
/// When the process cannot be made independent.
pub fn ready() -> CliResult {
    let failed = |error| CliError::new(format!("cannot go into the background: {error}"));
    rustix::process::setsid().map_err(|errno| failed(errno.into()))?;
    std::env::set_current_dir("/").map_err(failed)?;
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null").map_err(failed)?;
    let mut stdout = std::io::stdout().lock();
    // If nobody waits any more, the mount is as good as ever.
    let _ = writeln!(stdout, "{READY}").and_then(|()| stdout.flush());
    rustix::stdio::dup2_stdout(&null).map_err(|errno| failed(errno.into()))?;
    rustix::stdio::dup2_stderr(&null).map_err(|errno| failed(errno.into()))
}

/// The file of this program; what runs now, even if it has been replaced since.
pub fn own_program() -> PathBuf {
    std::env::current_exe()
        .ok()
        .filter(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}

/// Prints what the child prints, until it is ready (true) or has closed its end (false).
fn relay_until_ready(child: &mut Child) -> bool {
    let Some(pipe) = child.stdout.take() else { return false };
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        if line == READY {
            return true;
        }
        say(&line);
    }
    false
}

/// The exit code to pass on; success without having been ready is none.
fn exit_code(status: ExitStatus) -> CliResult<ExitCode> {
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(0) => Ok(ExitCode::from(FAILURE)),
        Some(code) => Ok(ExitCode::from(code)),
        None => Err(CliError::new(format!(
            "the process in the background ended before the mount was ready ({status}); \
             mount without --daemon to see more"
        ))),
    }
}
