//! Runs upstream's `check` and turns what it prints into results.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::{AtPath, Result, ShimError};
use crate::excludes::Excludes;
use crate::interrupt::Interrupt;
use crate::results::{Outcome, TestResult};

use super::environment::Environment;
use super::output::{Ended, parse};

/// The name of the suite.
pub const SUITE: &str = "xfstests";

/// Runs the tests that the arguments choose, as upstream's `check` takes them; calls `tell` after each.
/// Returns whether it came to its own end.
///
/// # Errors
/// When it can't be run, or no test was.
pub fn run(
    environment: &Environment,
    arguments: &[String],
    excludes: &Excludes,
    interrupt: &Interrupt,
    tell: &mut dyn FnMut(&TestResult),
    into: &mut Vec<TestResult>,
) -> Result<bool> {
    let mut command = environment.check(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let program = format!("{command:?}");
    let mut child = command.spawn().map_err(|source| ShimError::Run { program, source })?;
    let output = child.stdout.take().map(BufReader::new);
    for line in output.into_iter().flat_map(BufRead::lines).map_while(|line| line.ok()) {
        if interrupt.has_come() {
            break;
        }
        if let Some(ended) = parse(&line) {
            let result = result(ended, excludes);
            tell(&result);
            into.push(result);
        }
    }
    if interrupt.has_come()
        && let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw)
    {
        // With the first process of the namespace all that is in it ends.
        let _ = kill_process_group(group, Signal::TERM);
    }
    child.wait().at("wait for", environment.work())?;
    match into.is_empty() && !interrupt.has_come() {
        true => Err(ShimError::Wrong(format!(
            "no test was run; `bash {}` by hand shows why",
            environment.work().join("enter.sh").display()
        ))),
        false => Ok(!interrupt.has_come()),
    }
}

fn result(ended: Ended, excludes: &Excludes) -> TestResult {
    let Ended { id, verdict, seconds } = ended;
    let exclude = excludes.find(SUITE, &id);
    let result = TestResult {
        groups: id.split('/').take(1).map(str::to_owned).collect(),
        id,
        variant: None,
        outcome: verdict.outcome,
        reason: verdict.reason,
        seconds,
        outputs: Vec::new(),
    };
    match exclude {
        Some(exclude) if exclude.never_run => {
            exclude.judge(TestResult { outcome: Outcome::Exclude, ..result })
        }
        Some(exclude) => exclude.judge(result),
        None => result,
    }
}
