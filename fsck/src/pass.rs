//! The table of passes, and what runs them in order.
//!
//! Invariants: pass ids never change their meaning and ascend; a pass runs only when everything in
//! its `needs` is there, and what it finds it reports and never changes.

use std::time::Instant;

use crate::error::Halt;
use crate::passes::{self, Known};
use crate::problem::Severity;
use crate::report::{PassReport, PassStatus};
use crate::volume::scope::Scope;

/// What a pass needs before it can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A superblock that is in force, on a device that holds the whole volume.
    Superblock,
    /// That the volume was not unmounted in order, or that a full check is wanted.
    FullCheck,
    /// A tree of which at least a part can be read.
    Tree,
    /// A tree without damage: else everything that was lost would be reported over and over.
    WholeTree,
    /// That the caller asked for it.
    DataWanted,
}

impl Need {
    /// Why a pass that has this need does not run, if it is not met.
    fn reason(self, scope: &Scope<'_>, known: &Known) -> Option<&'static str> {
        let (met, reason) = match self {
            Self::Superblock => (known.superblock.is_some(), "there is no usable superblock"),
            Self::FullCheck => (!known.skips_rest, "the volume is clean"),
            Self::Tree => (known.tree.is_some(), "the tree was not read"),
            Self::WholeTree => (
                known.tree.as_ref().is_some_and(|tree| tree.whole),
                "the tree is damaged, so too much is missing to judge the rest by",
            ),
            Self::DataWanted => (scope.options.data, "it was not asked for"),
        };
        (!met).then_some(reason)
    }
}

/// A pass of the check.
#[derive(Debug)]
pub struct Pass {
    /// The stable number; the ids of its problems begin with it.
    pub id: u8,
    /// A word for it.
    pub name: &'static str,
    /// What it looks at.
    pub description: &'static str,
    /// What there must be before it can run.
    pub needs: &'static [Need],
    pub(crate) units: fn(&Known) -> u64,
    pub(crate) run: fn(&Scope<'_>, &mut Known) -> Result<(), Halt>,
}

const OF_TREE: &[Need] = &[Need::Superblock, Need::FullCheck, Need::Tree, Need::WholeTree];

/// All passes, in the order in which they run.
pub static PASSES: &[Pass] = &[
    Pass {
        id: 1,
        name: "superblock",
        description: "the four copies of the superblock, the geometry and the features",
        needs: &[],
        units: |_| 4,
        run: passes::superblock::run,
    },
    Pass {
        id: 2,
        name: "log",
        description: "the transactions of the log, and what replay will make of them",
        needs: &[Need::Superblock, Need::FullCheck],
        units: passes::log::units,
        run: passes::log::run,
    },
    Pass {
        id: 3,
        name: "tree",
        description: "every node of the tree, its place among the others, and its keys",
        needs: &[Need::Superblock, Need::FullCheck],
        units: passes::tree::units,
        run: passes::tree::run,
    },
    Pass {
        id: 4,
        name: "inodes",
        description: "inodes, extended attributes, extents, and blocks that are in use twice",
        needs: OF_TREE,
        units: leaf_count,
        run: passes::inodes::run,
    },
    Pass {
        id: 5,
        name: "directories",
        description: "the entries of every directory and the inodes that they name",
        needs: OF_TREE,
        units: leaf_count,
        run: passes::directories::run,
    },
    Pass {
        id: 6,
        name: "connectivity",
        description: "whether everything can be reached from the root, in one way",
        needs: OF_TREE,
        units: inode_count,
        run: passes::connectivity::run,
    },
    Pass {
        id: 7,
        name: "links",
        description: "link counts against the names that there are",
        needs: OF_TREE,
        units: inode_count,
        run: passes::links::run,
    },
    Pass {
        id: 8,
        name: "orphans",
        description: "inodes that wait for their deletion",
        needs: OF_TREE,
        units: |known| known.orphans.len() as u64,
        run: passes::orphans::run,
    },
    Pass {
        id: 9,
        name: "bitmaps",
        description: "the bitmaps and the counts of the superblock against what is in use",
        needs: OF_TREE,
        units: passes::bitmaps::units,
        run: passes::bitmaps::run,
    },
    Pass {
        id: 10,
        name: "data",
        description: "every data block against its checksum",
        needs: &[Need::Superblock, Need::FullCheck, Need::Tree, Need::DataWanted],
        units: passes::data::units,
        run: passes::data::run,
    },
];

fn leaf_count(known: &Known) -> u64 {
    known.tree.as_ref().map_or(0, |tree| tree.leaves.len() as u64)
}

fn inode_count(known: &Known) -> u64 {
    known.inodes.inodes().len() as u64
}

/// Runs all passes and adds what became of each to `reports`, up to the one that ended the check.
pub(crate) fn run_all(
    scope: &Scope<'_>,
    known: &mut Known,
    reports: &mut Vec<PassReport>,
) -> Result<(), Halt> {
    for pass in PASSES {
        let unmet = match scope.worst() {
            Some(Severity::Fatal) => Some("the volume is too damaged to be checked"),
            _ => pass.needs.iter().find_map(|need| need.reason(scope, known)),
        };
        if let Some(reason) = unmet {
            reports.push(PassReport::new(pass, PassStatus::Skipped { reason }));
            continue;
        }
        reports.push(PassReport::new(pass, PassStatus::Interrupted));
        let before = scope.finding_count();
        let started = Instant::now();
        scope.restart_progress();
        scope.observer().pass_started(pass, (pass.units)(known));
        let outcome = (pass.run)(scope, known);
        scope.observer().pass_finished(pass);
        if let Some(report) = reports.last_mut() {
            report.findings = scope.finding_count() - before;
            report.seconds = started.elapsed().as_secs_f64();
            outcome?;
            report.status = PassStatus::Done;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pass_ids_ascend_and_names_differ() {
        assert!(PASSES.is_sorted_by(|one, next| one.id < next.id));
        let mut names: Vec<_> = PASSES.iter().map(|pass| pass.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PASSES.len());
    }
}
