//! Making a failing list of steps short.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::steps::Step;

thread_local! {
    /// Whether this thread's panics are attempts, which nobody wants to read about.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs the steps that `make` makes and notes them; if that panics, finds a short list that panics too, by leaving steps
/// out as long as `replay` still fails, and panics with it.
///
/// # Panics
/// If `make` does.
pub fn check(name: &str, make: impl FnOnce(&mut Vec<Step>), replay: impl Fn(&[Step])) {
    let mut steps = Vec::new();
    let Err(problem) = attempt(|| make(&mut steps)) else { return };
    let (short, problem) = shorten(steps, message(&problem), &replay);
    let lines: Vec<String> = short.iter().map(|step| format!("    {step:?}")).collect();
    panic!("{name}: {problem}\nafter the steps\n{}", lines.join("\n"));
}

fn shorten(
    mut steps: Vec<Step>,
    mut problem: String,
    replay: &impl Fn(&[Step]),
) -> (Vec<Step>, String) {
    if attempt(|| replay(&steps)).is_ok() {
        return (steps, format!("{problem}\n(the steps alone do not show it again)"));
    }
    let mut chunk = steps.len().div_ceil(2);
    loop {
        let mut at = 0;
        let mut is_shorter = false;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + chunk).min(steps.len()));
            match attempt(|| replay(&fewer)) {
                Ok(()) => at += chunk,
                Err(found) => {
                    problem = message(&found);
                    steps = fewer;
                    is_shorter = true;
                }
            }
        }
        if chunk == 1 && !is_shorter {
            return (steps, problem);
        }
        chunk = (chunk / 2).max(1);
    }
}

/// Runs `work`; a panic is an answer and not printed.
pub fn attempt<R>(work: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(before);
    result
}

/// What a panic said.
pub fn message(problem: &Box<dyn Any + Send>) -> String {
    let text = problem.downcast_ref::<String>().cloned();
    let text = text.or_else(|| problem.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_list_becomes_short() {
        let replay = |steps: &[Step]| {
            let syncs = steps.iter().filter(|step| **step == Step::Sync).count();
            assert!(syncs < 2 || !steps.contains(&Step::Unify), "two syncs and a unify");
        };
        let make = |steps: &mut Vec<Step>| {
            let many = [Step::Sync, Step::Remount, Step::Unify, Step::Remount];
            steps.extend(many.into_iter().cycle().take(50));
            replay(steps);
        };
        let problem = attempt(|| check("a test", make, replay)).expect_err("it fails");
        let text = message(&problem);
        assert!(text.starts_with("a test: two syncs and a unify\n"), "{text}");
        assert_eq!(text.lines().count(), 5, "{text}");
    }
}
