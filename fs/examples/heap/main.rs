//! A key-value heap in a mapped file: threads write memory, and once a second what they wrote
//! becomes durable, as of one moment, without stopping them.
//!
//! ```sh
//! cargo run --release --example heap -- run disk.img --seconds 5
//! cargo run --release --example heap -- check disk.img
//! cargo run --release --example heap -- kill-test disk.img --rounds 5
//! ```
//!
//! This is what Redis forks itself for: a snapshot of memory that goes on being written. There the
//! process is copied, page tables first; here [`LiveMapping::sync`](braidfs::LiveMapping::sync) takes
//! the right to write back from the pages written since the last one.
//!
//! The records are accounts, and writers move money between them. A snapshot can fall between any
//! two stores of a transfer, so a transfer first notes in a slot of its thread what the accounts held.
//! Whoever opens the heap undoes the transfers that were under way; then the sum must be what it
//! always was, whatever was killed when. Nothing else is needed: no log, no file format, no writing.

mod heap;
mod options;
mod work;

use std::process::{Command, ExitCode};
use std::time::Duration;

use heap::Heap;
use options::{Action, Options};

/// What goes wrong in an example is told and ends it.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let done = Options::from_arguments().and_then(|options| match options.action {
        Action::Run => run(&options),
        Action::Check => check(&options),
        Action::KillTest => kill_test(&options),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("heap: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes for some seconds, with snapshots, and unmounts.
fn run(options: &Options) -> Outcome<()> {
    let heap = Heap::open(options)?;
    println!(
        "{} records in {} MiB, {} transfers undone, the sum is right; faults by {}",
        heap.records(),
        heap.mebibytes(),
        heap.recover()?,
        heap.mechanism().name()
    );
    work::run(&heap, options)?;
    heap.recover()?;
    heap.close()
}

/// Opens the heap as whatever ended the last run left it.
fn check(options: &Options) -> Outcome<()> {
    let heap = Heap::open(options)?;
    let undone = heap.recover()?;
    println!("{} transfers made, {undone} undone, the sum is right", heap.transfers());
    heap.close()
}

/// Kills runs with SIGKILL and checks what they leave.
fn kill_test(options: &Options) -> Outcome<()> {
    let mut transfers = 0;
    for round in 0..options.rounds {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("run")
            .args(options.to_arguments())
            .args(["--seconds", "3600"])
            .spawn()?;
        // Not always at the same place between two snapshots.
        std::thread::sleep(Duration::from_millis(1500 + 137 * (round % 7)));
        child.kill()?;
        child.wait()?;
        let heap = Heap::open(options)?;
        let undone = heap.recover()?;
        let made = heap.transfers();
        println!("killed: {} transfers more were durable, {undone} undone", made - transfers);
        if made <= transfers {
            return Err("no snapshot became durable before the kill".into());
        }
        transfers = made;
        heap.close()?;
    }
    println!("{} kills, and the sum was right after each", options.rounds);
    Ok(())
}
