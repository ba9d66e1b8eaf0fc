//! Attributes: reading and setting them, and the access time.

use braidfs_format::{FileKind, InodeNumber, InodeRecord, Timestamp};

use super::Volume;
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::inode::{Inode, PinnedInode, now};
use crate::options::AccessTime;
use crate::types::{Attributes, SetAttributes, SetTime};

const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;
/// What a write by another user than the owner may have to clear.
pub(super) const SUID_SGID: u32 = SETUID | SETGID;
const GROUP_EXECUTE: u32 = 0o0010;
pub(super) const PERMISSIONS: u32 = 0o7777;
/// An access time older than this is updated even if it is newer than the modification.
const RELATIVE_ACCESS_SECONDS: i64 = 24 * 60 * 60;
/// Units of `st_blocks` in a block.
const UNITS_512: u64 = 8;

impl Volume {
    /// The attributes of an inode.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn getattr(&self, inode: InodeNumber) -> FsResult<Attributes> {
        let pinned = self.pin(inode).map_err(|error| error.during("getattr"))?;
        Ok(self.attributes(&pinned))
    }

    /// Sets attributes and returns them all. Permission is the caller's to check.
    ///
    /// # Errors
    /// `NotFound`, `ReadOnly`; those of cutting or extending a file.
    pub fn setattr(&self, inode: InodeNumber, wanted: &SetAttributes) -> FsResult<Attributes> {
        let set = || {
            if let Some(size) = wanted.size {
                self.truncate(inode, size)?;
            }
            let pinned = self.pin(inode)?;
            if wanted.size.is_none() && (wanted.uid.is_some() || wanted.gid.is_some()) {
                self.drop_capabilities(&pinned)?;
            }
            if wanted.mode.is_some() {
                self.notable(&pinned)?;
            }
            let guard = self.enter_change()?;
            // Lists are changed under this lock, so list and mode go together.
            let _entries = wanted.mode.is_some().then(|| pinned.entries.write());
            if let Some(mode) = wanted.mode {
                self.chmod_acl(&guard, &pinned, mode)?;
            }
            self.change_record(&guard, &pinned, |record| apply(record, wanted));
            if wanted.modified.is_some() && pinned.kind() == FileKind::Regular {
                // The modification time is staged with the data.
                self.change_data(&guard, &pinned, |_| ());
            }
            Ok(self.attributes(&pinned))
        };
        set().map_err(|error: FsError| error.during("setattr").on(inode))
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// `Invalid` if it is no link; those of reading the store.
    pub fn readlink(&self, inode: InodeNumber) -> FsResult<Vec<u8>> {
        let read = || {
            let pinned = self.pin(inode)?;
            if pinned.kind() != FileKind::Symlink {
                return Err(FsError::new(FsErrorKind::Invalid, "not a symbolic link"));
            }
            self.touch_accessed(&pinned);
            let state = pinned.state();
            let size = usize::try_from(state.record.size).unwrap_or(usize::MAX);
            if let Some(target) = &state.symlink_target {
                return Ok(target.to_vec());
            }
            drop(state);
            self.stored_target(&pinned, size)
        };
        read().map_err(|error: FsError| error.during("readlink").on(inode))
    }

    fn stored_target(&self, inode: &Inode, size: usize) -> FsResult<Vec<u8>> {
        let mut page = [0; braidfs_format::BLOCK_SIZE];
        for mapped in self.store.map(inode.number(), 0..1)? {
            self.store.read_extent(&mapped.extent, 0, &mut [&mut page])?;
        }
        match page.get(..size) {
            Some(target) => Ok(target.to_vec()),
            None => Err(FsError::new(FsErrorKind::Io, "the link is longer than a link can be")),
        }
    }

    pub(super) fn attributes(&self, inode: &Inode) -> Attributes {
        let unstaged = inode.existing_mapping().map_or(0, |mapping| mapping.pending_pages());
        let state = inode.state();
        let record = &state.record;
        Attributes {
            inode: inode.number(),
            generation: record.generation,
            mode: record.mode,
            links: record.links,
            uid: record.uid,
            gid: record.gid,
            device: record.device,
            size: record.size,
            blocks_512: blocks(record, unstaged, state.unstaged_blocks()).saturating_mul(UNITS_512),
            accessed: record.accessed,
            modified: record.modified,
            changed: record.changed,
            created: record.created,
        }
    }

    /// Updates the access time if the mount wants that. The caller holds no lock and no guard.
    pub(super) fn touch_accessed(&self, inode: &PinnedInode<'_>) {
        let time = now();
        let wanted = self.wants_access_time(&inode.state().record, time);
        if !wanted || self.options.read_only {
            return;
        }
        // A read does not fail because its time can't be noted.
        if let Ok(guard) = self.enter_change() {
            self.change_record(&guard, inode, |record| record.accessed = time);
        }
    }

    fn wants_access_time(&self, record: &InodeRecord, time: Timestamp) -> bool {
        match self.options.access_time {
            AccessTime::Never => false,
            AccessTime::Strict => true,
            AccessTime::Relative => {
                record.accessed <= record.modified
                    || record.accessed <= record.changed
                    || time.seconds.saturating_sub(record.accessed.seconds)
                        >= RELATIVE_ACCESS_SECONDS
            }
        }
    }
}

/// Blocks that a file holds, with what its unstaged pages will need; never more than its size does
/// unless it has blocks beyond its end.
fn blocks(record: &InodeRecord, unstaged: u64, preallocated: u64) -> u64 {
    let by_size = record.size.div_ceil(braidfs_format::BLOCK_SIZE as u64);
    let mapped = record.blocks.saturating_add(preallocated);
    mapped.saturating_add(unstaged).min(by_size.max(mapped))
}

fn apply(record: &mut InodeRecord, wanted: &SetAttributes) {
    let time = now();
    if let Some(mode) = wanted.mode {
        record.mode = record.mode & !PERMISSIONS | mode & PERMISSIONS;
    }
    if wanted.clear_suid_sgid {
        clear_suid_sgid(record);
    }
    if wanted.clear_setgid && record.kind() != FileKind::Directory {
        record.mode &= !SETGID;
    }
    record.uid = wanted.uid.unwrap_or(record.uid);
    record.gid = wanted.gid.unwrap_or(record.gid);
    let resolve = |set: SetTime| match set {
        SetTime::Now => time,
        SetTime::At(at) => at,
    };
    record.accessed = wanted.accessed.map_or(record.accessed, resolve);
    record.modified = wanted.modified.map_or(record.modified, resolve);
    record.changed = wanted.changed.unwrap_or(time);
}

/// Clears setuid, and setgid where it means more than mandatory locking. On a directory they mean
/// something else, and stay.
pub(super) fn clear_suid_sgid(record: &mut InodeRecord) {
    if record.kind() == FileKind::Directory {
        return;
    }
    record.mode &= !SETUID;
    if record.mode & GROUP_EXECUTE != 0 {
        record.mode &= !SETGID;
    }
}
