//! The one table of flags: help, man pages and completions are made from these types.
//!
//! What a flag means is decided elsewhere; here is only what can be written.

mod control;
mod lab;
mod look;
mod mkfs;
mod mount;
mod stats;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use clap_complete::Shell;

pub use control::{ControlArguments, PolicyChoice, SettingsArguments, ShutdownChoice, Switch};
pub use lab::{Disk, Driver, Lab, LabArguments, WritebackLabArguments, Writer};
pub use look::{DumpArguments, DumpWhat, InfoArguments};
pub use mkfs::MkfsArguments;
pub use mount::{AccessTimeChoice, MountArguments, MountHelperArguments};
pub use stats::StatsArguments;

/// A log-structured, checksummed, crash-consistent filesystem in a file
///
/// braidfs keeps a filesystem in an image file or on a block device and mounts it through FUSE, so
/// that no kernel module is needed. Every change belongs to a delta; after a power loss the volume is
/// in the state of one delta, no older than the last fsync. A page that is being written back is
/// forked, never waited for.
#[derive(Debug, Parser)]
#[command(name = "braidfs", version, max_term_width = 100)]
#[command(propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Start with: braidfs mount disk.img mnt --create 2G")]
pub struct Arguments {
    /// What to say while at it
    #[command(flatten)]
    pub verbosity: Verbosity,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Args)]
pub struct Verbosity {
    /// Log more to stderr: -v what happens, -vv also each operation that fails, -vvv everything
    ///
    /// The environment variable BRAIDFS_LOG does the same in more detail, for example
    /// BRAIDFS_LOG=braidfs=debug.
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub verbose: u8,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a volume in a file or on a block device
    Mkfs(MkfsArguments),
    /// Mount a volume
    Mount(MountArguments),
    /// Unmount a volume and wait until all of it is on disk
    Umount(UmountArguments),
    /// Make everything on a mount durable (sync(1) is not passed on to its server)
    Sync(SyncArguments),
    /// Give free space back to the disk, or shrink the image
    Trim(TrimArguments),
    /// Show the settings of a mount, or change them
    Control(ControlArguments),
    /// Show what a mount did: counters, memory, and how long operations take
    Stats(StatsArguments),
    /// Check a volume, by the program fsck.braidfs
    Fsck(FsckArguments),
    /// Show what a volume is like
    Info(InfoArguments),
    /// Show what is on a volume, byte by byte if need be
    Dump(DumpArguments),
    /// Measure on this machine what braidfs claims
    Lab(LabArguments),
    /// Print completions for a shell
    Completions(CompletionsArguments),
    /// Write man pages into a directory
    Man(ManArguments),
}

/// Unmount a volume and wait until all of it is on disk
#[derive(Debug, Args)]
pub struct UmountArguments {
    /// Where it is mounted, or its image
    #[arg(value_name = "DIR|IMAGE")]
    pub place: PathBuf,
    /// Take it out of the tree of directories at once, and end it when nobody uses it any more
    #[arg(short, long)]
    pub lazy: bool,
}

/// Give free space back to the disk, or shrink the image on its host
///
/// Everything that was changed is made durable first, since blocks that were freed can be given back only then. Where the
/// disk or the host's filesystem cannot discard, nothing happens.
#[derive(Debug, Args)]
pub struct TrimArguments {
    /// A directory of the mount
    #[arg(value_name = "DIR")]
    pub place: PathBuf,
}

/// Make everything on a mount durable
#[derive(Debug, Args)]
pub struct SyncArguments {
    /// A directory of the mount
    #[arg(value_name = "DIR")]
    pub place: PathBuf,
}

/// Unmount, as umount(8) asks its helpers to
#[derive(Debug, Parser)]
#[command(name = "umount.fuse.braidfs", version, max_term_width = 100)]
pub struct UmountHelperArguments {
    /// Where it is mounted, or its image
    #[arg(value_name = "DIR|IMAGE")]
    pub place: PathBuf,
    /// End it when nobody uses it any more
    #[arg(short)]
    pub lazy: bool,
    /// Force (no different from an ordinary unmount)
    #[arg(short)]
    pub force: bool,
    /// Do not write /etc/mtab (never written)
    #[arg(short)]
    pub no_mtab: bool,
    /// Remount read-only if it cannot be unmounted (not done)
    #[arg(short)]
    pub read_only: bool,
    /// Say more
    #[arg(short)]
    pub verbose: bool,
    /// The type of the filesystem (known)
    #[arg(short = 't', value_name = "TYPE")]
    pub kind: Option<String>,
    /// The namespace (umount(8) has entered it)
    #[arg(short = 'N', value_name = "NAMESPACE")]
    pub namespace: Option<String>,
}

/// Check a volume, by the program fsck.braidfs
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct FsckArguments {
    /// Handed to fsck.braidfs as they are; `braidfs fsck --help` shows what it takes
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}

/// Print completions for a shell
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell
    pub shell: Shell,
}

/// Write man pages into a directory
#[derive(Debug, Args)]
pub struct ManArguments {
    /// The directory; it is made if it does not exist
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_table_of_flags_is_sound() {
        Arguments::command().debug_assert();
        UmountHelperArguments::command().debug_assert();
        MountHelperArguments::command().debug_assert();
    }

    #[test]
    fn what_fsck_takes_is_not_looked_at() {
        let arguments =
            Arguments::try_parse_from(["braidfs", "fsck", "-n", "--help", "a.img"]).unwrap();
        let Command::Fsck(fsck) = arguments.command else { panic!("not fsck") };
        assert_eq!(fsck.arguments, ["-n", "--help", "a.img"]);
    }
}
