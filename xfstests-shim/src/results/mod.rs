//! What tests came to: one model for all suites, and the files that are written of it.
//!
//! In the results directory:
//!
//! ```text
//! results.json          the run: settings, and each test's result
//! results.xml           the same as xunit has it
//! <suite>/<id>.out      what a test printed, after the filters
//! <suite>/<id>.out.bad  the same, if it is not what it should be
//! <suite>/<id>.full     what else there is to know: notes, the checker's findings
//! <suite>/<id>.log      what the servers logged (the place of dmesg)
//! ```

mod files;
mod summary;
mod xunit;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use files::{ResultsDirectory, TestFiles};
pub use summary::summary;

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should.
    Pass,
    /// Not as it should.
    Fail,
    /// It could not be run here; the reason says why.
    NotRun,
    /// It can't apply, as `excludes.toml` says with a reason, and did not pass.
    Exclude,
}

impl Outcome {
    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotRun => "notrun",
            Self::Exclude => "exclude",
        }
    }
}

/// How a test ended, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How.
    pub outcome: Outcome,
    /// Why, if it did not pass.
    pub reason: Option<String>,
}

impl Verdict {
    /// All is well.
    #[must_use]
    pub fn pass() -> Self {
        Self { outcome: Outcome::Pass, reason: None }
    }

    /// Something is not.
    pub fn fail(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fail, reason: Some(reason.into()) }
    }

    /// It could not be run.
    pub fn not_run(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::NotRun, reason: Some(reason.into()) }
    }
}

/// What a test came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// Its name within its suite, as `012` or `generic/012`.
    pub id: String,
    /// Under which settings it was run, where there are several, as `fork` or `fork#2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Its groups.
    pub groups: Vec<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, if it did not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long it took.
    pub seconds: f64,
    /// What it left in the results directory.
    pub outputs: Vec<PathBuf>,
}

impl TestResult {
    /// Its name with the variant.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.variant {
            Some(variant) => format!("{} [{variant}]", self.id),
            None => self.id.clone(),
        }
    }
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Which suite: `own`, `xfstests`, or the name of one of others.
    pub suite: String,
    /// The type of the filesystem.
    pub filesystem: String,
    /// The seed of whatever is random.
    pub seed: u64,
    /// How long it took.
    pub seconds: f64,
    /// Whether it was ended before all was run.
    pub is_interrupted: bool,
    /// What the tests came to, in the order they were run.
    pub tests: Vec<TestResult>,
}

impl Run {
    /// How many tests ended so.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.tests.iter().filter(|test| test.outcome == outcome).count()
    }

    /// Whether all is well: something was run, and nothing failed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !self.is_interrupted && !self.tests.is_empty() && self.count(Outcome::Fail) == 0
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// A test's result.
    pub fn result(id: &str, outcome: Outcome, reason: Option<&str>) -> TestResult {
        TestResult {
            id: id.to_owned(),
            variant: None,
            groups: vec!["auto".to_owned(), "rw".to_owned()],
            outcome,
            reason: reason.map(str::to_owned),
            seconds: 0.25,
            outputs: Vec::new(),
        }
    }

    /// A run of one of each kind.
    pub fn run() -> Run {
        let tests = vec![
            result("001", Outcome::Pass, None),
            result("002", Outcome::Fail, Some("output <differs> & more")),
            result("003", Outcome::NotRun, Some("no root")),
            result("004", Outcome::Exclude, Some("cannot be")),
        ];
        Run {
            suite: "own".to_owned(),
            filesystem: "fuse.braidfs".to_owned(),
            seed: 1,
            seconds: 1.0,
            is_interrupted: false,
            tests,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_good_if_something_ran_and_nothing_failed() {
        let mut run = samples::run();
        assert!(!run.is_good());
        assert_eq!(run.count(Outcome::Fail), 1);
        run.tests.retain(|test| test.outcome != Outcome::Fail);
        assert!(run.is_good());
        run.is_interrupted = true;
        assert!(!run.is_good());
        run.tests.clear();
        run.is_interrupted = false;
        assert!(!run.is_good());
    }

    #[test]
    fn a_run_survives_json() {
        let run = samples::run();
        let text = serde_json::to_string(&run).unwrap();
        assert!(text.contains("\"notrun\""));
        assert_eq!(serde_json::from_str::<Run>(&text).unwrap(), run);
    }
}
