//! Pass 6: connectivity.
//!
//! Everything but the root and orphans has a name; a directory has one, in the directory that it
//! names as its parent; and going up from directory to directory leads to the root. An inode that
//! has a name in a directory is reached if that directory is, so only directories have to be
//! followed.

use braidfs_format::{FileKind, ROOT_INODE};

use super::Known;
use crate::error::Halt;
use crate::finding::Finding;
use crate::problem::{DIRECTORY_CYCLE, DIRECTORY_NAMED_TWICE, PARENT, ROOT_NAMED, UNNAMED};
use crate::volume::inodes::{DirectoryFact, InodeFact, InodeTable};
use crate::volume::scope::Scope;

/// Runs the pass.
pub(crate) fn run(scope: &Scope<'_>, known: &mut Known) -> Result<(), Halt> {
    for fact in known.inodes.inodes() {
        scope.advance(1)?;
        check_names(scope, fact);
    }
    for directory in known.inodes.directories() {
        if let Some(fact) = known.inodes.get(directory.inode) {
            check_parent(scope, fact, directory);
        }
    }
    find_cycles(scope, &known.inodes)
}

fn check_names(scope: &Scope<'_>, fact: &InodeFact) {
    let is_root = fact.inode == ROOT_INODE;
    if is_root && fact.names > 0 {
        scope.report(Finding::new(&ROOT_NAMED).inode(fact.inode));
    } else if !is_root && !fact.orphan && fact.names == 0 {
        scope.report(Finding::new(&UNNAMED).inode(fact.inode));
    } else if fact.kind == FileKind::Directory && fact.names > 1 {
        let finding = Finding::new(&DIRECTORY_NAMED_TWICE).inode(fact.inode);
        scope.report(finding.found(u64::from(fact.names)));
    }
}

/// Compares the parent that a directory names with the directory that it is in, if that is clear.
fn check_parent(scope: &Scope<'_>, fact: &InodeFact, directory: &DirectoryFact) {
    let expected = match fact.names {
        _ if fact.inode == ROOT_INODE => ROOT_INODE,
        1 => directory.named_in,
        _ => return,
    };
    if directory.parent != expected {
        let finding = Finding::new(&PARENT).inode(fact.inode);
        scope.report(finding.expected(expected).found(directory.parent));
    }
}

/// What is known of a directory on the way up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    /// On the path that is being followed.
    OnPath,
    /// It leads to the root, or to something that is reported already.
    Done,
}

/// Reports circles of directories, each once. Every directory is gone through once.
fn find_cycles(scope: &Scope<'_>, table: &InodeTable) -> Result<(), Halt> {
    let mut marks = vec![Mark::New; table.directories().len()];
    let mut path = Vec::new();
    for start in 0..marks.len() {
        let mut next = Some(start);
        while let Some(index) = next.filter(|index| marks.get(*index) == Some(&Mark::New)) {
            set(&mut marks, index, Mark::OnPath);
            path.push(index);
            next = step_up(table, index);
        }
        if let Some(index) = next.filter(|index| marks.get(*index) == Some(&Mark::OnPath)) {
            report_cycle(scope, table, &path, index);
        }
        for index in path.drain(..) {
            set(&mut marks, index, Mark::Done);
        }
        scope.advance(0)?;
    }
    Ok(())
}

fn set(marks: &mut [Mark], index: usize, mark: Mark) {
    if let Some(place) = marks.get_mut(index) {
        *place = mark;
    }
}

/// The directory that holds the one at `index`; none above the root or above one without a name.
fn step_up(table: &InodeTable, index: usize) -> Option<usize> {
    let directory = table.directories().get(index)?;
    if directory.inode == ROOT_INODE {
        return None;
    }
    table.directory_index(directory.named_in)
}

/// Reports the circle that begins and ends at `first`; the directories before it on the path lead
/// into it.
fn report_cycle(scope: &Scope<'_>, table: &InodeTable, path: &[usize], first: usize) {
    let circle = path.iter().skip_while(|index| **index != first);
    let inodes = circle.filter_map(|index| table.directories().get(*index)).map(|fact| fact.inode);
    let (lowest, count) =
        inodes.fold((u64::MAX, 0), |(low, count), inode| (low.min(inode), count + 1));
    scope.report(Finding::new(&DIRECTORY_CYCLE).inode(lowest).count(count));
}
