//! The filesystems that take part: made, mounted, and taken away again.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use braidfs_pagecache::WritebackPolicy;

use super::Interrupt;
use crate::cli::args::{Disk, Driver, WritebackLabArguments};
use crate::cli::channel::Channel;
use crate::cli::error::{CliError, CliResult};
use crate::cli::output::say;
use crate::cli::{control, daemon, place};
use crate::fuse::{SYNC_ATTRIBUTE, UnmountMode, unmount};
use crate::settings::SettingsChange;

/// The size of every volume; xfs has no smaller ones than 300 MiB.
const VOLUME_BYTES: u64 = 384 << 20;
/// Memory for cached pages; the others use the kernel's.
const CACHE_SIZE: &str = "256M";
const PEERS: [(&str, &[&str]); 3] = [
    ("ext4", &["mkfs.ext4", "-q", "-F"]),
    ("xfs", &["mkfs.xfs", "-q", "-f"]),
    ("btrfs", &["mkfs.btrfs", "-q", "-f"]),
];
/// How long a server may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A contestant on its mount.
pub struct Contestant<'a> {
    policy: Option<WritebackPolicy>,
    name: &'static str,
    mount_point: &'a Path,
    server: Option<&'a Server>,
}

impl Contestant<'_> {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it is mounted.
    pub fn mount_point(&self) -> &Path {
        self.mount_point
    }

    /// The way to its server and the server's process, if it has one.
    pub fn server(&self) -> Option<(&Channel, u32)> {
        self.server.map(|server| (&server.channel, server.child.id()))
    }

    /// Makes ready for a turn.
    pub fn prepare(&self, driver: Driver) -> CliResult {
        let (Some(server), Some(policy)) = (self.server, self.policy) else { return Ok(()) };
        let change = SettingsChange {
            writeback_policy: Some(policy),
            commit_interval_ms: Some(if driver == Driver::Interval { 5 } else { 5000 }),
            dirty_limit_bytes: Some(if driver == Driver::Pressure { 8 << 20 } else { 128 << 20 }),
            ..SettingsChange::default()
        };
        control::make(&server.channel, &change)?;
        // What the contestant before left is not for this one to write back.
        server
            .channel
            .set(SYNC_ATTRIBUTE, b"now")
            .map_err(|errno| CliError::new(server.channel.refused(errno)))
    }
}

/// All that take part on a disk.
pub struct Ground {
    disk: Disk,
    // In this order they go: mounts first, then what they lie in.
    peers: Vec<Peer>,
    server: Server,
    _directory: Directory,
}

impl Ground {
    /// Makes and mounts everything.
    pub fn prepare(
        arguments: &WritebackLabArguments,
        disk: Disk,
        interrupt: &Interrupt,
    ) -> CliResult<Self> {
        let directory = Directory::new(arguments.directory.as_deref())?;
        let latency = (disk == Disk::Slow).then_some(arguments.latency);
        let server = Server::start(&directory.0, latency)?;
        let mut peers = Vec::new();
        if disk == Disk::Real && !arguments.no_peers {
            if rustix::process::geteuid().is_root() {
                for (name, mkfs) in PEERS {
                    interrupt.check()?;
                    match Peer::new(name, mkfs, &directory.0) {
                        Ok(peer) => peers.push(peer),
                        Err(error) => say(&format!("{name} is left out: {error}")),
                    }
                }
            } else {
                say("ext4, xfs and btrfs are left out: only root can mount them");
            }
        }
        Ok(Self { disk, peers, server, _directory: directory })
    }

    /// The disk.
    pub fn disk(&self) -> Disk {
        self.disk
    }

    /// Who takes part.
    pub fn contestants(&self) -> Vec<Contestant<'_>> {
        let policies = WritebackPolicy::ALL.into_iter().map(|policy| Contestant {
            policy: Some(policy),
            name: policy.name(),
            mount_point: &self.server.mount_point,
            server: Some(&self.server),
        });
        let peers = self.peers.iter().map(|peer| Contestant {
            policy: None,
            name: peer.name,
            mount_point: &peer.mount_point,
            server: None,
        });
        policies.chain(peers).collect()
    }
}

