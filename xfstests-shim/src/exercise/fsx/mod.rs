//! fsx: random operations on one file, each compared with a copy of the file in memory.
//!
//! - [`operation`]: what can be done, and how it is drawn;
//! - [`model`]: the copy;
//! - [`target`]: the file.
//!
//! After every operation its own bytes and the size are compared, and now and then everything: by
//! read, by a mapping, through O_DIRECT, through a new handle. SEEK_DATA must find every byte that is
//! not zero. Operations that the filesystem does not have are told once and drawn no more.

mod model;
mod operation;
mod target;

use std::path::PathBuf;

use super::Random;
use model::Model;
use operation::{Operation, draw};
use target::{Target, TargetError};

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The file; it is made anew.
    pub file: PathBuf,
    /// How many operations.
    pub operations: u64,
    /// The seed.
    pub seed: u64,
    /// Bytes that the file may have.
    pub length: u64,
    /// Bytes that one operation may touch.
    pub most: u64,
    /// Use mappings.
    pub with_maps: bool,
    /// Use `O_DIRECT`, too.
    pub with_direct: bool,
    /// Do each operation through a handle of its own.
    pub reopens: bool,
    /// Put the expected content here (outside of the mount) after each fsync that succeeds.
    pub expect: Option<PathBuf>,
}

/// Operations between two looks at everything.
const FULL_CHECK_INTERVAL: u64 = 200;
/// Operations that are told when something is wrong.
const TOLD: usize = 40;

/// Runs the plan. What it did, or what is wrong and the operations that led there.
///
/// # Errors
/// The first difference, or the first operation that failed.
pub fn run(plan: &Plan) -> Result<String, String> {
    let failed = |error: TargetError| format!("{}: {error}", plan.file.display());
    let mut target = Target::create(plan).map_err(failed)?;
    let mut model = Model::default();
    let mut random = Random::new(plan.seed);
    let mut history: Vec<String> = Vec::new();
    let mut missing: Vec<&'static str> = Vec::new();
    for number in 1..=plan.operations {
        let operation = draw(&mut random, plan, model.size(), &missing);
        history.push(format!("{number}: {operation:?}"));
        let end = step(plan, &mut target, &mut model, &operation, number);
        match end {
            Ok(()) => {}
            Err(TargetError::Unsupported) => missing.push(operation.name()),
            Err(error) => {
                let told = &history[history.len().saturating_sub(TOLD)..];
                let said = format!("{error}\nseed {}, the last operations:\n", plan.seed);
                return Err(format!("{}: {said}{}", plan.file.display(), told.join("\n")));
            }
        }
    }
    target.compare_all(&model, plan.with_direct).map_err(failed)?;
    let lacks = match missing.is_empty() {
        true => String::new(),
        false => format!(" (not there: {})", missing.join(", ")),
    };
    Ok(format!("{} operations with seed {} ok{lacks}", plan.operations, plan.seed))
}

fn step(
    plan: &Plan,
    target: &mut Target,
    model: &mut Model,
    operation: &Operation,
    number: u64,
) -> Result<(), TargetError> {
    if plan.reopens {
        target.reopen()?;
    }
    target.apply(operation, model)?;
    model.apply(operation);
    target.compare_size(model)?;
    if let (Operation::Sync { .. }, Some(expect)) = (operation, &plan.expect) {
        model.save(expect).map_err(|error| TargetError::system("save", &error))?;
    }
    if number.is_multiple_of(FULL_CHECK_INTERVAL) {
        target.compare_all(model, plan.with_direct)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(file: PathBuf) -> Plan {
        Plan {
            file,
            operations: 3000,
            seed: 1,
            length: 1 << 18,
            most: 1 << 15,
            with_maps: true,
            with_direct: false,
            reopens: false,
            expect: None,
        }
    }

    #[test]
    fn an_ordinary_filesystem_passes() {
        let directory = tempfile::tempdir().unwrap();
        let said = run(&plan(directory.path().join("file"))).unwrap();
        assert!(said.starts_with("3000 operations with seed 1 ok"), "{said}");
    }

    #[test]
    fn a_byte_that_changes_by_itself_is_found() {
        use std::os::unix::fs::FileExt;
        let directory = tempfile::tempdir().unwrap();
        let plan = plan(directory.path().join("file"));
        let mut target = Target::create(&plan).unwrap();
        let mut model = Model::default();
        let write =
            Operation::Write { offset: 10, length: 100, byte: 7, how: operation::How::Plain };
        target.apply(&write, &model).unwrap();
        model.apply(&write);
        target.compare_all(&model, false).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&plan.file).unwrap();
        file.write_all_at(b"!", 50).unwrap();
        let said = target.compare_all(&model, false).unwrap_err().to_string();
        assert!(said.contains("at 50: 21 instead of"), "{said}");
    }
}
