//! The summary that people read.

use super::{Outcome, Run};

/// A line for each test that did not pass, and one of numbers.
#[must_use]
pub fn summary(run: &Run, is_verbose: bool) -> String {
    let mut lines = Vec::new();
    for test in &run.tests {
        let is_told = match test.outcome {
            Outcome::Pass => false,
            Outcome::Fail => true,
            Outcome::NotRun | Outcome::Exclude => is_verbose,
        };
        if is_told {
            let reason = test.reason.as_deref().unwrap_or("no reason given");
            lines.push(format!("{} {}: {reason}", test.outcome.name(), test.shown()));
        }
    }
    let count = |outcome| run.count(outcome);
    let end = if run.is_interrupted { "; interrupted" } else { "" };
    lines.push(format!(
        "{} on {}: {} passed, {} failed, {} notrun, {} excluded, in {:.0} s (seed {}){end}",
        run.suite,
        run.filesystem,
        count(Outcome::Pass),
        count(Outcome::Fail),
        count(Outcome::NotRun),
        count(Outcome::Exclude),
        run.seconds,
        run.seed
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples;

    #[test]
    fn failures_are_always_told() {
        let short = summary(&samples::run(), false);
        assert!(short.starts_with("fail 002: output") && !short.contains("003"), "{short}");
        assert!(short.contains("1 passed, 1 failed, 1 notrun, 1 excluded"), "{short}");
        assert!(summary(&samples::run(), true).contains("notrun 003: no root"));
    }
}
