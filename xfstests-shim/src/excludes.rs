//! `excludes.toml`: tests that can't apply, each with its reason and what would change it.
//!
//! An excluded test is run all the same (unless it would hang): if it passes, that is an error, so
//! that no exclude outlives its reason.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::error::{AtPath, Result, ShimError};
use crate::results::{Outcome, TestResult};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exclude {
    /// Which suite: `own`, `xfstests`, ...
    pub suite: String,
    /// The test's name within it.
    pub test: String,
    /// Why it can't apply.
    pub reason: String,
    /// What would change that.
    pub until: String,
    /// It would hang or do harm, so it is not run.
    #[serde(default)]
    pub never_run: bool,
}

/// All entries.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excludes {
    /// In the order of the file.
    #[serde(default)]
    exclude: Vec<Exclude>,
}

impl Excludes {
    /// Reads the file.
    ///
    /// # Errors
    /// When it can't be read, is not understood, or has an entry twice or without a reason.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).at("read", path)?;
        Self::parse(&text).map_err(|why| ShimError::Content { path: path.to_owned(), why })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let excludes: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for (at, one) in excludes.exclude.iter().enumerate() {
            let name = format!("{}/{}", one.suite, one.test);
            if one.reason.trim().is_empty() || one.until.trim().is_empty() {
                return Err(format!("{name} needs a reason, and what would change it"));
            }
            let is_same = |other: &Exclude| (&other.suite, &other.test) == (&one.suite, &one.test);
            if excludes.exclude[..at].iter().any(is_same) {
                return Err(format!("{name} is there twice; keep one"));
            }
        }
        Ok(excludes)
    }

    /// The entry of a test.
    #[must_use]
    pub fn find(&self, suite: &str, test: &str) -> Option<&Exclude> {
        self.exclude.iter().find(|one| one.suite == suite && one.test == test)
    }

    /// The entries of a suite that name none of its tests.
    #[must_use]
    pub fn unknown<'a>(&'a self, suite: &str, tests: &[String]) -> Vec<&'a Exclude> {
        let of_suite = self.exclude.iter().filter(|one| one.suite == suite);
        of_suite.filter(|one| !tests.contains(&one.test)).collect()
    }
}

impl Exclude {
    /// What the result of an excluded test means.
    #[must_use]
    pub fn judge(&self, mut result: TestResult) -> TestResult {
        result.reason = Some(match result.outcome {
            Outcome::Pass => {
                result.outcome = Outcome::Fail;
                "is excluded, but passes now; take it out of excludes.toml".to_owned()
            }
            Outcome::Fail | Outcome::Exclude => {
                result.outcome = Outcome::Exclude;
                format!("{} (until {})", self.reason, self.until)
            }
            Outcome::NotRun => return result,
        });
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples::result;

    const GOOD: &str = "[[exclude]]\nsuite = 'own'\ntest = '001'\nreason = 'x'\nuntil = 'y'\n";

    #[test]
    fn an_exclude_that_passes_is_an_error() {
        let excludes = Excludes::parse(GOOD).unwrap();
        let entry = excludes.find("own", "001").unwrap();
        let judged = |outcome| entry.judge(result("001", outcome, None));
        assert_eq!(judged(Outcome::Pass).outcome, Outcome::Fail);
        assert_eq!(judged(Outcome::Fail).outcome, Outcome::Exclude);
        assert_eq!(judged(Outcome::Fail).reason.unwrap(), "x (until y)");
        assert_eq!(judged(Outcome::NotRun).outcome, Outcome::NotRun);
    }

    #[test]
    fn mistakes_are_told() {
        assert!(Excludes::parse(&format!("{GOOD}{GOOD}")).unwrap_err().contains("twice"));
        assert!(Excludes::parse(&GOOD.replace("'x'", "''")).unwrap_err().contains("reason"));
        assert!(Excludes::parse(&GOOD.replace("until", "unless")).is_err());
        let excludes = Excludes::parse(GOOD).unwrap();
        assert_eq!(excludes.unknown("own", &["002".to_owned()]).len(), 1);
        assert!(excludes.unknown("own", &["001".to_owned()]).is_empty());
        assert!(excludes.find("xfstests", "001").is_none());
    }
}
