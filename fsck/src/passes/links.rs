//! Pass 7: link counts.
//!
//! A file has one for each name, a directory two and one for each subdirectory. Orphans are left to
//! their own pass, and so are files without a name, which is reported already.

use braidfs_format::{FileKind, ROOT_INODE};

use super::Known;
use crate::error::Halt;
use crate::finding::Finding;
use crate::problem::{DIRECTORY_LINKS, FILE_LINKS};
use crate::volume::scope::Scope;

/// Runs the pass.
pub(crate) fn run(scope: &Scope<'_>, known: &mut Known) -> Result<(), Halt> {
    for fact in known.inodes.inodes().iter().filter(|fact| !fact.orphan) {
        scope.advance(1)?;
        let (problem, found) = match fact.kind {
            FileKind::Directory => {
                let directory = known.inodes.directory(fact.inode);
                let subdirectories = directory.map_or(0, |fact| fact.subdirectories);
                (&DIRECTORY_LINKS, 2 + u64::from(subdirectories))
            }
            _ if fact.names == 0 || fact.inode == ROOT_INODE => continue,
            _ => (&FILE_LINKS, u64::from(fact.names)),
        };
        if u64::from(fact.links) != found {
            let finding = Finding::new(problem).inode(fact.inode);
            scope.report(finding.expected(u64::from(fact.links)).found(found));
        }
    }
    Ok(())
}
