//! Real mounts: the programs as they are, on a directory of their own.
//!
//! [`on_mount`] runs a test on a fresh mount, and checks afterwards that it ends in order and that its volume
//! is clean. Whatever happens, the mount goes and its server ends: by its own process id, also in a
//! panic.
//!
//! Where there is no FUSE device such tests say so and are skipped, unless `BRAIDFS_REQUIRE_FUSE` is 1.

mod programs;
mod server;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::Signal;
use tempfile::TempDir;

pub use programs::braidfs;
use server::Server;

/// Names the writeback policy under which mounts run that do not ask for one.
const POLICY_VARIABLE: &str = "BRAIDFS_TEST_POLICY";
const POLICY_OPTION: &str = "--writeback-policy";

/// A volume with a mount, in a directory of their own.
pub struct Mount {
    directory: TempDir,
    options: Vec<String>,
    server: Option<Server>,
}

/// Runs `test` on a fresh mount, then unmounts and checks.
///
/// # Panics
/// If anything fails.
pub fn on_mount(test: impl FnOnce(&mut Mount)) {
    on_mount_with(&[], test);
}

/// As [`on_mount`], with options for the mount command.
///
/// # Panics
/// If anything fails.
pub fn on_mount_with(options: &[&str], test: impl FnOnce(&mut Mount)) {
    if !has_fuse() {
        return;
    }
    let mut mount = Mount::new(options);
    test(&mut mount);
    mount.finish();
}

/// Whether there is a FUSE device; says so if not.
///
/// # Panics
/// If there is none although `BRAIDFS_REQUIRE_FUSE` is 1.
pub fn has_fuse() -> bool {
    let Err(error) = OpenOptions::new().read(true).write(true).open("/dev/fuse") else {
        return true;
    };
    let required = std::env::var("BRAIDFS_REQUIRE_FUSE").is_ok_and(|value| value == "1");
    assert!(!required, "BRAIDFS_REQUIRE_FUSE is 1, but /dev/fuse can't be opened: {error}");
    eprintln!("skipped: /dev/fuse can't be opened: {error}");
    false
}

impl Mount {
    /// Makes a volume of 256 MiB and mounts it.
    ///
    /// # Panics
    /// If that fails.
    pub fn new(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(directory.path().join("mnt")).expect("a mount point");
        let mut options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let is_named = options.iter().any(|option| option == POLICY_OPTION);
        if let Some(policy) = std::env::var(POLICY_VARIABLE).ok().filter(|_| !is_named) {
            options.extend([POLICY_OPTION.to_owned(), policy]);
        }
        let mut mount = Self { directory, options, server: None };
        mount.start();
        mount
    }

    /// Where it is mounted.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("mnt")
    }

    /// A path on the mount.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root().join(name)
    }

    /// The image file.
    pub fn image(&self) -> PathBuf {
        self.directory.path().join("disk.img")
    }

    /// The directory that image and mount point are in.
    pub fn outside(&self) -> &Path {
        self.directory.path()
    }

    /// Mounts, and waits until that is done.
    ///
    /// # Panics
    /// If it fails or takes too long.
    pub fn start(&mut self) {
        assert!(self.server.is_none(), "it is mounted already");
        let mut command = Command::new(braidfs());
        command.args(["mount", "--create", "256M"]).args(&self.options);
        command.arg(self.image()).arg(self.root());
        self.server = Some(Server::start(command, &self.log()));
    }

    /// Unmounts as umount(8) does; the server must end in order.
    ///
    /// # Panics
    /// If it does not.
    pub fn unmount(&mut self) {
        let server = self.server.take().expect("it is mounted");
        unmount_when_unused(&self.root());
        server.wait_for_success();
    }

    /// Sends a signal that ends the mount in order.
    ///
    /// # Panics
    /// If it does not end in order.
    pub fn stop_by(&mut self, signal: Signal) {
        let server = self.server.take().expect("it is mounted");
        server.send(signal);
        server.wait_for_success();
        assert!(!self.is_mounted(), "the server has ended, but the mount is there");
    }

    /// Kills the server as a crash would, and takes the dead mount away.
    ///
    /// # Panics
    /// If there is no server.
    pub fn kill(&mut self) {
        drop(self.server.take().expect("it is mounted"));
        detach(&self.root());
    }

    /// Does not know its server any more, which has ended by other means.
    ///
    /// # Panics
    /// If there is no server.
    pub fn forget_server(&mut self) {
        drop(self.server.take().expect("it is mounted"));
    }

    /// Whether there is a mount on the mount point.
    ///
    /// # Panics
    /// If /proc can't be read.
    pub fn is_mounted(&self) -> bool {
        let table = std::fs::read_to_string("/proc/self/mounts").expect("a table of mounts");
        let place = self.root().canonicalize().unwrap_or_else(|_| self.root());
        table.lines().any(|line| line.split(' ').nth(1) == place.to_str())
    }

    /// The server's process id.
    ///
    /// # Panics
    /// If there is no server.
    pub fn server_id(&self) -> u32 {
        self.server.as_ref().expect("it is mounted").id()
    }

    /// Runs `braidfs` with arguments, in the directory of the image.
    ///
    /// # Panics
    /// If it can't be run.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(braidfs());
        command.args(arguments).current_dir(self.outside()).output().expect("braidfs runs")
    }

    /// Checks the unmounted volume, data and all.
    ///
    /// # Panics
    /// If it is not clean.
    pub fn check(&self) {
        let output = self.run(&["fsck", "-f", "-n", "--data", "disk.img"]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "fsck: {}\n{text}", output.status);
    }

    /// Makes everything durable. The kernel does not pass syncfs(2) on, hence the attribute.
    ///
    /// # Panics
    /// If that fails.
    pub fn sync(&self) {
        let root = std::fs::File::open(self.root()).expect("the mount answers");
        // Hands over what the kernel has; an earlier error that it reports here is no news.
        let _ = rustix::fs::syncfs(&root);
        rustix::fs::fsetxattr(&root, "system.braidfs.sync", b"", rustix::fs::XattrFlags::empty())
            .expect("what was accepted can be made durable");
    }

    /// Kills the server, checks what it left, and mounts again.
    pub fn crash(&mut self) {
        self.kill();
        self.check();
        self.start();
    }

    /// Unmounts, if it is mounted, and checks.
    pub fn finish(mut self) {
        if self.server.is_some() {
            self.unmount();
        }
        self.check();
    }

    fn log(&self) -> PathBuf {
        self.outside().join("server.log")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            eprintln!("what the server said:\n{log}");
        }
        if self.server.take().is_some() || self.is_mounted() {
            detach(&self.root());
        }
    }
}

/// Unmounts; whoever used the mount a moment ago gets a moment to leave.
fn unmount_when_unused(place: &Path) {
    for _ in 0..100 {
        match unmount(place, UnmountFlags::empty()) {
            Ok(()) => return,
            Err(rustix::io::Errno::BUSY) => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            Err(rustix::io::Errno::PERM) => return fusermount(place, "-u"),
            Err(error) => panic!("can't unmount {}: {error}", place.display()),
        }
    }
    panic!("{} stays in use", place.display());
}

/// Takes a mount away, in use or not, if there is one.
pub fn detach(place: &Path) {
    if unmount(place, UnmountFlags::DETACH) == Err(rustix::io::Errno::PERM) {
        fusermount(place, "-uz");
    }
}

fn fusermount(place: &Path, flags: &str) {
    // For users that may not unmount themselves; a failure shows in what follows.
    let _ = Command::new("fusermount3").arg(flags).arg(place).status();
}
