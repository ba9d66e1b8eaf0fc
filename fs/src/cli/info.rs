//! `info`: what a volume is like.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use braidfs_block::{BlockErrorKind, FileDevice, FileOptions};
use braidfs_format::{BLOCK_SIZE, Superblock};
use serde::Serialize;

use super::args::InfoArguments;
use super::dump::LogWalk;
use super::error::CliResult;
use super::output::{json, say};
use super::place;
use super::raw::RawImage;
use super::time::utc;
use crate::size::human;

const BLOCK_BYTES: u64 = BLOCK_SIZE as u64;

#[derive(Debug, Serialize)]
struct Info {
    image: PathBuf,
    mount_point: Option<PathBuf>,
    used_by: Option<String>,
    uuid: String,
    label: String,
    format_version: u32,
    features: Vec<String>,
    made_at: String,
    size_bytes: u64,
    image_bytes: u64,
    used_bytes: u64,
    inodes: u64,
    next_inode: u64,
    log_bytes: u64,
    tree_nodes: u64,
    tree_levels: u32,
    sequence: u64,
    unified_through: u64,
    deltas_to_replay: u64,
    log_used_bytes: u64,
    clean: bool,
}

/// Runs `info`.
pub fn run(arguments: &InfoArguments) -> CliResult {
    let (path, mount_point) = find(&arguments.image)?;
    let image = RawImage::open(&path)?;
    let superblock = image.superblock()?;
    let info = Info::new(path, mount_point, &image, &superblock)?;
    if arguments.json {
        return json(&info);
    }
    say(info.describe().trim_end());
    Ok(())
}

/// The image, and where it is mounted; `named` may be either.
fn find(named: &Path) -> CliResult<(PathBuf, Option<PathBuf>)> {
    let resolved = named.canonicalize().unwrap_or_else(|_| named.to_owned());
    let is_same =
        |path: &Path| path == resolved || path.canonicalize().is_ok_and(|p| p == resolved);
    let entry = place::all()?
        .into_iter()
        .filter(|entry| entry.is_ours())
        .rfind(|entry| entry.mount_point == resolved || is_same(&entry.source));
    Ok(match entry {
        Some(entry) => (entry.source, Some(entry.mount_point)),
        None => (named.to_owned(), None),
    })
}

/// Who has the image locked, if anybody has.
fn user_of(path: &Path) -> Option<String> {
    let error = FileDevice::open(path, &FileOptions::read_only()).err()?;
    let user = error.holder.map(|holder| format!("{} (pid {})", holder.command, holder.pid));
    (error.kind == BlockErrorKind::InUse).then(|| user.unwrap_or_else(|| "a process".to_owned()))
}

impl Info {
    fn new(
        path: PathBuf,
        mount_point: Option<PathBuf>,
        image: &RawImage,
        superblock: &Superblock,
    ) -> CliResult<Self> {
        let log = LogWalk::new(image, superblock).summary()?;
        let geometry = &superblock.geometry;
        let names = [
            superblock.compat.iter_names().map(|(name, _)| name).collect::<Vec<_>>(),
            superblock.read_only_compat.iter_names().map(|(name, _)| name).collect(),
            superblock.incompat.iter_names().map(|(name, _)| name).collect(),
        ];
        Ok(Self {
            used_by: user_of(&path),
            image: path,
            mount_point,
            uuid: superblock.volume_id.to_string(),
            label: superblock.label.clone(),
            format_version: superblock.format_version,
            features: names.concat().into_iter().map(str::to_lowercase).collect(),
            made_at: utc((superblock.created_at_ns / 1_000_000_000) as i64),
            size_bytes: geometry.block_count * BLOCK_BYTES,
            image_bytes: image.size_bytes(),
            used_bytes: superblock.used_blocks.saturating_mul(BLOCK_BYTES),
            inodes: superblock.inode_count,
            next_inode: superblock.next_inode,
            log_bytes: geometry.log_blocks * BLOCK_BYTES,
            tree_nodes: superblock.node_count,
            tree_levels: u32::from(superblock.root_level) + 1,
            sequence: superblock.sequence,
            unified_through: superblock.unified_through,
            deltas_to_replay: log.transactions,
            log_used_bytes: log.blocks * BLOCK_BYTES,
            clean: superblock.clean && log.transactions == 0,
        })
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{name:<10}{value}");
        };
        line("image", self.image.display().to_string());
        line("uuid", self.uuid.clone());
        if !self.label.is_empty() {
            line("label", self.label.clone());
        }
        line("made", self.made_at.clone());
        line("format", format!("{} ({})", self.format_version, self.features.join(", ")));
        line("size", human(self.size_bytes));
        let share = u128::from(self.used_bytes) * 100 / u128::from(self.size_bytes.max(1));
        line("used", format!("{} ({share}%), as of the last unify", human(self.used_bytes)));
        line("inodes", format!("{} (the next is {})", self.inodes, self.next_inode));
        line("tree", format!("{} nodes in {} levels", self.tree_nodes, self.tree_levels));
        let (log, used) = (human(self.log_bytes), human(self.log_used_bytes));
        line("log", format!("{log}, of which {used} are in use"));
        line(
            "deltas",
            format!("{} in the tree, {} in the log", self.unified_through, self.deltas_to_replay),
        );
        line("state", self.state());
        text
    }

    fn state(&self) -> String {
        match (&self.mount_point, &self.used_by) {
            (Some(place), Some(user)) => format!("mounted on {} by {user}", place.display()),
            (Some(place), None) => {
                format!("mounted on {}, but nobody serves it any more", place.display())
            }
            (None, Some(user)) => format!("in use by {user}"),
            (None, None) if self.clean => "clean".to_owned(),
            (None, None) => "not unmounted in order; the next mount replays the log".to_owned(),
        }
    }
}
