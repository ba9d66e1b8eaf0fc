//! Suites that others wrote and that registries have, each run on a volume of its own, which the
//! checker looks at afterwards.
//!
//! Each is a script that runs on a mounted volume, with `$MNT` (a directory of the volume), `$WORK`
//! (one beside it), `$COUNT` and `$SEED`, and `$BIN`, where programs from crates.io are kept.

mod table;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::{AtPath, Result, ShimError};
use crate::interrupt::Interrupt;
use crate::own::child::{self, End};
use crate::results::{TestFiles, Verdict};
use crate::select::Candidate;
use crate::session::Suite;
use crate::world::{Volume, World};

pub use table::ALL;

/// A suite of others.
#[derive(Debug)]
pub struct Foreign {
    /// Its name.
    pub name: &'static str,
    /// What it is for, and what the count counts.
    pub purpose: &'static str,
    /// The program that must be installed, and where it comes from.
    pub program: &'static str,
    /// Its crate with the version, if it comes from crates.io.
    pub package: Option<&'static str>,
    /// Only root can run it.
    pub needs_root: bool,
    /// How much is done if nobody says.
    pub count: u64,
    /// Seconds that it may take, for each of the count and besides.
    pub limit: (u64, u64),
    script: &'static str,
}

impl Candidate for Foreign {
    fn id(&self) -> &str {
        self.name
    }

    fn groups(&self) -> &[String] {
        &[]
    }
}

/// Runs them.
pub struct ForeignSuites {
    /// The volumes.
    pub world: World,
    /// Where programs from crates.io are kept.
    pub cache: PathBuf,
    /// How much is done, instead of what each says itself.
    pub count: Option<u64>,
    /// The seed of whatever is random.
    pub seed: u64,
    /// Whether somebody wants an end.
    pub interrupt: Interrupt,
}

/// Bytes of the volume.
const VOLUME_BYTES: u64 = 4 << 30;

impl Suite for ForeignSuites {
    type Test = Foreign;

    fn name(&self) -> &'static str {
        "foreign"
    }

    fn run(&mut self, test: &Foreign, files: &TestFiles) -> Result<Verdict> {
        if test.needs_root && !rustix::process::geteuid().is_root() {
            return Ok(Verdict::not_run("needs root"));
        }
        if let Some(missing) = self.provide(test)? {
            return Ok(Verdict::not_run(missing));
        }
        self.world.begin_test()?;
        self.world.mkfs(Volume::Scratch, VOLUME_BYTES, &[])?;
        self.world.mount(Volume::Scratch, "")?;
        let end = self.run_script(test, files);
        let unmounted = self.world.unmount(Volume::Scratch);
        let verdict = match end? {
            End::Status(status) if status.success() => Verdict::pass(),
            End::Status(status) => Verdict::fail(format!("it ended with {status}")),
            End::TimedOut(_) => Verdict::fail("it took too long"),
        };
        match unmounted.and_then(|()| self.world.check(Volume::Scratch)) {
            Err(error) => Ok(Verdict::fail(error.to_string())),
            Ok(()) => Ok(verdict),
        }
    }
}

impl ForeignSuites {
    /// Sees to it that the program is there; says what is missing otherwise.
    fn provide(&self, test: &Foreign) -> Result<Option<String>> {
        let is_there = |place: &Path| place.join(test.program).is_file();
        let Some(package) = test.package else {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let is_installed = std::env::split_paths(&path).any(|place| is_there(&place));
            return Ok((!is_installed).then(|| format!("{} is not installed", test.program)));
        };
        if is_there(&self.cache.join("bin")) {
            return Ok(None);
        }
        let mut cargo = Command::new("cargo");
        cargo.args(["install", "--quiet", "--root"]).arg(&self.cache).arg(package);
        let program = format!("{cargo:?}");
        let status = cargo.status().map_err(|source| ShimError::Run { program, source })?;
        Ok((!status.success()).then(|| format!("{package} could not be installed")))
    }

    fn run_script(&self, test: &Foreign, files: &TestFiles) -> Result<End> {
        let mount = self.world.mount_point(Volume::Scratch);
        let work = self.world.state("work");
        std::fs::create_dir_all(&work).at("make", &work)?;
        let count = self.count.unwrap_or(test.count);
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", test.script]).current_dir(&work);
        bash.env("MNT", &mount).env("WORK", &work).env("BIN", self.cache.join("bin"));
        bash.env("COUNT", count.to_string()).env("SEED", self.seed.to_string());
        let (each, besides) = test.limit;
        let limit = Duration::from_secs(besides.saturating_add(count.saturating_mul(each)));
        let server = self.world.server(Volume::Scratch);
        let spare = |process: &crate::processes::Process| Some(process.id) == server;
        child::run(bash, &files.path("out"), limit, &self.interrupt, spare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_there_once_and_scripts_are_bash() {
        for (at, one) in ALL.iter().enumerate() {
            assert!(ALL[..at].iter().all(|other| other.name != one.name), "{}", one.name);
            let checked = Command::new("bash").args(["-n", "-c", one.script]).status().unwrap();
            assert!(checked.success(), "{}", one.name);
        }
    }
}
