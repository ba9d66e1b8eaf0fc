//! Entering the open delta to change the content of a file, without waiting in it.
//!
//! A page may have to be waited for: under the policy `wait`, at the limit of frozen copies, or when memory is
//! short. Whoever waited within the open delta would hold up the next commit, and everybody behind
//! it. So the pages are asked for before the first change; if one has to be waited for, the delta and the
//! file are left, and entered again after the wait.
//!
//! Lock order: gate, `io`, inode state; nothing is held in a wait.

use braidfs_pagecache::{Admission, Patience};
use parking_lot::RwLockWriteGuard;

use super::Volume;
use crate::delta::ChangeGuard;
use crate::error::FsResult;
use crate::inode::{InodeState, PinnedInode};

/// A change of a file's content that has begun. Its locks are let go in this order.
pub(super) struct DataChange<'a> {
    /// Edits of the ranges that were asked for.
    pub admission: Admission<'a>,
    /// Keeps other operations on the content out.
    pub _io: RwLockWriteGuard<'a, ()>,
    /// Ties the change to the open delta.
    pub guard: ChangeGuard<'a>,
}

impl Volume {
    /// Enters the open delta and takes the file for a change of its content, with what a closed delta needs of
    /// it frozen. `ranges` says which bytes, from and to, will be written or zeroed in part.
    pub(super) fn enter_data_change<'a>(
        &'a self,
        inode: &'a PinnedInode<'_>,
        ranges: impl Fn(&InodeState) -> Vec<(u64, u64)>,
    ) -> FsResult<DataChange<'a>> {
        let mut patience = Patience::default();
        let mapping = inode.mapping(&self.cache);
        loop {
            let guard = self.enter_change()?;
            let io = inode.io.write();
            self.prepare_data(&guard, inode);
            let ranges = ranges(&inode.state());
            // There is always a first: nothing at all is admitted at once.
            let mut admitted = mapping.admit(0..0);
            for (start, end) in ranges {
                admitted = admitted.and_then(|_| mapping.admit(start..end));
            }
            match admitted {
                Ok(admission) => return Ok(DataChange { admission, _io: io, guard }),
                Err(stall) => {
                    drop((io, guard));
                    self.cache.wait_out(stall, &mut patience)?;
                }
            }
        }
    }
}
