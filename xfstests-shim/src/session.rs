//! Runs chosen tests of a suite one after the other, with a progress line.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::{Result, ShimError};
use crate::excludes::Excludes;
use crate::interrupt::Interrupt;
use crate::results::{Outcome, ResultsDirectory, TestFiles, TestResult, Verdict};
use crate::select::Candidate;

/// A suite: what can run one of its tests.
pub trait Suite {
    /// A test.
    type Test: Candidate;

    /// Its name, as in `excludes.toml` and in the results.
    fn name(&self) -> &'static str;

    /// Runs a test and looks at what it left. Its failure is a result.
    ///
    /// # Errors
    /// When no more tests can be run, or [`ShimError::Interrupted`].
    fn run(&mut self, test: &Self::Test, files: &TestFiles) -> Result<Verdict>;
}

/// What a session works with.
pub struct Session<'a> {
    /// Which tests can't apply.
    pub excludes: &'a Excludes,
    /// Where results go.
    pub results: &'a ResultsDirectory,
    /// Whether somebody wants an end.
    pub interrupt: &'a Interrupt,
    /// Print a line for each test, even if there is no terminal for a progress line.
    pub is_verbose: bool,
}

impl Session<'_> {
    /// Runs the tests under the name of a variant and appends their results. Returns whether all
    /// were run; if not, somebody wanted an end.
    ///
    /// # Errors
    /// As [`Suite::run`], but for the interruption.
    pub fn run<S: Suite>(
        &self,
        suite: &mut S,
        tests: &[&S::Test],
        variant: Option<&str>,
        into: &mut Vec<TestResult>,
    ) -> Result<bool> {
        let progress = progress_line(tests.len());
        for test in tests {
            if self.interrupt.has_come() {
                return Ok(false);
            }
            progress.set_message(test.id().to_owned());
            let result = match self.run_one(suite, *test, variant) {
                Err(ShimError::Interrupted) => return Ok(false),
                result => result?,
            };
            self.tell(&progress, &result);
            progress.inc(1);
            into.push(result);
        }
        progress.finish_and_clear();
        Ok(true)
    }

    fn run_one<S: Suite>(
        &self,
        suite: &mut S,
        test: &S::Test,
        variant: Option<&str>,
    ) -> Result<TestResult> {
        let started = Instant::now();
        let exclude = self.excludes.find(suite.name(), test.id());
        let mut result = TestResult {
            id: test.id().to_owned(),
            variant: variant.map(str::to_owned),
            groups: test.groups().to_vec(),
            outcome: Outcome::Exclude,
            reason: None,
            seconds: 0.0,
            outputs: Vec::new(),
        };
        if let Some(exclude) = exclude.filter(|exclude| exclude.never_run) {
            return Ok(exclude.judge(result));
        }
        let files = self.results.test(suite.name(), &result.shown())?;
        let verdict = suite.run(test, &files)?;
        result.outcome = verdict.outcome;
        result.reason = verdict.reason;
        result.seconds = started.elapsed().as_secs_f64();
        result.outputs = files.existing();
        Ok(exclude.map_or(result.clone(), |exclude| exclude.judge(result)))
    }

    fn tell(&self, progress: &ProgressBar, result: &TestResult) {
        let is_told = self.is_verbose || result.outcome == Outcome::Fail;
        if is_told {
            let reason = result.reason.as_deref().map_or(String::new(), |why| format!(": {why}"));
            let (name, outcome) = (result.shown(), result.outcome.name());
            let line = format!("{name} {outcome} {:.1}s{reason}", result.seconds);
            // A progress line that is not shown would swallow it.
            if progress.is_hidden() {
                eprintln!("{line}");
            } else {
                progress.println(line);
            }
        }
    }
}

/// The line; indicatif shows nothing where stderr is no terminal.
fn progress_line(tests: usize) -> ProgressBar {
    let length = u64::try_from(tests).unwrap_or(u64::MAX);
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{elapsed} [{pos}/{len}] {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}
