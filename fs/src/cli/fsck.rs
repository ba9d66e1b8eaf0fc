//! `fsck`: hands over to the checker, a program of its own that shares no code with this one.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use super::error::{CliError, CliResult};

const PROGRAM: &str = "fsck.braidfs";
/// What cargo calls it, since a crate's name cannot hold a dot.
const UNINSTALLED_PROGRAM: &str = "fsck-braidfs";
/// "Operational error", in the terms of fsck(8).
const OPERATIONAL: u8 = 8;

/// Becomes the checker; returns only if that fails.
pub fn run(arguments: &[OsString]) -> CliResult {
    let Some(program) = find() else {
        return Err(CliError::new(format!(
            "the checker {PROGRAM} is neither beside this program nor in PATH; build it with \
             `cargo build --release -p braidfs-fsck`, or install it"
        ))
        .with_code(OPERATIONAL));
    };
    let error = Command::new(&program).args(arguments).exec();
    let shown = program.display();
    Err(CliError::new(format!("cannot run {shown}: {error}")).with_code(OPERATIONAL))
}

/// The checker: the one beside this program, since the two belong together, or one in PATH.
fn find() -> Option<PathBuf> {
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(|own| own.parent()).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(std::env::split_paths(&path))
        .flat_map(|directory| [PROGRAM, UNINSTALLED_PROGRAM].map(|name| directory.join(name)))
        .find(|candidate| candidate.is_file())
}
