//! The xunit file, which CI systems read.

use std::path::Path;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Outcome, Run, TestResult};

/// The report as XML. The outputs of failed tests, which lie in `directory`, go in.
pub fn report(run: &Run, directory: &Path) -> Result<String, String> {
    let mut suite = TestSuite::new(run.suite.as_str());
    suite.set_time(Duration::from_secs_f64(run.seconds.max(0.0)));
    suite.add_property(("filesystem", run.filesystem.as_str()));
    suite.add_property(("seed", run.seed.to_string().as_str()));
    suite.add_test_cases(run.tests.iter().map(|test| case(run, test, directory)));
    let mut report = Report::new("xfstests-shim");
    report.add_test_suite(suite);
    report.to_string().map_err(|error| error.to_string())
}

fn case(run: &Run, test: &TestResult, directory: &Path) -> TestCase {
    let reason = test.reason.clone().unwrap_or_default();
    let status = match test.outcome {
        Outcome::Pass => TestCaseStatus::success(),
        Outcome::Fail => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(reason);
            status
        }
        Outcome::NotRun | Outcome::Exclude => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("{}: {reason}", test.outcome.name()));
            status
        }
    };
    let mut case = TestCase::new(test.shown(), status);
    case.set_classname(format!("{}.{}", run.suite, test.groups.join("+")));
    case.set_time(Duration::from_secs_f64(test.seconds.max(0.0)));
    if test.outcome == Outcome::Fail {
        let read = |path: &std::path::PathBuf| {
            let bytes = std::fs::read(directory.join(path)).unwrap_or_default();
            format!("== {}\n{}", path.display(), String::from_utf8_lossy(&bytes))
        };
        case.set_system_out(test.outputs.iter().map(read).collect::<String>());
    }
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples;

    #[test]
    fn each_outcome_has_its_element() {
        let text = report(&samples::run(), Path::new("/nonexistent")).unwrap();
        assert!(text.contains("tests=\"4\"") && text.contains("failures=\"1\""), "{text}");
        assert!(text.contains("output &lt;differs&gt; &amp; more"), "{text}");
        assert!(text.contains("notrun: no root") && text.contains("exclude: cannot be"), "{text}");
    }
}
