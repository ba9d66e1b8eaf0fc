//! What `lab` can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::size::parse_duration;

/// Measure on this machine what braidfs claims
#[derive(Debug, Args)]
pub struct LabArguments {
    /// What to measure
    #[command(subcommand)]
    pub what: Lab,
}

/// The measurements.
#[derive(Debug, Subcommand)]
pub enum Lab {
    /// How long writers of a file wait while the file is written back: forking, waiting, copying
    Writeback(WritebackLabArguments),
}

/// How long writers of a file wait while the file is written back: forking, waiting, copying
///
/// Mounts fresh volumes and lets a writer overwrite random parts of a small file, so many times a
/// second, each write due at its time whether the one before is through or not, while something
/// keeps the file under writeback. The three policies take turns on one mount; on the real disk,
/// ext4, xfs and btrfs on loop devices take turns with them, if root runs this. Prints a table,
/// writes JSON and draws figures. Everything is unmounted and removed in the end, after Ctrl-C too.
#[derive(Debug, Args)]
#[command(after_help = "Example: braidfs lab writeback --figures docs/figures")]
pub struct WritebackLabArguments {
    /// How long each measurement takes, in rounds of half a second; 126 of them make about 5 minutes
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "2s")]
    pub seconds: Duration,
    /// A tenth of that: to see that it works, not to measure
    #[arg(long)]
    pub quick: bool,
    /// Where images and mount points go for the time; whatever disk is below is the real disk
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Write the results as JSON to this file
    #[arg(long, value_name = "FILE", default_value = "target/figures/lab-writeback.json")]
    pub json: PathBuf,
    /// Draw the results as SVG into this directory
    #[arg(long, value_name = "DIR", default_value = "target/figures")]
    pub figures: PathBuf,
    /// Measure on these disks only
    #[arg(long, value_enum, value_delimiter = ',')]
    pub disks: Vec<Disk>,
    /// Measure these kinds of writing only
    #[arg(long, value_enum, value_delimiter = ',')]
    pub writers: Vec<Writer>,
    /// Measure under these kinds of writeback only
    #[arg(long, value_enum, value_delimiter = ',')]
    pub drivers: Vec<Driver>,
    /// Leave the other filesystems out
    #[arg(long)]
    pub no_peers: bool,
    /// How much longer a write and a flush take on the slow disk
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "5ms")]
    pub latency: Duration,
    /// Writes a second
    #[arg(long, value_name = "NUMBER", default_value = "5000")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
}

/// A disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Disk {
    /// The real one with added latency; braidfs only
    Slow,
    /// The real one
    Real,
}

/// A kind of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Writer {
    /// write(2), through the kernel's cache
    Write,
    /// write(2) with O_DIRECT, past the kernel's cache
    Direct,
    /// Stores to a shared mapping
    Mmap,
}

/// What keeps the file under writeback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Driver {
    /// The commit interval, of 5 ms, with syncfs(2) again and again; syncfs(2) alone for the others
    Interval,
    /// Pressure: another file is streamed to, with a dirty limit of 8 MiB and syncfs(2)
    Pressure,
    /// Another file is appended to and fsynced again and again
    OtherFsync,
    /// The same file is fsynced again and again
    SameFsync,
    /// The same, by syncfs(2) and the attribute system.braidfs.fsync in place of fsync(2); braidfs only
    UnlockedFsync,
}
