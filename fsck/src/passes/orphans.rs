//! Pass 8: orphans: inodes without a name that were in use when the volume was last written to.
//!
//! An orphan record is a promise that the next mount deletes the inode, so it must stand for an
//! inode that nothing needs: it exists, no name points to it, and its link count says so.

use super::Known;
use crate::error::Halt;
use crate::finding::Finding;
use crate::problem::{ORPHAN_LINKS, ORPHAN_NAMED, ORPHAN_NOT_EMPTY, ORPHAN_WITHOUT_INODE};
use crate::volume::scope::Scope;

/// Runs the pass.
pub(crate) fn run(scope: &Scope<'_>, known: &mut Known) -> Result<(), Halt> {
    for inode in &known.orphans {
        scope.advance(1)?;
        let at = |problem| Finding::new(problem).inode(*inode);
        let Some(fact) = known.inodes.get(*inode) else {
            scope.report(at(&ORPHAN_WITHOUT_INODE));
            continue;
        };
        if fact.links != 0 {
            scope.report(at(&ORPHAN_LINKS).found(u64::from(fact.links)));
        }
        if fact.names > 0 {
            scope.report(at(&ORPHAN_NAMED).found(u64::from(fact.names)));
        }
        let entries = known.inodes.directory(*inode).map_or(0, |directory| directory.entries);
        if entries > 0 {
            scope.report(at(&ORPHAN_NOT_EMPTY).found(entries));
        }
    }
    Ok(())
}
