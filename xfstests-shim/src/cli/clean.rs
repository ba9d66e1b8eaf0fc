//! `clean`: takes away what runs have left that were killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::{AtPath, Result};
use crate::filesystem::run as output_of;
use crate::mounts;

use super::args::CleanArguments;
use super::check::WORK_PREFIX;

/// Does it. Whether all could be taken away.
pub fn run(arguments: &CleanArguments) -> Result<bool> {
    let place = arguments.directory.clone().unwrap_or_else(std::env::temp_dir);
    let place = place.canonicalize().at("find", &place)?;
    let mut is_good = true;
    for entry in fs::read_dir(&place).at("read", &place)?.filter_map(std::result::Result::ok) {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(WORK_PREFIX));
        if is_ours && !is_running(&entry.path()) {
            is_good &= clean(&entry.path());
        }
    }
    Ok(is_good)
}

/// Whether the shim that made a work directory is still at it.
fn is_running(work: &Path) -> bool {
    let owner = fs::read_to_string(work.join(super::check::OWNER)).unwrap_or_default();
    let comm = fs::read_to_string(format!("/proc/{}/comm", owner.trim()));
    !owner.is_empty() && comm.is_ok_and(|name| name.starts_with("xfstests-shim"))
}

fn clean(work: &Path) -> bool {
    let left = mounts::detach_all(work);
    loops(work).iter().for_each(|device| {
        let _ = Command::new("losetup").arg("--detach").arg(device).status();
    });
    // A server whose mount is gone ends by itself, and puts everything on disk first.
    std::thread::sleep(Duration::from_millis(100));
    let is_gone = left.is_empty() && fs::remove_dir_all(work).is_ok();
    let end = if is_gone { "removed" } else { "could not be removed" };
    println!("{} {end}", work.display());
    is_gone
}

/// The loop devices over files below a directory.
fn loops(work: &Path) -> Vec<PathBuf> {
    let mut command = Command::new("losetup");
    command.args(["--list", "--noheadings", "--output", "NAME,BACK-FILE"]);
    let Ok(table) = output_of(command) else { return Vec::new() };
    let lines = table.lines().filter_map(|line| line.split_once(char::is_whitespace));
    let ours = lines.filter(|(_, file)| Path::new(file.trim()).starts_with(work));
    ours.map(|(name, _)| PathBuf::from(name)).collect()
}
