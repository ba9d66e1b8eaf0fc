//! `lab`: measures on this machine what braidfs claims.
//!
//! | module | what |
//! |---|---|
//! | `ground` | the filesystems that take part: made, mounted, taken away |
//! | `load` | the writer that is measured, and what keeps its file under writeback |
//! | `observe` | what the server counts meanwhile, over time, and its processor time |
//! | `cell` | one measurement, and what came out |
//! | `report` | the table and the JSON |
//! | `draw`, `figures` | pictures of them |
//!
//! Invariant: whatever happens, Ctrl-C included, mounts, loop devices, servers and files go; each
//! belongs to a value that takes it away when it is dropped.

mod cell;
mod draw;
mod figures;
mod ground;
mod load;
mod observe;
mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::args::{Driver, Lab, LabArguments, WritebackLabArguments, Writer};
use super::error::{CliError, CliResult};
use super::output::say;
use cell::{Cell, Outcome};
use ground::Ground;

/// How long a turn is.
const TURN: Duration = Duration::from_millis(500);

/// Runs a measurement.
pub fn run(arguments: &LabArguments) -> CliResult {
    match &arguments.what {
        Lab::Writeback(arguments) => writeback(arguments),
    }
}

/// Set by a signal: stop, and clean up.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    fn install() -> CliResult<Self> {
        let interrupt = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, interrupt.0.clone())
                .map_err(|error| CliError::new(format!("cannot handle signals: {error}")))?;
        }
        Ok(interrupt)
    }

    /// Whether to stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn check(&self) -> CliResult {
        if self.is_set() {
            return Err(CliError::new("interrupted; everything is unmounted and removed"));
        }
        Ok(())
    }
}

fn writeback(arguments: &WritebackLabArguments) -> CliResult {
    let interrupt = Interrupt::install()?;
    let mut outcomes = Vec::new();
    for disk in chosen(&arguments.disks) {
        let ground = Ground::prepare(arguments, disk, &interrupt)?;
        for driver in chosen(&arguments.drivers) {
            for writer in chosen(&arguments.writers) {
                outcomes.extend(take_turns(arguments, &ground, driver, writer, &interrupt)?);
            }
        }
    }
    let report = report::Report::new(arguments, outcomes);
    report.write_json(&arguments.json)?;
    figures::draw(&report, &arguments.figures)?;
    say(&format!(
        "written to {}; figures in {}",
        arguments.json.display(),
        arguments.figures.display()
    ));
    Ok(())
}

/// Those that are named, or all.
fn chosen<T: ValueEnum + Copy>(named: &[T]) -> Vec<T> {
    if named.is_empty() { T::value_variants().to_vec() } else { named.to_vec() }
}

/// Lets the contestants take turns with a load, and prints what came out.
fn take_turns(
    arguments: &WritebackLabArguments,
    ground: &Ground,
    driver: Driver,
    writer: Writer,
    interrupt: &Interrupt,
) -> CliResult<Vec<Outcome>> {
    let total = if arguments.quick { arguments.seconds / 10 } else { arguments.seconds };
    let turns = (total.as_secs_f64() / TURN.as_secs_f64()).ceil().max(1.0) as u32;
    let turn = total / turns;
    let mut contestants = ground.contestants();
    contestants.retain(|one| driver != Driver::UnlockedFsync || one.server().is_some());
    let mut outcomes: Vec<Outcome> = contestants
        .iter()
        .map(|contestant| {
            let cell = Cell { disk: ground.disk(), driver, writer, rate: arguments.rate };
            Outcome::none(cell, contestant.name())
        })
        .collect();
    for round in 0..turns as usize {
        for at in 0..contestants.len() {
            interrupt.check()?;
            let at = (round + at) % contestants.len();
            outcomes[at].run(&contestants[at], turn)?;
        }
    }
    report::print(&outcomes);
    Ok(outcomes)
}
