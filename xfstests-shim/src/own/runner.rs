//! A test on a world, and what is looked at after it.
//!
//! A test passes if it ends with status 0, prints what its golden output says, and leaves behind
//! two volumes that check clean, servers that ended in order, and no error in their logs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::{AtPath, Result};
use crate::interrupt::Interrupt;
use crate::mounts;
use crate::processes::{self, Process};
use crate::results::{TestFiles, Verdict};
use crate::session::Suite;
use crate::world::{VARIABLE, VOLUME_BYTES, Volume, World};

use super::OwnTest;
use super::child::{self, End};

/// Runs our tests on a world.
pub struct OwnSuite {
    /// Where.
    pub world: World,
    /// The directory of the tests.
    pub directory: PathBuf,
    /// The seed of whatever is random.
    pub seed: u64,
    /// How many times as much the tests do that can do more or less.
    pub scale: u64,
    /// Overrides the limit of each test.
    pub limit: Option<Duration>,
    /// Write golden outputs instead of comparing with them.
    pub update: bool,
    /// Keep the images of failed tests with the results.
    pub keep: bool,
    /// Whether somebody wants an end.
    pub interrupt: Interrupt,
}

impl Suite for OwnSuite {
    type Test = OwnTest;

    fn name(&self) -> &'static str {
        "own"
    }

    fn run(&mut self, test: &OwnTest, files: &TestFiles) -> Result<Verdict> {
        self.world.begin_test()?;
        let place = self.prepare(test)?;
        let raw = files.path("out");
        let limit = self.limit.unwrap_or(Duration::from_secs(test.header.limit));
        let server = self.world.filesystem.server_name().map(str::to_owned);
        let spare = |one: &Process| one.leads_session && Some(&one.name) == server.as_ref();
        let end = child::run(self.command(test, &place), &raw, limit, &self.interrupt, spare)?;
        let mut problems = self.end_problems(&end);
        self.filter(&raw)?;
        let notrun = fs::read_to_string(self.world.state("notrun")).ok();
        problems.extend(self.look_after(test, files, matches!(end, End::TimedOut(_)))?);
        if let (Some(reason), true) = (&notrun, problems.is_empty()) {
            return Ok(Verdict::not_run(reason.trim()));
        }
        if self.update && problems.is_empty() {
            let golden = test.path.with_extension("out");
            fs::copy(&raw, &golden).at("write", &golden)?;
        } else if notrun.is_none() && !self.is_golden(test, &raw)? {
            problems.insert(0, "the output differs from what it should be".to_owned());
        }
        if problems.is_empty() {
            return Ok(Verdict::pass());
        }
        self.keep_evidence(test, files, &raw)?;
        Ok(Verdict::fail(problems.join("; ")))
    }
}

impl OwnSuite {
    /// Mounts TEST if need be and makes the test's directory on it.
    fn prepare(&self, test: &OwnTest) -> Result<PathBuf> {
        if !self.world.is_mounted(Volume::Test) {
            // The first one, or the last test has left a volume that can't be trusted.
            self.world.mkfs(Volume::Test, VOLUME_BYTES, &[])?;
            self.world.mount(Volume::Test, "")?;
        }
        let place = self.world.mount_point(Volume::Test).join(&test.id);
        fs::create_dir(&place).at("make", &place)?;
        let _ = fs::remove_file(self.world.state("made-test"));
        Ok(place)
    }

    fn command(&self, test: &OwnTest, place: &Path) -> Command {
        let world = &self.world;
        let mut command = Command::new("bash");
        command.arg(self.directory.join("lib.sh")).arg(&test.path).current_dir(&world.work);
        command.env(VARIABLE, &world.work);
        command.env("SHIM", world.shim());
        command.env("SEED", self.seed.to_string()).env("SCALE", self.scale.to_string());
        command.env("FSTYP", world.filesystem.kind());
        command.env("NEEDS", test.header.needs.join(" "));
        command.env("dir", place).env("tmp", world.work.join("tmp"));
        command.env("TEST_DIR", world.mount_point(Volume::Test));
        command.env("TEST_DEV", world.device(Volume::Test));
        command.env("mnt", world.mount_point(Volume::Scratch));
        command.env("SCRATCH_DEV", world.device(Volume::Scratch));
        command.env("LC_ALL", "C").env("TZ", "UTC0").env("PATH", path_with_helpers(world));
        command
    }

    fn end_problems(&self, end: &End) -> Vec<String> {
        match end {
            End::Status(status) if status.success() => Vec::new(),
            End::Status(status) => vec![format!("it ended with {status}")],
            End::TimedOut(at_work) => {
                vec![format!("it took too long; at work were: {}", at_work.join(", "))]
            }
        }
    }

