//! What `mkfs` can be told.

use std::path::PathBuf;

use clap::Args;
use uuid::Uuid;

use crate::size::parse_size;

/// Make a volume in a file or on a block device
///
/// A file that does not exist is made with the size that is given; an existing file or a block
/// device keeps its size unless one is given. What looks like a filesystem, a partition table or
/// anybody's data is left alone unless --force is given.
#[derive(Debug, Args)]
#[command(after_help = "Example: braidfs mkfs disk.img 2G --label data")]
pub struct MkfsArguments {
    /// The image file or the block device
    pub image: PathBuf,
    /// The size of the volume, as 2G or 512M; the least is 16M
    #[arg(value_parser = parse_size)]
    pub size: Option<u64>,
    /// A name for the volume, up to 64 bytes
    #[arg(short = 'L', long, default_value = "", hide_default_value = true)]
    pub label: String,
    /// The volume's id; a random one by default
    #[arg(short = 'U', long)]
    pub uuid: Option<Uuid>,
    /// Overwrite what is there
    #[arg(short, long)]
    pub force: bool,
    /// Show what would be made, but make nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// The size of the log; by default 1/32 of the volume, at least 1M and at most 128M
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub log_size: Option<u64>,
    /// Print nothing but errors
    #[arg(short, long, conflicts_with = "json")]
    pub quiet: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}
