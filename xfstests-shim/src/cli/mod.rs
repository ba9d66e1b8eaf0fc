//! The command line: parses it, and calls what does the work.

mod args;
mod check;
mod clean;
mod list;
mod suite;
mod upstream;
mod volume;

use std::io::{BufRead, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::error::Result;
use crate::exercise::{fsstress, fsx};
use crate::io;
use args::{Arguments, Command, FsstressArguments, FsxArguments, IoArguments};

/// The exit status when tests failed, and that for all else that went wrong.
const TESTS_FAILED: u8 = 1;
const TROUBLE: u8 = 2;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments.command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(TESTS_FAILED),
        Err(error) => {
            eprintln!("xfstests-shim: {error}");
            ExitCode::from(TROUBLE)
        }
    }
}

/// Whether all is well.
fn run(command: &Command) -> Result<bool> {
    match command {
        Command::Check(arguments) => check::run(arguments),
        Command::Setup(arguments) => upstream::setup(arguments).map(|()| true),
        Command::Upstream(arguments) => upstream::run(arguments),
        Command::Suite(arguments) => suite::run(arguments),
        Command::List(arguments) => list::run(arguments).map(|()| true),
        Command::Clean(arguments) => clean::run(arguments),
        Command::Volume(arguments) => volume::run(&arguments.verb).map(|()| true),
        Command::Io(arguments) => Ok(run_io(arguments)),
        Command::Fsx(arguments) => Ok(told(fsx::run(&fsx_plan(arguments)))),
        Command::Fsstress(arguments) => Ok(told(fsstress::run(&fsstress_plan(arguments)))),
    }
}

/// Runs commands one by one; goes on after those that fail.
fn run_io(arguments: &IoArguments) -> bool {
    let mut machine = io::Machine::default();
    let mut out = std::io::stdout();
    let mut is_good = true;
    let mut obey = |line: &str, end: &str| {
        let reply = machine.obey(line);
        is_good &= reply.is_good;
        // Whoever does not want to hear it has gone.
        let _ = write!(out, "{}{end}", reply.text).and_then(|()| out.flush());
    };
    if let Some(file) = &arguments.file {
        obey(&io::open_command(file, &arguments.flags), "");
    }
    arguments.commands.iter().for_each(|line| obey(line, ""));
    if arguments.interactive {
        let lines = std::io::stdin().lock().lines().map_while(std::result::Result::ok);
        lines.take_while(|line| line != "quit").for_each(|line| obey(&line, "--\n"));
    }
    is_good
}

/// Prints what a program of [`crate::exercise`] has to say.
fn told(end: std::result::Result<String, String>) -> bool {
    match end {
        Ok(text) => {
            println!("{text}");
            true
        }
        Err(why) => {
            eprintln!("{why}");
            false
        }
    }
}

fn fsx_plan(arguments: &FsxArguments) -> fsx::Plan {
    fsx::Plan {
        file: arguments.file.clone(),
        operations: arguments.operations,
        seed: arguments.seed,
        length: arguments.length,
        most: arguments.most,
        with_maps: !arguments.no_map,
        with_direct: arguments.direct,
        reopens: arguments.reopen,
        expect: arguments.expect.clone(),
    }
}

fn fsstress_plan(arguments: &FsstressArguments) -> fsstress::Plan {
    fsstress::Plan {
        directory: arguments.directory.clone(),
        operations: arguments.operations,
        processes: arguments.processes,
        seed: arguments.seed,
        journal: arguments.journal.clone(),
        only_verifies: arguments.verify,
        until_killed: arguments.until_killed,
    }
}
