//! What upstream's `check` prints: a line for each test, and more for those that fail.

use crate::results::Verdict;

/// A test that has ended, by a line that `check` printed.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Its name, as `generic/001`.
    pub id: String,
    /// What it came to.
    pub verdict: Verdict,
    /// How long it took.
    pub seconds: f64,
}

/// The test that a line says has ended; `None` if it says something else.
#[must_use]
pub fn parse(line: &str) -> Option<Ended> {
    let (id, said) = line.split_once(char::is_whitespace)?;
    let (group, number) = id.split_once('/')?;
    let is_test = group.chars().all(|one| one.is_ascii_lowercase())
        && number.len() == 3
        && number.chars().all(|one| one.is_ascii_digit());
    let said = said.trim();
    if !is_test || said.is_empty() {
        return None;
    }
    // How long it took the last time comes first.
    let seconds = said.strip_suffix('s').and_then(|said| said.rsplit(' ').next()?.parse().ok());
    let verdict = match (said.split_once("[not run]"), seconds) {
        (Some((_, reason)), _) => Verdict::not_run(reason.trim()),
        (None, Some(_)) => Verdict::pass(),
        (None, None) if said.contains("[expunged]") => Verdict::not_run("excluded"),
        (None, None) => Verdict::fail(said),
    };
    Some(Ended { id: id.to_owned(), verdict, seconds: seconds.unwrap_or(0.0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Outcome;

    #[test]
    fn each_way_to_end_is_known() {
        let outcome = |line| parse(line).map(|ended| (ended.verdict.outcome, ended.seconds));
        assert_eq!(outcome("generic/001         3s"), Some((Outcome::Pass, 3.0)));
        assert_eq!(outcome("generic/001 12s ...  4s"), Some((Outcome::Pass, 4.0)));
        let not_run = parse("generic/004        [not run] O_TMPFILE is not supported").unwrap();
        assert_eq!(not_run.verdict, Verdict::not_run("O_TMPFILE is not supported"));
        for failed in [
            "generic/003        - output mismatch (see /r/003.out.bad)",
            "generic/013       _check_generic_filesystem: filesystem on /dev/loop1 is inconsistent",
            "generic/020        [failed, exit status 1]- output mismatch (see /r/020.out.bad)",
        ] {
            assert_eq!(outcome(failed), Some((Outcome::Fail, 0.0)), "{failed}");
        }
    }

    #[test]
    fn all_else_is_no_end() {
        for line in
            ["Ran: generic/001 generic/002", "    --- tests/generic/003.out", "generic/001", ""]
        {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