/// A directory that goes with all that is in it.
struct Directory(PathBuf);

impl Directory {
    fn new(parent: Option<&Path>) -> CliResult<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let failed = |error: std::io::Error| {
            CliError::new(format!("cannot work in {}: {error}", parent.display()))
        };
        let path = parent.join(format!("braidfs-lab-{}", std::process::id()));
        fs::create_dir_all(&parent).and_then(|()| fs::create_dir(&path)).map_err(failed)?;
        // As the table of mounts will name it.
        let mut directory = Self(path);
        directory.0 = directory.0.canonicalize().map_err(failed)?;
        Ok(directory)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("braidfs: {} could not be removed: {error}", self.0.display());
        }
    }
}

/// A file whose blocks are all there, so that no space is looked for while it is measured.
fn image(path: &Path) -> CliResult {
    let failed =
        |error: std::io::Error| CliError::new(format!("cannot make {}: {error}", path.display()));
    let mut file = File::create(path).map_err(failed)?;
    let zeros = vec![0; 4 << 20];
    for _ in 0..VOLUME_BYTES / zeros.len() as u64 {
        file.write_all(&zeros).map_err(failed)?;
    }
    file.sync_all().map_err(failed)
}

/// A process that serves a mount of ours.
struct Server {
    child: Child,
    mount_point: PathBuf,
    channel: Channel,
}

impl Server {
    fn start(directory: &Path, latency: Option<Duration>) -> CliResult<Self> {
        let (path, mount_point) = (directory.join("braidfs.img"), directory.join("braidfs"));
        let failed = |error: std::io::Error| CliError::new(format!("cannot mount: {error}"));
        fs::create_dir(&mount_point).map_err(failed)?;
        image(&path)?;
        let mut command = Command::new(daemon::own_program());
        command.arg("mkfs").arg("--quiet").arg("--force").arg(&path);
        run(&mut command)?;
        let mut command = Command::new(daemon::own_program());
        command.args(["mount", "--cache-size", CACHE_SIZE]).arg(&path).arg(&mount_point);
        if let Some(latency) = latency {
            command.arg("--device-latency").arg(format!("{}ms", latency.as_millis()));
        }
        // Ctrl-C is for the lab, which unmounts in its own order.
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let is_mounted = child.stdout.take().is_some_and(|output| {
            BufReader::new(output).lines().map_while(Result::ok).any(|l| l.contains("is mounted"))
        });
        match Channel::open(&mount_point) {
            Ok(channel) if is_mounted => Ok(Self { child, mount_point, channel }),
            opened => {
                end(&mut child, &mount_point);
                Err(opened.err().unwrap_or_else(|| CliError::new("the server did not mount")))
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child, &self.mount_point);
    }
}

/// Unmounts, and waits until the server has ended.
fn end(child: &mut Child, mount_point: &Path) {
    if place::find(mount_point).is_ok_and(|entry| entry.is_some()) {
        let _ = unmount(mount_point, UnmountMode::Detach);
    }
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Another filesystem, on a loop device.
struct Peer {
    name: &'static str,
    mount_point: PathBuf,
}

impl Peer {
    fn new(name: &'static str, mkfs: &[&str], directory: &Path) -> CliResult<Self> {
        let (path, mount_point) = (directory.join(format!("{name}.img")), directory.join(name));
        fs::create_dir(&mount_point)
            .map_err(|error| CliError::new(format!("cannot make a mount point: {error}")))?;
        image(&path)?;
        run(Command::new(mkfs[0]).args(&mkfs[1..]).arg(&path))?;
        // mount(8) sets the loop device up, and it goes with the mount.
        run(Command::new("mount").args(["-o", "loop", "-t", name]).arg(&path).arg(&mount_point))?;
        Ok(Self { name, mount_point })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("umount").arg(&self.mount_point)) {
            eprintln!("{error}");
            let _ = run(Command::new("umount").arg("--lazy").arg(&self.mount_point));
        }
    }
}

/// Runs a program that says why if it fails.
fn run(command: &mut Command) -> CliResult {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| CliError::new(format!("{name} cannot be run: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(CliError::new(format!("{name} failed: {}", text.lines().next().unwrap_or_default())))
}