    /// What is wrong with volumes and servers. Leaves TEST mounted if all is well.
    fn look_after(&self, test: &OwnTest, files: &TestFiles, hangs: bool) -> Result<Vec<String>> {
        let world = &self.world;
        let mut problems = Vec::new();
        let mut notes = String::new();
        for volume in [Volume::Scratch, Volume::Test] {
            let mut told = self.end_mount(volume, test, hangs);
            let is_used =
                volume == Volume::Test || world.state(&format!("made-{}", volume.name())).exists();
            let is_excused = world.state(&format!("unchecked-{}", volume.name())).exists();
            let end = if is_used && !is_excused { world.check(volume) } else { Ok(()) };
            if let Err(error) = end {
                notes.push_str(&format!("{error}\n"));
                told.push(format!("the check of {} found something", volume.name()));
            }
            problems.extend(told);
        }
        let extra = world.work.join("tmp");
        if !mounts::below(&extra).is_empty() {
            mounts::detach_all(&extra);
            problems.push("the test has left mounts of its own".to_owned());
        }
        problems.extend(self.server_problems(files)?);
        if let Ok(mut text) = fs::read_to_string(world.work.join("tmp/full")) {
            text.push_str(&notes);
            notes = text;
        }
        if !notes.is_empty() {
            files.write("full", notes.as_bytes())?;
        }
        if problems.is_empty() {
            world.mount(Volume::Test, "")?;
        }
        Ok(problems)
    }

    /// Unmounts a volume, in order if that is possible.
    fn end_mount(&self, volume: Volume, test: &OwnTest, hangs: bool) -> Vec<String> {
        let (world, place) = (&self.world, self.world.mount_point(volume));
        let mut problems = Vec::new();
        if world.is_mounted(volume) && !hangs {
            if mounts::is_dead(&place) {
                problems.push(format!("the server of {} is gone", volume.name()));
            } else {
                if volume == Volume::Test {
                    let _ = fs::remove_dir_all(place.join(&test.id));
                }
                if let Err(error) = world.unmount(volume) {
                    problems.push(error.to_string());
                }
            }
        } else if volume == Volume::Test && !hangs {
            problems.push("the test has left TEST unmounted".to_owned());
        }
        if world.is_mounted(volume) {
            if let Some(server) = world.server(volume) {
                processes::send(server, rustix::process::Signal::KILL);
                processes::wait_until_gone(server);
            }
            mounts::detach_all(&place);
        }
        problems
    }

    /// Servers that did not end in order, and errors that they logged.
    fn server_problems(&self, files: &TestFiles) -> Result<Vec<String>> {
        let world = &self.world;
        let mut problems = Vec::new();
        let expected = world.expected_ends();
        for ended in processes::reap() {
            let is_server = Some(ended.name.as_str()) == world.filesystem.server_name();
            let is_odd = is_server && !expected.contains(&ended.id);
            if let Some(failure) = ended.failure.filter(|_| is_odd) {
                problems.push(format!("a server ended with {failure}"));
            }
        }
        let excused = fs::read_to_string(world.state("expected-errors")).unwrap_or_default();
        let mut log = String::new();
        for volume in Volume::ALL {
            log.push_str(&fs::read_to_string(world.log(volume)).unwrap_or_default());
        }
        let is_bad = |line: &&str| {
            line.contains(" ERROR ") && !excused.lines().any(|excuse| line.contains(excuse))
        };
        if let Some(line) = log.lines().find(is_bad) {
            problems.push(format!("a server logged: {}", line.trim()));
        }
        if !log.is_empty() {
            files.write("log", log.as_bytes())?;
        }
        Ok(problems)
    }

    /// Gives paths of this run names that are the same in every run.
    fn filter(&self, output: &Path) -> Result<()> {
        let bytes = fs::read(output).at("read", output)?;
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        let world = &self.world;
        let names = [
            (world.shim(), "SHIM"),
            (world.device(Volume::Test), "TEST_DEV"),
            (world.device(Volume::Scratch), "SCRATCH_DEV"),
            (world.mount_point(Volume::Test), "TEST"),
            (world.mount_point(Volume::Scratch), "SCRATCH"),
            (world.work.join("tmp"), "TMP"),
            (world.work.clone(), "WORK"),
        ];
        for (path, name) in names {
            text = text.replace(&path.display().to_string(), name);
        }
        fs::write(output, text).at("write", output)
    }

    fn is_golden(&self, test: &OwnTest, raw: &Path) -> Result<bool> {
        let golden = test.path.with_extension("out");
        // A new test has none until it is written with --update.
        let Ok(wanted) = fs::read(&golden) else { return Ok(false) };
        Ok(fs::read(raw).at("read", raw)? == wanted)
    }

    /// Leaves `out.bad` with the difference, and the images if they are to be kept.
    fn keep_evidence(&self, test: &OwnTest, files: &TestFiles, raw: &Path) -> Result<()> {
        let bad = files.path("out.bad");
        fs::rename(raw, &bad).at("rename", raw)?;
        let golden = test.path.with_extension("out");
        let difference = Command::new("diff").arg("-u").arg(&golden).arg(&bad).output();
        if let Ok(difference) = difference {
            let mut full = fs::read(files.path("full")).unwrap_or_default();
            full.extend_from_slice(&difference.stdout);
            files.write("full", &full)?;
        }
        if self.keep {
            for volume in Volume::ALL {
                let (from, to) = (self.world.image(volume), format!("{}.img", volume.name()));
                let mut copy = Command::new("cp");
                copy.arg("--sparse=always").arg(from).arg(files.path(&to));
                crate::filesystem::run(copy)?;
            }
        }
        Ok(())
    }
}

/// PATH with the directory of the helpers first.
fn path_with_helpers(world: &World) -> std::ffi::OsString {
    let own = world.work.join("bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(own).chain(std::env::split_paths(&path));
    std::env::join_paths(all).unwrap_or(path)
}
