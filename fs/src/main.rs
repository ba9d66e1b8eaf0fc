//! The program `braidfs`; by other names `mkfs.braidfs`, `mount.fuse.braidfs` and so on.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    braidfs::cli::main()
}
