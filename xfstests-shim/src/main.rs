//! The program `xfstests-shim`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    xfstests_shim::cli::main()
}
