//! One damage at a time: each problem of the table has a volume that has it and nothing else.

mod directories;
mod document;
mod inodes;
mod log;
mod space;
mod superblock;
mod tree;

use std::collections::BTreeSet;

use braidfs_block::BlockDevice;
use braidfs_fsck::{Finding, Report, Severity, problems};

use crate::support::*;

/// A damaged volume and what is to be found on it.
pub struct Case {
    id: &'static str,
    device: Box<dyn BlockDevice>,
    /// What the finding's message must have in it.
    says: &'static str,
}

/// A case on a device that is as the builder describes it.
fn built(id: &'static str, says: &'static str, volume: &VolumeBuilder) -> Case {
    Case { id, device: Box::new(volume.build()), says }
}

/// The sample with one change.
fn changed(id: &'static str, says: &'static str, change: impl Fn(&mut VolumeBuilder)) -> Case {
    let mut volume = sample();
    change(&mut volume);
    built(id, says, &volume)
}

fn all_cases() -> Vec<Case> {
    [
        superblock::cases(),
        log::cases(),
        tree::cases(),
        inodes::cases(),
        directories::cases(),
        space::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn each_damage_is_found_and_nothing_else() {
    for (index, case) in all_cases().iter().enumerate() {
        let report = check_all(&*case.device);
        let ids: Vec<_> = report.counts.keys().copied().collect();
        assert_eq!(ids, [case.id], "case {index} ({}): {:#?}", case.says, messages(&report));
        let (finding, message) = (&report.findings[0], report.findings[0].message());
        assert!(message.contains(case.says), "{}: {message}", case.id);
        assert!(!message.contains("(unknown)"), "{}: {message}", case.id);
        let is_notice = finding.problem.severity == Severity::Notice;
        assert_eq!(report.is_clean(), is_notice, "{}", case.id);
    }
}

fn messages(report: &Report) -> Vec<String> {
    let text = |finding: &Finding| format!("{} {}", finding.problem.id, finding.message());
    report.findings.iter().map(text).collect()
}

#[test]
fn every_problem_has_a_case() {
    let tested: BTreeSet<_> = all_cases().iter().map(|case| case.id).collect();
    let known: BTreeSet<_> = problems().map(|problem| problem.id).collect();
    assert_eq!(tested, known);
}
