//! Every short run: most of what goes wrong in filesystems goes wrong after two or three operations on a fresh
//! volume and a crash behind the fsync (B3, OSDI 2018).

use super::explore::{Effort, Tally, explore};
use super::recorder::{Recorder, Run, Setup};
use crate::steps::{Data, Step};

/// What is there before: two directories, a file in each, synced.
fn before() -> Vec<Step> {
    let mut steps = Vec::new();
    for (directory, seed) in [("/a", 1), ("/b", 2)] {
        let path = format!("{directory}/x");
        steps.push(Step::Mkdir { path: directory.into(), mode: 0o755 });
        steps.push(Step::Create { path: path.clone(), mode: 0o644 });
        steps.push(Step::Write { path, offset: 0, data: Data { length: 9000, seed } });
    }
    steps.push(Step::Sync);
    steps
}

/// The operations: seventeen kinds, on names that are there and names that are not.
pub fn operations() -> Vec<Step> {
    let text = str::to_owned;
    let mut steps = Vec::new();
    for (path, other) in [("/a/x", "/b/x"), ("/a/x", "/b/y"), ("/b/x", "/a")] {
        let (from, to) = (text(path), text(other));
        steps.push(Step::Link { path: from.clone(), new: to.clone() });
        steps.push(Step::Rename { from: from.clone(), to: to.clone() });
        steps.push(Step::RenameToFree { from: from.clone(), to: to.clone() });
        steps.push(Step::Exchange { from, to });
    }
    steps.push(Step::Rename { from: text("/a"), to: text("/b/a") });
    steps.push(Step::Symlink { path: text("/a/y"), target: text("x") });
    for path in ["/a/x", "/a/y"].map(text) {
        let data = Data { length: 5000, seed: 3 };
        let value = Data { length: 3000, seed: 4 };
        steps.push(Step::Create { path: path.clone(), mode: 0o600 });
        steps.push(Step::Mkdir { path: path.clone(), mode: 0o700 });
        steps.push(Step::Unlink { path: path.clone() });
        steps.push(Step::Write { path: path.clone(), offset: 6000, data });
        steps.push(Step::Write {
            path: path.clone(),
            offset: 4096,
            data: Data { length: 4096, seed: 0 },
        });
        steps.push(Step::Truncate { path: path.clone(), size: 3000 });
        steps.push(Step::Truncate { path: path.clone(), size: 20_000 });
        steps.push(Step::Punch { path: path.clone(), offset: 1000, length: 7000 });
        steps.push(Step::Allocate { path: path.clone(), offset: 4096, length: 20_000 });
        steps.push(Step::Zero { path: path.clone(), offset: 4096, length: 9000 });
        steps.push(Step::SetXattr { path: path.clone(), name: text("user.x"), value });
        steps.push(Step::RemoveXattr { path: path.clone(), name: text("user.x") });
        steps.push(Step::Chmod { path: path.clone(), mode: 0o444 });
        steps.push(Step::Fsync { path });
    }
    steps.push(Step::Hold { holder: 1, path: text("/a/x") });
    steps.push(Step::Rmdir { path: text("/b") });
    steps.push(Step::Fsync { path: text("/b") });
    steps.push(Step::Unify);
    steps
}

/// The run of some operations and a commit, of one file or of everything.
pub fn run(operations: &[&Step], commit: &Step) -> Run {
    let name = format!("{operations:?}, {commit:?}");
    let mut recorder = Recorder::new(&name, &Setup::default());
    recorder.apply_all(before());
    recorder.apply_all(operations.iter().map(|step| (*step).clone()));
    recorder.apply(commit);
    recorder.finish()
}

/// Goes through the images of all runs of two operations, or of every `stride`-th of them.
pub fn explore_pairs(first: usize, stride: usize, failed: &mut dyn FnMut(&Run, &Tally)) -> Tally {
    let operations = operations();
    let count = operations.len();
    let effort = Effort { damaged: 1, use_every: 11, nested_every: 0, ..Effort::small() };
    let commits = [Step::Sync, Step::Fsync { path: "/a/x".into() }];
    let mut total = Tally::default();
    for number in (first..count * count).step_by(stride) {
        let pair = [&operations[number / count], &operations[number % count]];
        let run = run(&pair, &commits[(number / stride) % commits.len()]);
        let tally = explore(&run, &effort);
        if !tally.failures.is_empty() {
            failed(&run, &tally);
        }
        total.add(tally);
    }
    total
}
