//! The work directory: the TEST and the SCRATCH volume, what is run on them, and what is known
//! about them.
//!
//! ```text
//! work/  world.json             this, for the shim's own calls from within tests
//!        bin/                   the shim, and the helpers of the filesystem
//!        test.img scratch.img   the volumes, where they are files
//!        test/ scratch/         where they are mounted
//!        test.log scratch.log   what their servers logged during the present test
//!        tmp/                   for the present test, outside of both
//!        state/                 what the present test has told: notrun, expected crashes
//! ```
//!
//! It has mode 0755, so that tests can become other users in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::error::{AtPath, Result, ShimError};
use crate::filesystem::{Filesystem, run};
use crate::{mounts, processes};

/// The environment variable by which a test's calls find the world.
pub const VARIABLE: &str = "SHIM_WORLD";
/// Bytes of each volume, if nothing else is asked for.
pub const VOLUME_BYTES: u64 = 2 << 30;
const DESCRIPTION: &str = "world.json";

/// One of the two volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Volume {
    /// Lives through all tests, and ages; each test has a directory of its own on it.
    Test,
    /// Made by each test that needs it.
    Scratch,
}

impl Volume {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Test, Self::Scratch];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Scratch => "scratch",
        }
    }
}

/// See the module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct World {
    /// The work directory.
    pub work: PathBuf,
    /// What is tested.
    pub filesystem: Filesystem,
    /// Loop devices, where the volumes are to be block devices.
    pub loops: Vec<(Volume, PathBuf)>,
}

impl World {
    /// Lays out a new world in an existing, empty directory.
    ///
    /// # Errors
    /// When that fails; nothing is mounted then.
    pub fn create(work: &Path, filesystem: Filesystem, with_loops: bool) -> Result<Self> {
        fs::set_permissions(work, fs::Permissions::from_mode(0o755)).at("change", work)?;
        for name in ["tmp", "state", "test", "scratch", "bin"] {
            let path = work.join(name);
            fs::create_dir_all(&path).at("make", &path)?;
        }
        let mut world = Self { work: work.to_owned(), filesystem, loops: Vec::new() };
        let own = std::env::current_exe().at("find", Path::new("this program"))?;
        fs::copy(&own, world.shim()).at("copy", &own)?;
        for volume in Volume::ALL {
            world.resize(volume, VOLUME_BYTES)?;
            if with_loops {
                let mut command = Command::new("losetup");
                command.args(["--find", "--show"]).arg(world.image(volume));
                world.loops.push((volume, PathBuf::from(run(command)?)));
            }
        }
        world.save()?;
        Ok(world)
    }

    /// The world that a test runs in.
    ///
    /// # Errors
    /// When there is none, or its description can't be read.
    pub fn of_this_test() -> Result<Self> {
        let work = std::env::var_os(VARIABLE).map(PathBuf::from).ok_or_else(|| {
            ShimError::Wrong(format!("{VARIABLE} is not set; this command is for tests"))
        })?;
        let path = work.join(DESCRIPTION);
        let text = fs::read(&path).at("read", &path)?;
        serde_json::from_slice(&text)
            .map_err(|error| ShimError::Content { path, why: error.to_string() })
    }

