//! The table of everything that can be wrong with a volume.
//!
//! Purpose: one row a problem, in files by pass, with an id that never changes its meaning
//! (`B`, two digits of the pass, two of the problem), so that scripts, tests and a later repair can
//! name it. Ids are not used again when a problem goes away.
//!
//! Invariants: ids are unique and ascend; a template names only fields that
//! [`Finding`](crate::Finding) has; every id has a damaged volume in the tests that produces it.

mod directories;
mod inodes;
mod log;
mod space;
mod superblock;
mod tree;

use bitflags::bitflags;
use serde::Serialize;

pub(crate) use directories::*;
pub(crate) use inodes::*;
pub(crate) use log::*;
pub(crate) use space::*;
pub(crate) use superblock::*;
pub(crate) use tree::*;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth telling, and no fault: a power loss leaves such things, and the filesystem heals them.
    Notice,
    /// The volume is damaged.
    Error,
    /// The volume is damaged so that nothing more can be checked.
    Fatal,
}

bitflags! {
    /// What a repair of a problem is like.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct RepairFlags: u32 {
        /// It can be done without asking: nothing is lost and there is only one way.
        const PREEN = 1 << 0;
        /// Names, attributes or content are lost by it.
        const LOSES_DATA = 1 << 1;
        /// What it changes can bring other problems to light or make them go: check again.
        const RECHECK = 1 << 2;
        /// The filesystem does it by itself at its next unify.
        const BY_UNIFY = 1 << 3;
        /// It cannot be done from what the volume itself holds.
        const NEEDS_COPY = 1 << 4;
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Problem {
    /// The stable id.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line, without the particulars.
    pub summary: &'static str,
    /// The message; `{field}` stands for a field of the finding.
    pub template: &'static str,
    /// What a repair would do.
    pub repair: &'static str,
    /// What that repair is like.
    pub flags: RepairFlags,
}

impl Problem {
    /// The id of the pass that finds it.
    pub fn pass(&self) -> u8 {
        self.id.get(1..3).and_then(|digits| digits.parse().ok()).unwrap_or_default()
    }
}

impl PartialEq for Problem {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Problem {}

/// All problems, in order of their ids.
pub fn problems() -> impl Iterator<Item = &'static Problem> {
    [superblock::TABLE, log::TABLE, tree::TABLE, inodes::TABLE, directories::TABLE, space::TABLE]
        .into_iter()
        .flatten()
        .copied()
}

/// Declares problems and the table that holds them, so that none can be left out of it.
macro_rules! problem_table {
    ($(
        $name:ident = $id:literal, $severity:ident, $summary:literal,
        message: $template:literal,
        repair: $repair:literal, $($flag:ident)|*;
    )*) => {
        $(
            #[doc = $summary]
            pub(crate) static $name: $crate::problem::Problem = $crate::problem::Problem {
                id: $id,
                severity: $crate::problem::Severity::$severity,
                summary: $summary,
                template: $template,
                repair: $repair,
                flags: $crate::problem::RepairFlags::empty()
                    $(.union($crate::problem::RepairFlags::$flag))*,
            };
        )*
        pub(super) static TABLE: &[&$crate::problem::Problem] = &[$(&$name),*];
    };
}
use problem_table;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_and_name_a_pass() {
        let ids: Vec<_> = problems().map(|problem| problem.id).collect();
        assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
        for problem in problems() {
            let well_formed = problem.id.len() == 5 && problem.id.starts_with('B');
            assert!(well_formed, "{}", problem.id);
            let pass = crate::PASSES.iter().find(|pass| pass.id == problem.pass());
            assert!(pass.is_some(), "{} names no pass", problem.id);
        }
    }

    #[test]
    fn texts_are_lower_case_clauses_without_a_full_stop() {
        for problem in problems() {
            for text in [problem.summary, problem.template, problem.repair] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{}: {text}", problem.id);
                assert!(!text.starts_with(char::is_uppercase), "{}: {text}", problem.id);
            }
        }
    }
}
