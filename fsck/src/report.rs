//! What came of a check.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::finding::Finding;
use crate::pass::Pass;
use crate::problem::{Severity, problems};

/// The outcome of a check, as a value and as JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The volume, if a superblock was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeSummary>,
    /// Whether all but the superblock was skipped because the volume was unmounted in order.
    pub skipped_as_clean: bool,
    /// Whether the observer ended the check early.
    pub cancelled: bool,
    /// What became of each pass, in order.
    pub passes: Vec<PassReport>,
    /// The log and what replay will do, if that pass ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogSummary>,
    /// What there is on the volume, with the log applied, if those passes ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
    /// How often each problem was found, by id.
    pub counts: BTreeMap<&'static str, u64>,
    /// What was found, in order, up to the limit of the options.
    pub findings: Vec<Finding>,
    /// Findings beyond that limit, which are in `counts` only.
    pub findings_dropped: u64,
}

impl Report {
    /// Whether nothing is wrong. Notices are not wrong; a cancelled check says nothing.
    pub fn is_clean(&self) -> bool {
        self.damage_count() == 0
    }

    /// How many findings are damage, not notices.
    pub fn damage_count(&self) -> u64 {
        problems()
            .filter(|problem| problem.severity > Severity::Notice)
            .filter_map(|problem| self.counts.get(problem.id))
            .sum()
    }
}

/// Which volume was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeSummary {
    /// Its id.
    pub volume_id: String,
    /// Its label, made printable.
    pub label: String,
    /// Blocks of 4096 bytes.
    pub blocks: u64,
    /// Blocks in use as the superblock has it.
    pub used_blocks: u64,
    /// Inodes as the superblock has it.
    pub inodes: u64,
    /// The sequence of the superblock in force.
    pub sequence: u64,
    /// The last delta in the tree.
    pub unified_through: u64,
    /// Whether it was unmounted in order.
    pub clean: bool,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogSummary {
    /// Transactions that the next mount replays.
    pub replayed: u64,
    /// The last delta after that replay.
    pub last_delta: u64,
    /// Blocks of the ring that those transactions take.
    pub blocks: u64,
    /// Transactions that follow and are dropped, because data that belongs to them did not make it.
    pub discarded: u64,
    /// Data blocks that were compared with their checksums, as replay does.
    pub verified_blocks: u64,
    /// Why the log ends where it does.
    pub end: String,
}

/// What there is on a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Nodes of the tree.
    pub nodes: u64,
    /// Inodes of all types.
    pub inodes: u64,
    /// Directories among them.
    pub directories: u64,
    /// Inodes that wait for their deletion.
    pub orphans: u64,
    /// Logical blocks that are mapped.
    pub mapped_blocks: u64,
    /// Blocks that are in use once the log is replayed.
    pub used_blocks: u64,
    /// Data blocks that were compared with their checksums.
    pub data_blocks_read: u64,
}

/// What became of a pass.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PassReport {
    /// Its number.
    pub id: u8,
    /// Its name.
    pub name: &'static str,
    /// Whether it ran.
    #[serde(flatten)]
    pub status: PassStatus,
    /// How many findings it had, notices included.
    pub findings: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Whether a pass ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum PassStatus {
    /// To its end.
    Done,
    /// It was begun and not finished.
    Interrupted,
    /// Not at all.
    Skipped {
        /// Why not.
        reason: &'static str,
    },
}

impl PassReport {
    pub(crate) fn new(pass: &Pass, status: PassStatus) -> Self {
        Self { id: pass.id, name: pass.name, status, findings: 0, seconds: 0.0 }
    }
}
