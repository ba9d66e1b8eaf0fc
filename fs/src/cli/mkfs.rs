//! `mkfs`: makes a volume.

use std::path::Path;

use braidfs_block::{BlockDevice, FileDevice};
use braidfs_format::superblock::LABEL_BYTES;
use braidfs_format::{BLOCK_SIZE, Geometry, Superblock};
use serde::Serialize;

use super::args::MkfsArguments;
use super::error::{CliError, CliResult};
use super::image;
use super::output::{json, say};
use super::stop::Stopper;
use crate::options::MkfsOptions;
use crate::size::human;

const BLOCK_BYTES: u64 = BLOCK_SIZE as u64;

/// What was made, or would be.
#[derive(Debug, Serialize)]
struct Made {
    image: String,
    uuid: Option<String>,
    label: String,
    size_bytes: u64,
    blocks: u64,
    block_bytes: u64,
    log_bytes: u64,
    dry_run: bool,
}

/// Runs `mkfs`.
pub fn run(arguments: &MkfsArguments) -> CliResult {
    let options = options(arguments)?;
    let target = Target::find(arguments)?;
    let geometry = image::plan(target.size_bytes(), arguments.log_size)?;
    let superblock = match (arguments.dry_run, target) {
        (true, _) => None,
        (false, Target::New { size_bytes }) => {
            let stopper = Stopper::install()?;
            let will_leave = |file: &Path| stopper.would_leave(Some(file.to_owned()));
            let (path, quiet) = (&arguments.image, arguments.quiet);
            Some(image::make(path, size_bytes, &options, quiet, &will_leave)?)
        }
        (false, Target::Existing { device, .. }) => {
            Some(image::format(&arguments.image, &device, &options, arguments.quiet)?)
        }
    };
    report(arguments, &geometry, superblock.as_ref())
}

/// Where the volume goes.
enum Target {
    /// A file that is to be made.
    New { size_bytes: u64 },
    /// A file or a block device that is there, may be overwritten, and has its size.
    Existing { device: FileDevice, size_bytes: u64 },
}

impl Target {
    /// Finds out. Nothing is changed, but for the size of an existing file if that is wanted.
    fn find(arguments: &MkfsArguments) -> CliResult<Self> {
        let path = &arguments.image;
        match path.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => match arguments.size {
                Some(size) => Ok(Self::New { size_bytes: size - size % BLOCK_BYTES }),
                None => Err(CliError::usage(format!(
                    "{0} does not exist; give a size to make it: braidfs mkfs {0} 2G",
                    path.display()
                ))),
            },
            Ok(metadata) => Self::existing(arguments, metadata.is_file()),
            // The device says why it cannot be used.
            Err(_) => Self::existing(arguments, false),
        }
    }

    fn existing(arguments: &MkfsArguments, is_file: bool) -> CliResult<Self> {
        let path = &arguments.image;
        let device = image::open_patiently(path, &image::options(arguments.dry_run))?;
        let size_bytes = device.geometry().size_bytes;
        if !arguments.force {
            check_overwritable(path, &device, is_file)?;
        }
        let wanted = arguments.size.map_or(size_bytes, |size| size - size % BLOCK_BYTES);
        if wanted == size_bytes {
            return Ok(Self::Existing { device, size_bytes });
        }
        if !is_file {
            return Err(CliError::usage(format!(
                "{} has {size_bytes} bytes and cannot get another size; leave the size out",
                path.display()
            )));
        }
        image::plan(wanted, arguments.log_size)?;
        if arguments.dry_run {
            return Ok(Self::Existing { device, size_bytes: wanted });
        }
        // The device knows the size that it had when it was opened.
        drop(device);
        image::resize(path, wanted)?;
        Ok(Self::Existing {
            device: image::open_patiently(path, &image::options(false))?,
            size_bytes: wanted,
        })
    }

    fn size_bytes(&self) -> u64 {
        match self {
            Self::New { size_bytes } | Self::Existing { size_bytes, .. } => *size_bytes,
        }
    }
}

/// Refuses to overwrite what somebody may still want. On a disk, mere data is what the last user left;
/// in a file, it is a file.
fn check_overwritable(path: &Path, device: &FileDevice, is_file: bool) -> CliResult {
    match image::contents(device)? {
        Some("data") if !is_file => Ok(()),
        Some(what) => Err(CliError::new(format!(
            "{} holds {what}; choose another one, or add --force to overwrite it",
            path.display()
        ))),
        None => Ok(()),
    }
}

fn options(arguments: &MkfsArguments) -> CliResult<MkfsOptions> {
    if arguments.label.len() > LABEL_BYTES {
        let length = arguments.label.len();
        return Err(CliError::usage(format!(
            "the label has {length} bytes; shorten it to {LABEL_BYTES}"
        )));
    }
    if arguments.label.chars().any(char::is_control) {
        return Err(CliError::usage("the label has control characters; leave them out"));
    }
    Ok(MkfsOptions {
        label: arguments.label.clone(),
        volume_id: arguments.uuid,
        log_blocks: arguments.log_size.map(|size| size / BLOCK_BYTES),
        root_uid: rustix::process::getuid().as_raw(),
        root_gid: rustix::process::getgid().as_raw(),
    })
}

fn report(
    arguments: &MkfsArguments,
    geometry: &Geometry,
    superblock: Option<&Superblock>,
) -> CliResult {
    let made = Made {
        image: arguments.image.display().to_string(),
        uuid: superblock.map(|superblock| superblock.volume_id.to_string()),
        label: arguments.label.clone(),
        size_bytes: geometry.block_count * BLOCK_BYTES,
        blocks: geometry.block_count,
        block_bytes: BLOCK_BYTES,
        log_bytes: geometry.log_blocks * BLOCK_BYTES,
        dry_run: arguments.dry_run,
    };
    if arguments.json {
        return json(&made);
    }
    if !arguments.quiet {
        made.describe();
    }
    Ok(())
}

impl Made {
    fn describe(&self) {
        let verb = if self.dry_run { "would make" } else { "made" };
        say(&format!("{verb} a braidfs volume in {}", self.image));
        if let Some(uuid) = &self.uuid {
            say(&format!("  uuid   {uuid}"));
        }
        if !self.label.is_empty() {
            say(&format!("  label  {}", self.label));
        }
        let size = human(self.size_bytes);
        say(&format!("  size   {size} ({} blocks of {} bytes)", self.blocks, self.block_bytes));
        say(&format!("  log    {}", human(self.log_bytes)));
        if !self.dry_run {
            say(&format!("mount it with: braidfs mount {} DIR", self.image));
        }
    }
}
