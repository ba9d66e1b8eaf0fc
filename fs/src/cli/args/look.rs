//! What the commands that only look can be told.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Show what a volume is like
#[derive(Debug, Args)]
pub struct InfoArguments {
    /// The image, or the directory where it is mounted
    #[arg(value_name = "IMAGE|DIR")]
    pub image: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Show what is on a volume, byte by byte if need be
///
/// Nothing is changed, and nothing is replayed: it shows what is on disk. While the volume is
/// mounted, what is read here may change underneath.
#[derive(Debug, Args)]
pub struct DumpArguments {
    /// The image
    pub image: PathBuf,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to show
    #[command(subcommand)]
    pub what: DumpWhat,
}

/// The parts of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum DumpWhat {
    /// All copies of the superblock
    Superblock,
    /// The transactions in the log that come after the last unify
    Log {
        /// Show the records of each transaction, too
        #[arg(short, long)]
        records: bool,
    },
    /// The nodes of the tree, from the root
    Tree {
        /// Show the items in the leaves, too
        #[arg(short, long)]
        items: bool,
    },
    /// All that the tree and the log have about an inode
    Inode {
        /// Its number; 1 is the root directory
        number: u64,
    },
}
