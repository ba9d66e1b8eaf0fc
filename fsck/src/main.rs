//! The command `fsck.braidfs`: checks a volume and says what is wrong with it.
//!
//! Cargo builds it as `fsck-braidfs`, because a crate's name cannot hold a dot; it is installed
//! under the name that fsck(8) looks for.

#![forbid(unsafe_code)]

mod cli;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use braidfs_block::{FileDevice, FileOptions};
use braidfs_fsck::{CheckOptions, Report, check, printable};
use clap::Parser;
use clap::error::ErrorKind;
use cli::arguments::{Arguments, normalise};
use cli::progress::Progress;
use cli::{exit, render};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse_from(normalise(std::env::args_os())) {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    ExitCode::from(run(&arguments))
}

/// Prints what clap has to say: help and version are no errors, everything else is.
fn refuse(error: &clap::Error) -> ExitCode {
    // There is nobody to tell that printing failed.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::from(exit::OK),
        _ => ExitCode::from(exit::USAGE),
    }
}

fn run(arguments: &Arguments) -> u8 {
    let device = printable(arguments.device.as_os_str().as_encoded_bytes());
    let outcome = check_device(arguments, &device);
    let status = match &outcome {
        Ok(report) => exit::status_of(report),
        Err((status, _)) => *status,
    };
    let text = match &outcome {
        _ if arguments.json => {
            render::json(&device, status, outcome.as_ref().map_err(|(_, error)| error.as_str()))
        }
        Ok(report) => render::text(&device, arguments, report),
        Err(_) => String::new(),
    };
    if let Err((_, error)) = &outcome {
        complain(error);
    }
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => status,
        Err(error) => {
            complain(&format!("cannot print the report: {error}"));
            status | exit::OPERATIONAL
        }
    }
}

/// One line on stderr.
fn complain(message: &str) {
    // There is nobody to tell that printing failed.
    let _ = writeln!(io::stderr(), "fsck.braidfs: {message}");
}

/// Checks the device that the arguments name; an error comes with its exit status.
fn check_device(arguments: &Arguments, name: &str) -> Result<Report, (u8, String)> {
    let quiet = arguments.json || !io::stderr().is_terminal();
    let progress = Progress::new(arguments.progress, quiet, name).map_err(|error| {
        (exit::USAGE, format!("cannot write progress to that descriptor: {error}; open it first"))
    })?;
    let operational = |error: String| (exit::OPERATIONAL, error);
    progress.watch_signals().map_err(|error| operational(error.to_string()))?;
    // For reading this takes a shared lock, so a volume that is mounted is refused.
    let device = FileDevice::open(&arguments.device, &FileOptions::read_only())
        .map_err(|error| operational(error.to_string()))?;
    let options =
        CheckOptions { force: arguments.force, data: arguments.data, ..CheckOptions::default() };
    check(&device, &options, &progress).map_err(|error| operational(format!("{name}: {error}")))
}
