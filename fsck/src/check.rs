//! A whole check.

use std::collections::BTreeSet;

use braidfs_block::BlockDevice;
use braidfs_format::{FileKind, Superblock};

use crate::error::{CheckError, Halt};
use crate::finding::Finding;
use crate::observer::Observer;
use crate::options::CheckOptions;
use crate::pass::run_all;
use crate::passes::Known;
use crate::report::{Report, Totals, VolumeSummary};
use crate::text::printable;
use crate::volume::paths::find_paths;
use crate::volume::scope::{Findings, Scope};

/// Checks the volume on `device`.
///
/// The volume is looked at as its next mount will find it: with the log replayed, in memory.
/// Nothing is written. Nobody else may write to the device at the same time.
///
/// # Errors
/// When there is no volume, when it is newer than this code, or when the device or the memory
/// fails. Damage is no error: it is in the report.
pub fn check(
    device: &dyn BlockDevice,
    options: &CheckOptions,
    observer: &dyn Observer,
) -> Result<Report, CheckError> {
    let scope = Scope::new(device, options, observer);
    let mut known = Known::default();
    let mut passes = Vec::new();
    let cancelled = match run_all(&scope, &mut known, &mut passes) {
        Ok(()) => false,
        Err(Halt::Cancelled) => true,
        Err(Halt::Failed(error)) => return Err(error),
    };
    let Findings { kept: mut findings, counts } = scope.take_findings();
    if !cancelled {
        add_paths(&scope, &known, &mut findings)?;
    }
    let total: u64 = counts.values().sum();
    Ok(Report {
        volume: known.superblock.as_ref().map(volume_summary),
        skipped_as_clean: known.skips_rest,
        cancelled,
        passes,
        totals: known.tree.as_ref().map(|_| totals(&known)),
        log: known.log.map(|log| log.summary),
        findings_dropped: total.saturating_sub(findings.len() as u64),
        counts,
        findings,
    })
}

fn volume_summary(superblock: &Superblock) -> VolumeSummary {
    VolumeSummary {
        volume_id: superblock.volume_id.to_string(),
        label: printable(superblock.label.as_bytes()),
        blocks: superblock.geometry.block_count,
        used_blocks: superblock.used_blocks,
        inodes: superblock.inode_count,
        sequence: superblock.sequence,
        unified_through: superblock.unified_through,
        clean: superblock.clean,
    }
}

fn totals(known: &Known) -> Totals {
    let inodes = known.inodes.inodes();
    let directories = inodes.iter().filter(|fact| fact.kind == FileKind::Directory).count();
    Totals {
        nodes: known.tree.as_ref().map_or(0, |tree| tree.node_count),
        inodes: inodes.len() as u64,
        directories: directories as u64,
        orphans: known.orphans.len() as u64,
        mapped_blocks: known.mapped_blocks,
        used_blocks: known.used_blocks,
        data_blocks_read: known.data_blocks_read,
    }
}

/// Adds the names of the inodes that findings are about, as far as directories could be read.
fn add_paths(scope: &Scope<'_>, known: &Known, findings: &mut [Finding]) -> Result<(), CheckError> {
    let wanted: BTreeSet<u64> = findings.iter().filter_map(|finding| finding.inode).collect();
    let Some(merged) = known.view(scope).filter(|_| !wanted.is_empty()) else { return Ok(()) };
    let paths = match find_paths(&merged, &known.inodes, wanted) {
        Ok(paths) => paths,
        Err(Halt::Cancelled) => return Ok(()),
        Err(Halt::Failed(error)) => return Err(error),
    };
    for finding in findings {
        let found = finding.inode.and_then(|inode| paths.get(&inode));
        finding.paths = found.cloned().unwrap_or_default();
    }
    Ok(())
}
