//! The command line.
//!
//! Purpose: what `braidfs` and its other names do, in words that say what is wrong and what to do.
//!
//! | module | what |
//! |---|---|
//! | `args` | the one table of flags, from which help, man pages and completions are made |
//! | `mount_options` | the table of the options of `-o` |
//! | `mkfs`, `mount`, `remount`, `umount`, `sync`, `trim`, `control`, `stats`, `lab`, `fsck`, `info`, `dump`, `documents` | the verbs |
//! | `channel` | the way to the server of a mount |
//! | `image`, `raw`, `signature`, `place` | images and what is on them; mount points |
//! | `daemon`, `stop`, `processes` | the background, signals, who uses a mount |
//! | `time`, `output`, `progress`, `logging`, `error` | how things are written and said |
//!
//! Invariant: a command that fails prints one line, `braidfs: ...`, to stderr, ends with a number
//! that is not 0, and has changed nothing.

mod again;
mod args;
mod channel;
mod control;
mod daemon;
mod documents;
mod dump;
mod error;
mod fsck;
mod image;
mod info;
mod lab;
mod logging;
mod mkfs;
mod mount;
mod mount_options;
mod output;
mod place;
mod processes;
mod program;
mod progress;
mod raw;
mod remount;
mod signature;
mod stats;
mod stop;
mod sync;
mod time;
mod trim;
mod umount;

use std::ffi::OsString;
use std::process::ExitCode;

pub use program::Program;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let command_line: Vec<OsString> = std::env::args_os().collect();
    match Program::of(&command_line).run(&command_line) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            error.exit_code()
        }
    }
}
