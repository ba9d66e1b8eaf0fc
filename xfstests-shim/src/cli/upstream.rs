//! `setup` and `upstream`: upstream's tests.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::error::{Result, ShimError};
use crate::excludes::Excludes;
use crate::interrupt::Interrupt;
use crate::results::{Outcome, ResultsDirectory, Run, TestResult, summary};
use crate::upstream::environment::Environment;
use crate::upstream::runner::{self, SUITE};

use super::args::UpstreamArguments;

/// Prepares, and says how to go on.
pub fn setup(arguments: &UpstreamArguments) -> Result<()> {
    let environment = prepare(arguments)?;
    println!("prepared in {}", environment.work().display());
    println!("run tests with: xfstests-shim upstream {} -- -g quick", arguments.checkout.display());
    Ok(())
}

/// Runs tests. Whether all is well.
pub fn run(arguments: &UpstreamArguments) -> Result<bool> {
    if !rustix::process::geteuid().is_root() {
        return Err(ShimError::Wrong("upstream's tests need root; run this as root".to_owned()));
    }
    let started = Instant::now();
    let environment = prepare(arguments)?;
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("excludes.toml");
    let path: PathBuf = arguments.excludes.clone().unwrap_or_else(default);
    let excludes = Excludes::read(&path)?;
    let results = ResultsDirectory::create(&arguments.results, SUITE)?;
    let interrupt = Interrupt::install()?;
    let mut done = Vec::new();
    let mut tell = |result: &TestResult| tell(result, arguments.verbose);
    let is_complete = runner::run(
        &environment,
        &arguments.arguments,
        &excludes,
        &interrupt,
        &mut tell,
        &mut done,
    )?;
    let run = Run {
        suite: SUITE.to_owned(),
        filesystem: arguments.kind.clone(),
        seed: 0,
        seconds: started.elapsed().as_secs_f64(),
        is_interrupted: !is_complete,
        tests: done,
    };
    results.write(&run)?;
    println!("{}", summary(&run, false));
    println!("results: {}", results.path().display());
    Ok(run.is_good())
}

fn prepare(arguments: &UpstreamArguments) -> Result<Environment> {
    let programs = arguments.programs.as_deref();
    Environment::prepare(&arguments.checkout, &arguments.work, &arguments.kind, programs)
}

fn tell(result: &TestResult, is_verbose: bool) {
    if is_verbose || result.outcome == Outcome::Fail {
        let reason = result.reason.as_deref().unwrap_or_default();
        eprintln!("{} {} {:.0}s {reason}", result.id, result.outcome.name(), result.seconds);
    }
}
