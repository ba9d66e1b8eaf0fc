//! `suite`: suites of others.

use std::path::Path;
use std::time::Instant;

use crate::error::{AtPath, Result, ShimError};
use crate::excludes::Excludes;
use crate::filesystem::{Filesystem, Policy};
use crate::interrupt::Interrupt;
use crate::processes;
use crate::programs::Programs;
use crate::results::{ResultsDirectory, Run, summary};
use crate::session::Session;
use crate::suites::{ALL, Foreign, ForeignSuites};
use crate::world::World;

use super::args::SuiteArguments;
use super::check::{OWNER, WORK_PREFIX};

const SUITE: &str = "foreign";

/// Runs them. Whether all is well.
pub fn run(arguments: &SuiteArguments) -> Result<bool> {
    if arguments.names == ["list"] {
        for one in ALL {
            println!("{:<10} {} (default {})", one.name, one.purpose, one.count);
        }
        return Ok(true);
    }
    let started = Instant::now();
    let chosen = choose(&arguments.names)?;
    let excludes = Excludes::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("excludes.toml"))?;
    let results = ResultsDirectory::create(&arguments.results, SUITE)?;
    let interrupt = Interrupt::install()?;
    processes::adopt_orphans();
    let session =
        Session { excludes: &excludes, results: &results, interrupt: &interrupt, is_verbose: true };
    let policies = match arguments.policy {
        None => vec![None],
        Some(policy) => policy.policies().into_iter().map(Some).collect(),
    };
    let mut done = Vec::new();
    let mut is_complete = true;
    for policy in policies {
        let work = tempfile::Builder::new().prefix(WORK_PREFIX).tempdir();
        let work = work.at("make", Path::new("a work directory"))?;
        let owner = work.path().join(OWNER);
        std::fs::write(&owner, std::process::id().to_string()).at("write", &owner)?;
        let filesystem = filesystem(arguments, work.path(), policy)?;
        std::fs::create_dir_all(&arguments.cache).at("make", &arguments.cache)?;
        let mut suites = ForeignSuites {
            world: World::create(work.path(), filesystem, false)?,
            cache: arguments.cache.canonicalize().at("find", &arguments.cache)?,
            count: arguments.count,
            seed: arguments.seed,
            interrupt: interrupt.clone(),
        };
        let end = session.run(&mut suites, &chosen, policy.map(Policy::name), &mut done);
        suites.world.dismantle();
        is_complete &= end?;
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
    Ok(run.is_good())
}

fn choose(names: &[String]) -> Result<Vec<&'static Foreign>> {
    if names.is_empty() {
        return Ok(ALL.iter().collect());
    }
    let find = |name: &String| {
        ALL.iter().find(|one| one.name == name).ok_or_else(|| {
            ShimError::Wrong(format!("there is no suite {name}; `suite list` shows them"))
        })
    };
    names.iter().map(find).collect()
}

fn filesystem(
    arguments: &SuiteArguments,
    work: &Path,
    policy: Option<Policy>,
) -> Result<Filesystem> {
    match &arguments.peer {
        Some(kind) => Ok(Filesystem::Peer { kind: kind.clone() }),
        None => {
            let programs = Programs::find(arguments.programs.as_deref(), &work.join("bin"))?;
            Ok(Filesystem::Braidfs { programs, policy })
        }
    }
}
