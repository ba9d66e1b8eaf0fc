//! What `mount` can be told, by people and by mount(8).

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};

use super::SettingsArguments;
use crate::cli::mount_options::described;
use crate::size::{parse_duration, parse_size};

const EXAMPLES: &str = "Examples:\n  \
    braidfs mount disk.img mnt --create 2G\n  \
    braidfs mount --daemon /dev/sdb1 /mnt -o allow_other,noatime\n\n\
    In /etc/fstab:\n  \
    /images/disk.img  /mnt  fuse.braidfs  defaults,nofail  0  0";

/// The examples, and the mount options that mean something here.
fn long_examples() -> String {
    let mut text = format!("{EXAMPLES}\n\nMount options:");
    for (name, help) in described() {
        // Writing to a String does not fail.
        let _ = write!(text, "\n  {name:<24}{help}");
    }
    text
}

/// Mount a volume
///
/// Stays in the foreground until Ctrl-C, SIGTERM or an unmount, each of which ends it with
/// everything on disk; with --daemon it returns as soon as the volume can be used.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = long_examples())]
pub struct MountArguments {
    /// The image file or the block device
    pub image: PathBuf,
    /// The directory to mount it on
    #[arg(value_name = "DIR")]
    pub mount_point: PathBuf,
    /// If the image does not exist, make it, with this size
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub create: Option<u64>,
    /// Mount options as in /etc/fstab, separated by commas; may be given several times
    #[arg(short, long, value_name = "OPTIONS")]
    pub options: Vec<String>,
    /// Return once the volume is mounted, and serve it in the background
    #[arg(short, long)]
    pub daemon: bool,
    /// Stay in the foreground, which is the default
    #[arg(short, long, conflicts_with = "daemon")]
    pub foreground: bool,
    /// Refuse every change; nothing is written to the image
    #[arg(short, long)]
    pub read_only: bool,
    /// Let other users in, as far as the permissions of files go
    #[arg(long)]
    pub allow_other: bool,
    /// Memory for cached pages; by default a share of the machine's memory
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub cache_size: Option<u64>,
    /// What `braidfs control` can change later
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// When reading a file updates its access time [default: relatime]
    #[arg(long, value_name = "WHEN", value_enum)]
    pub access_time: Option<AccessTimeChoice>,
    /// Threads that answer requests [default: by the number of processors]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// Make each write and each flush of the device take so much longer, as `braidfs lab` does
    #[arg(long, value_name = "TIME", value_parser = parse_duration, hide = true)]
    pub device_latency: Option<Duration>,
    /// Append the log to this file; with --daemon, nothing is logged otherwise
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
}

/// When reading a file updates its access time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AccessTimeChoice {
    /// If it is older than the last change, or than a day
    Relatime,
    /// Never
    Noatime,
    /// Always
    Strictatime,
}

/// Mount, as mount(8) asks its helpers to
///
/// For /sbin/mount.fuse.braidfs and /sbin/mount.braidfs, both of which are links to braidfs. The
/// mount is then like that of any other filesystem: in the background, with setuid and devices
/// unless the options say otherwise, and open to other users if root mounts.
#[derive(Debug, Parser)]
#[command(name = "mount.fuse.braidfs", version, max_term_width = 100)]
pub struct MountHelperArguments {
    /// The image file or the block device
    pub image: PathBuf,
    /// The directory to mount it on
    #[arg(value_name = "DIR")]
    pub mount_point: PathBuf,
    /// Mount options, separated by commas
    #[arg(short, value_name = "OPTIONS")]
    pub options: Vec<String>,
    /// Do all but mount
    #[arg(short)]
    pub fake: bool,
    /// Tolerate options that are not known
    #[arg(short)]
    pub sloppy: bool,
    /// Do not write /etc/mtab (never written)
    #[arg(short)]
    pub no_mtab: bool,
    /// Say more
    #[arg(short)]
    pub verbose: bool,
    /// Read-only
    #[arg(short)]
    pub read_only: bool,
    /// Read-write
    #[arg(short = 'w')]
    pub writable: bool,
    /// The type of the filesystem (known)
    #[arg(short = 't', value_name = "TYPE")]
    pub kind: Option<String>,
    /// The namespace (mount(8) has entered it)
    #[arg(short = 'N', value_name = "NAMESPACE")]
    pub namespace: Option<String>,
}