    /// Writes the description that [`Self::of_this_test`] reads.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn save(&self) -> Result<()> {
        let path = self.work.join(DESCRIPTION);
        let text = serde_json::to_vec(self)
            .map_err(|error| ShimError::Content { path: path.clone(), why: error.to_string() })?;
        fs::write(&path, text).at("write", &path)
    }

    /// The shim, where every user may run it.
    #[must_use]
    pub fn shim(&self) -> PathBuf {
        self.work.join("bin/xfstests-shim")
    }

    /// The image file of a volume.
    #[must_use]
    pub fn image(&self, volume: Volume) -> PathBuf {
        self.work.join(format!("{}.img", volume.name()))
    }

    /// What is mounted: the image file, or its loop device.
    #[must_use]
    pub fn device(&self, volume: Volume) -> PathBuf {
        let found = self.loops.iter().find(|(which, _)| *which == volume);
        found.map_or_else(|| self.image(volume), |(_, device)| device.clone())
    }

    /// Where a volume is mounted.
    #[must_use]
    pub fn mount_point(&self, volume: Volume) -> PathBuf {
        self.work.join(volume.name())
    }

    /// What its servers log.
    #[must_use]
    pub fn log(&self, volume: Volume) -> PathBuf {
        self.work.join(format!("{}.log", volume.name()))
    }

    /// A file that the present test tells something by.
    #[must_use]
    pub fn state(&self, name: &str) -> PathBuf {
        self.work.join("state").join(name)
    }

    /// Makes a new volume, of `bytes` if it is a file.
    ///
    /// # Errors
    /// When mkfs fails.
    pub fn mkfs(&self, volume: Volume, bytes: u64, extra: &[String]) -> Result<()> {
        self.resize(volume, bytes)?;
        if let Some((_, device)) = self.loops.iter().find(|(which, _)| *which == volume) {
            let mut command = Command::new("losetup");
            command.arg("--set-capacity").arg(device);
            run(command)?;
        }
        let made = self.state(&format!("made-{}", volume.name()));
        fs::write(&made, "").at("write", &made)?;
        run(self.filesystem.mkfs(&self.device(volume), extra)).map(drop)
    }

    /// Mounts a volume.
    ///
    /// # Errors
    /// When its helper fails.
    pub fn mount(&self, volume: Volume, options: &str) -> Result<()> {
        let (device, place) = (self.device(volume), self.mount_point(volume));
        run(self.filesystem.mount(&device, &place, options, &self.log(volume))).map(drop)
    }

    /// Unmounts a volume and waits until it is on its device.
    ///
    /// # Errors
    /// When its helper fails.
    pub fn unmount(&self, volume: Volume) -> Result<()> {
        run(self.filesystem.unmount(&self.mount_point(volume))).map(drop)
    }

    /// Checks a volume that is not mounted.
    ///
    /// # Errors
    /// When the checker finds something, or fails.
    pub fn check(&self, volume: Volume) -> Result<()> {
        run(self.filesystem.check(&self.device(volume))).map(drop)
    }

    /// Whether a volume is mounted.
    #[must_use]
    pub fn is_mounted(&self, volume: Volume) -> bool {
        mounts::is_mount_point(&self.mount_point(volume))
    }

    /// The process that serves a volume.
    #[must_use]
    pub fn server(&self, volume: Volume) -> Option<i32> {
        let name = self.filesystem.server_name()?;
        let device = self.device(volume);
        let device = device.to_str()?;
        let entries = fs::read_dir("/proc").ok()?;
        let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        ids.filter(|id: &i32| {
            let read = |what| fs::read_to_string(format!("/proc/{id}/{what}")).unwrap_or_default();
            read("comm").trim_end() == name && read("cmdline").split('\0').any(|one| one == device)
        })
        .find(|id| processes::is_session_leader(*id))
    }

    /// Ends the server of a volume as a crash would, and takes the dead mount away.
    ///
    /// # Errors
    /// When there is no server, or it does not go.
    pub fn kill(&self, volume: Volume) -> Result<()> {
        let server = self.server(volume).ok_or_else(|| {
            ShimError::Wrong(format!("there is no server of {} to kill", volume.name()))
        })?;
        self.expect_end_of(server)?;
        processes::send(server, Signal::KILL);
        processes::wait_until_gone(server);
        let left = mounts::detach_all(&self.mount_point(volume));
        if left.is_empty() {
            return Ok(());
        }
        Err(ShimError::Wrong(format!("{} cannot be unmounted", left[0].display())))
    }

    /// Notes that this server will not end in order, and is not to.
    ///
    /// # Errors
    /// When it can't be noted.
    pub fn expect_end_of(&self, server: i32) -> Result<()> {
        let path = self.state("killed");
        let mut noted = fs::read_to_string(&path).unwrap_or_default();
        noted.push_str(&format!("{server}\n"));
        fs::write(&path, noted).at("write", &path)
    }

    /// The servers that the present test has killed.
    #[must_use]
    pub fn expected_ends(&self) -> Vec<i32> {
        let noted = fs::read_to_string(self.state("killed")).unwrap_or_default();
        noted.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Forgets what the last test told, and makes a new temporary directory.
    ///
    /// # Errors
    /// When that fails.
    pub fn begin_test(&self) -> Result<()> {
        for name in ["tmp", "state"] {
            let path = self.work.join(name);
            if path.exists() {
                fs::remove_dir_all(&path).at("remove", &path)?;
            }
            fs::create_dir(&path).at("make", &path)?;
            // Tests become other users.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o1777)).at("change", &path)?;
        }
        for volume in Volume::ALL {
            let log = self.log(volume);
            // The server of TEST has it open, and goes on appending.
            fs::OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(true)
                .open(&log)
                .at("write", &log)?;
        }
        Ok(())
    }

    fn resize(&self, volume: Volume, bytes: u64) -> Result<()> {
        let path = self.image(volume);
        let options = fs::OpenOptions::new().create(true).write(true).truncate(false).open(&path);
        let file = options.at("make", &path)?;
        file.set_len(0).and_then(|()| file.set_len(bytes)).at("resize", &path)
    }

    /// Takes everything away but the files: mounts, processes, loop devices.
    pub fn dismantle(&self) {
        let patience = std::time::Duration::from_secs(5);
        let name = self.filesystem.server_name().map(str::to_owned);
        let is_server =
            |one: &processes::Process| one.leads_session && Some(&one.name) == name.as_ref();
        processes::kill_descendants(is_server, patience);
        for volume in Volume::ALL {
            if self.is_mounted(volume) {
                let _ = self.unmount(volume);
            }
        }
        processes::kill_descendants(|_| false, patience);
        mounts::detach_all(&self.work);
        for (_, device) in &self.loops {
            let _ = Command::new("losetup").arg("--detach").arg(device).status();
        }
        let _ = processes::reap();
    }
}
