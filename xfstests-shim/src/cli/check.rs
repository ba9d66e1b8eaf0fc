//! `check`: runs tests and says what came of it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::error::{AtPath, Result, ShimError};
use crate::excludes::Excludes;
use crate::filesystem::{Filesystem, Policy};
use crate::interrupt::Interrupt;
use crate::own::runner::OwnSuite;
use crate::own::{self, OwnTest};
use crate::processes;
use crate::programs::Programs;
use crate::results::{Outcome, ResultsDirectory, Run, TestResult, summary};
use crate::session::Session;
use crate::world::World;

use super::args::CheckArguments;
use super::list::{directory, selection};

/// What the names of work directories begin with.
pub const WORK_PREFIX: &str = "xfstests-shim.";
/// The file that says which process has a work directory.
pub const OWNER: &str = "owner";
const SUITE: &str = "own";

/// Set for the process that has mounts of its own.
const NAMESPACE: &str = "SHIM_NAMESPACE";

/// Runs our own tests. Whether all is well.
pub fn run(arguments: &CheckArguments) -> Result<bool> {
    enter_namespace();
    let started = Instant::now();
    let tests = own::tests(&directory(&arguments.selection))?;
    let chosen = selection(&arguments.selection).choose(&tests)?;
    let excludes = excludes(arguments, &tests)?;
    let results = ResultsDirectory::create(&arguments.results, SUITE)?;
    let interrupt = Interrupt::install()?;
    processes::adopt_orphans();
    let session = Session {
        excludes: &excludes,
        results: &results,
        interrupt: &interrupt,
        is_verbose: arguments.verbose,
    };
    let mut done = Vec::new();
    let mut is_complete = true;
    for (variant, policy, seed) in variants(arguments) {
        let variant = variant.as_deref();
        is_complete &= run_variant(arguments, &session, &chosen, variant, policy, seed, &mut done)?;
        if !is_complete {
            break;
        }
    }
    let run = Run {
        suite: SUITE.to_owned(),
        filesystem: arguments.peer.clone().unwrap_or_else(|| "fuse.braidfs".to_owned()),
        seed: arguments.seed,
        seconds: started.elapsed().as_secs_f64(),
        is_interrupted: !is_complete,
        tests: done,
    };
    results.write(&run)?;
    println!("{}", summary(&run, true));
    println!("results: {}", results.path().display());
    let is_strict = arguments.strict && run.count(Outcome::NotRun) > 0;
    if is_strict {
        println!("--strict: nothing may be notrun");
    }
    Ok(run.is_good() && !is_strict)
}

/// As root, becomes the same program in a mount namespace of its own: others who make namespaces
/// meanwhile get no copies of its mounts, which would keep servers alive; and if it is killed, its mounts
/// go with it. Returns where that is done, or can't be done.
fn enter_namespace() {
    if std::env::var_os(NAMESPACE).is_some() || !rustix::process::geteuid().is_root() {
        return;
    }
    let Ok(own) = std::env::current_exe() else { return };
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]).arg(own);
    // Returns only if it fails, and then everything is done as a user does it.
    let _ = command.args(std::env::args_os().skip(1)).env(NAMESPACE, "1").exec();
}

/// What everything is run under: a name for the results, a policy, a seed.
fn variants(arguments: &CheckArguments) -> Vec<(Option<String>, Option<Policy>, u64)> {
    let policies = match arguments.policy {
        None => vec![None],
        Some(policy) => policy.policies().into_iter().map(Some).collect(),
    };
    let mut variants = Vec::new();
    for policy in policies {
        for round in 0..arguments.repeat.max(1) {
            let mut name = policy.map_or("", Policy::name).to_owned();
            if arguments.repeat > 1 {
                name.push_str(&format!("#{}", round + 1));
            }
            let name = Some(name).filter(|name| !name.is_empty());
            variants.push((name, policy, arguments.seed.wrapping_add(round)));
        }
    }
    variants
}

fn run_variant(
    arguments: &CheckArguments,
    session: &Session<'_>,
    chosen: &[&OwnTest],
    variant: Option<&str>,
    policy: Option<Policy>,
    seed: u64,
    done: &mut Vec<TestResult>,
) -> Result<bool> {
    let work = tempfile::Builder::new().prefix(WORK_PREFIX).tempdir();
    let mut work = work.at("make", Path::new("a work directory"))?;
    let owner = work.path().join(OWNER);
    std::fs::write(&owner, std::process::id().to_string()).at("write", &owner)?;
    let filesystem = filesystem(arguments, work.path(), policy)?;
    let world = World::create(work.path(), filesystem, arguments.with_loops)?;
    let mut suite = OwnSuite {
        world,
        directory: directory(&arguments.selection).canonicalize().at("find", work.path())?,
        seed,
        scale: arguments.scale.max(1),
        limit: arguments.limit.map(Duration::from_secs),
        update: arguments.update,
        keep: arguments.keep,
        interrupt: session.interrupt.clone(),
    };
    let end = session.run(&mut suite, chosen, variant, done);
    suite.world.dismantle();
    if arguments.keep {
        work.disable_cleanup(true);
        println!("kept: {}", work.path().display());
    }
    end
}

fn filesystem(
    arguments: &CheckArguments,
    work: &Path,
    policy: Option<Policy>,
) -> Result<Filesystem> {
    if let Some(kind) = &arguments.peer {
        return Ok(Filesystem::Peer { kind: kind.clone() });
    }
    let programs = Programs::find(arguments.programs.as_deref(), &work.join("bin"))?;
    if std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").is_err() {
        let why = "/dev/fuse can't be opened: load the module fuse, or run this as a user who may";
        return Err(ShimError::Wrong(why.to_owned()));
    }
    Ok(Filesystem::Braidfs { programs, policy })
}

/// The excludes, none of which may name a test that is not there.
fn excludes(arguments: &CheckArguments, tests: &[OwnTest]) -> Result<Excludes> {
    let path: PathBuf = arguments
        .excludes
        .clone()
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("excludes.toml"));
    let excludes = Excludes::read(&path)?;
    let ids: Vec<String> = tests.iter().map(|test| test.id.clone()).collect();
    match excludes.unknown(SUITE, &ids).first() {
        Some(unknown) => {
            let why = format!("{}/{} is no test; take it out", unknown.suite, unknown.test);
            Err(ShimError::Content { path, why })
        }
        None => Ok(excludes),
    }
}
