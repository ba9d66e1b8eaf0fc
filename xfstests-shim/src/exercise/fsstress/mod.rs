//! fsstress: random operations on names, by several processes in one tree.
//!
//! All processes work on the same few hundred names, so that they get in each other's way; errors
//! that come of that (ENOENT, EEXIST, ...) are part of it, and all others are failures. Besides,
//! each keeps files of its own, which it writes once: their content is known by a seed, and is
//! compared in the end. After an fsync such a file is noted in the journal, which lies elsewhere;
//! what is noted there must be whole after any crash.
//!
//! - [`action`]: what can be done in the tree;
//! - [`keepsake`]: the files that are compared.

mod action;
mod keepsake;

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::io::Errno;

use super::Random;
use crate::io::errno_name;
use keepsake::{Keepsake, Keepsakes};

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where; it is made if it is not there.
    pub directory: PathBuf,
    /// How many operations each process does.
    pub operations: u64,
    /// How many processes.
    pub processes: u64,
    /// The seed.
    pub seed: u64,
    /// Where files that were fsynced are noted, outside of the mount.
    pub journal: Option<PathBuf>,
    /// Do nothing but compare what is noted in the journal.
    pub only_verifies: bool,
    /// When the server is gone, end as if all were done.
    pub until_killed: bool,
}

/// One in so many operations writes a file that is compared in the end.
const KEEPSAKE_INTERVAL: u64 = 20;

/// Runs the plan. What it did, or what is wrong.
///
/// # Errors
/// The first unexpected error of an operation, or the first file with a wrong content.
pub fn run(plan: &Plan) -> Result<String, String> {
    if plan.only_verifies {
        let journal = plan.journal.as_deref().unwrap_or(&plan.directory);
        let count = keepsake::verify_journal(journal)?;
        return Ok(format!("{count} files are as they were when they were fsynced"));
    }
    match plan.processes {
        0 | 1 => work(plan),
        _ => divide(plan),
    }
    .map(|()| format!("{} processes did {} operations each", plan.processes, plan.operations))
}

/// Has processes do it, each with a seed of its own.
fn divide(plan: &Plan) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let start = |number: u64| {
        let mut command = Command::new(&own);
        command.arg("fsstress").arg(&plan.directory).args(["--processes", "1"]);
        command.args(["--operations", &plan.operations.to_string()]);
        command.args(["--seed", &(plan.seed.wrapping_mul(1000) + number).to_string()]);
        if let Some(journal) = &plan.journal {
            command.arg("--journal").arg(format!("{}.{number}", journal.display()));
        }
        if plan.until_killed {
            command.arg("--until-killed");
        }
        command.stdout(std::process::Stdio::null());
        command.spawn().map_err(|error| error.to_string())
    };
    let children: Vec<Result<Child, String>> = (0..plan.processes).map(start).collect();
    let mut failures = 0;
    for child in children {
        let is_good = child?.wait().is_ok_and(|status| status.success());
        failures += u64::from(!is_good);
    }
    if failures == 0 { Ok(()) } else { Err(format!("{failures} processes failed")) }
}

/// Does it in this process.
fn work(plan: &Plan) -> Result<(), String> {
    let shared = plan.directory.join("shared");
    let own = plan.directory.join(format!("own-{}", plan.seed));
    for directory in [&shared, &own] {
        match make_directory(directory) {
            Err(errno) if plan.until_killed && is_killed(errno) => return Ok(()),
            end => end.map_err(|errno| failure(plan, 0, "mkdir", errno))?,
        }
    }
    let mut random = Random::new(plan.seed);
    let mut keepsakes = Keepsakes::new(&own, plan.journal.as_deref())?;
    for number in 1..=plan.operations {
        let (name, end) = if number.is_multiple_of(KEEPSAKE_INTERVAL) {
            let keepsake = Keepsake::draw(&mut random, &own, number);
            ("keepsake", keepsakes.make(&mut random, keepsake))
        } else {
            action::act(&mut random, &shared)
        };
        match end {
            Err(errno) if plan.until_killed && (is_killed(errno) || !own.exists()) => return Ok(()),
            Err(errno) if name == "keepsake" || !action::is_expected(errno) => {
                return Err(failure(plan, number, name, errno));
            }
            _ => {}
        }
    }
    keepsakes.verify().map_err(|why| format!("seed {}: {why}", plan.seed))
}

fn make_directory(path: &Path) -> Result<(), Errno> {
    std::fs::create_dir_all(path).map_err(|error| action::errno(&error))
}

/// Whether an error says that the server is gone. (If its mount is gone as well, the tree is not there.)
fn is_killed(errno: Errno) -> bool {
    matches!(errno, Errno::NOTCONN | Errno::CONNABORTED | Errno::IO)
}

fn failure(plan: &Plan, number: u64, name: &str, errno: Errno) -> String {
    format!("seed {}, operation {number}, {name}: {}", plan.seed, errno_name(errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(directory: &Path) -> Plan {
        Plan {
            directory: directory.join("tree"),
            operations: 400,
            processes: 1,
            seed: 1,
            journal: Some(directory.join("journal")),
            only_verifies: false,
            until_killed: false,
        }
    }

    #[test]
    fn an_ordinary_filesystem_passes() {
        let directory = tempfile::tempdir().unwrap();
        let mut plan = plan(directory.path());
        run(&plan).unwrap();
        plan.only_verifies = true;
        let said = run(&plan).unwrap();
        assert!(said.contains("files are as they were") && !said.starts_with('0'), "{said}");
    }

    #[test]
    fn a_file_that_was_lost_or_changed_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let mut plan = plan(directory.path());
        run(&plan).unwrap();
        plan.only_verifies = true;
        let journal = std::fs::read_to_string(plan.journal.as_ref().unwrap()).unwrap();
        let path = Path::new(journal.lines().next().unwrap().split(' ').next_back().unwrap());
        let content = std::fs::read(path).unwrap();
        std::fs::write(path, &content[..content.len() - 1]).unwrap();
        assert!(run(&plan).unwrap_err().contains("is not what was written"));
        std::fs::remove_file(path).unwrap();
        assert!(run(&plan).unwrap_err().contains("No such file"));
    }
}
