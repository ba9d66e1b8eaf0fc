//! Removing names, and the inodes that lost their last one.
//!
//! An inode whose last name goes while something refers to it becomes an orphan: a record under
//! inode 0 says so, and the next mount deletes it if this one does not get to it.

use braidfs_format::{InodeNumber, Item, Key, KeyKind};

use super::Volume;
use super::names::{check_name, lock_entries};
use crate::delta::ChangeGuard;
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::inode::{Inode, InodeState, PinnedInode, now};

/// Orphans that one look at the store brings.
const ORPHAN_BATCH: usize = 256;

impl Volume {
    /// Removes a name of a file that is not a directory.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`. A full volume is no hindrance.
    pub fn unlink(&self, parent: InodeNumber, name: &[u8]) -> FsResult<()> {
        self.remove_name(parent, name, false).map_err(|error| error.during("unlink").on(parent))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`, `NotEmpty`.
    pub fn rmdir(&self, parent: InodeNumber, name: &[u8]) -> FsResult<()> {
        self.remove_name(parent, name, true).map_err(|error| error.during("rmdir").on(parent))
    }

    fn remove_name(&self, parent: InodeNumber, name: &[u8], directory: bool) -> FsResult<()> {
        check_name(name)?;
        let guard = self.enter_change()?;
        let parent = self.pin_directory(parent)?;
        loop {
            let entry = self.require_entry(&guard.view(), &parent, name)?;
            let victim = self.pin(entry.inode)?;
            require_kind(&victim, directory)?;
            let _entries = lock_entries(&[&parent, &victim]);
            // The name may have gone elsewhere before the locks were held.
            let entry = self.require_entry(&guard.view(), &parent, name)?;
            if entry.inode != victim.number() {
                continue;
            }
            if directory {
                require_empty(&victim)?;
            }
            self.remove_entry(&guard, &parent, name)?;
            self.drop_link(&guard, Some(&parent), &victim);
            return Ok(());
        }
    }

    /// Takes one link from an inode that lost a name in `parent`. A directory loses both of its own
    /// and its parent one; without a `parent` the caller sees to the parent's links.
    pub(super) fn drop_link(
        &self,
        guard: &ChangeGuard<'_>,
        parent: Option<&PinnedInode<'_>>,
        victim: &PinnedInode<'_>,
    ) {
        let is_directory = victim.is_directory();
        if let (true, Some(parent)) = (is_directory, parent) {
            self.change_record(guard, parent, |record| {
                record.links = record.links.saturating_sub(1);
            });
        }
        let links_left = self.change_record(guard, victim, |record| {
            record.links = if is_directory { 0 } else { record.links.saturating_sub(1) };
            record.changed = now();
            record.links
        });
        if links_left > 0 {
            return;
        }
        if victim.is_referenced() {
            self.make_orphan(guard, victim);
        } else {
            self.delete(guard, victim);
        }
    }

    pub(super) fn make_orphan(&self, guard: &ChangeGuard<'_>, inode: &PinnedInode<'_>) {
        guard.changes().set(Key::orphan(inode.number()), Some(Item::Orphan));
        inode.state().orphaned_in = Some(guard.delta());
    }

    /// A file that was made without a name gets one.
    pub(super) fn adopt(&self, guard: &ChangeGuard<'_>, inode: &PinnedInode<'_>) {
        let mut state = inode.state();
        state.is_temporary = false;
        drop_orphan_record(guard, &mut state, inode.number());
    }

    /// Deletes an inode without names if nothing refers to it any more.
    pub(super) fn delete_if_unused(&self, inode: &PinnedInode<'_>) {
        let unused = |inode: &Inode| {
            let state = inode.state();
            state.record.links == 0 && !state.is_removed() && !inode.is_referenced()
        };
        if !unused(inode) || self.options.read_only {
            return;
        }
        // A volume that takes no changes any more leaves it to the next mount.
        let Ok(guard) = self.enter_change() else { return };
        let _entries = inode.entries.write();
        if unused(inode) {
            self.delete(&guard, inode);
        }
    }

    /// Deletes an inode: its items, its pages, its orphan record. Its blocks are freed by the store.
    fn delete(&self, guard: &ChangeGuard<'_>, inode: &PinnedInode<'_>) {
        let _io = inode.io.write();
        let mut state = inode.state();
        state.freeze_if_due(guard.delta(), guard.closed_full(), inode.existing_mapping());
        let number = inode.number();
        drop_orphan_record(guard, &mut state, number);
        if state.is_stored() {
            guard.changes().remove_inode(inode.share());
        } else {
            self.forget_items(guard, number);
        }
        state.remove(&self.store);
        inode.note_deleted();
        if !state.is_frozen() {
            self.committer.note_clean_data(number);
        }
        drop(state);
        if let Some(mapping) = inode.existing_mapping() {
            // Cutting to nothing reads nothing, so there is nothing that could fail.
            let _ = mapping.truncate(0, &self.filler(inode));
        }
    }

    /// Drops the items of an inode that lived in the open delta only.
    fn forget_items(&self, guard: &ChangeGuard<'_>, inode: InodeNumber) {
        let after = Key { inode: inode + 1, ..Key::MIN };
        for (key, _) in guard.changes().range(Key::inode(inode), after, usize::MAX) {
            guard.changes().forget(&key);
        }
    }

    /// Deletes what the last mount left without names.
    pub(super) fn delete_orphans(&self) -> FsResult<()> {
        let end = Key::shared(0);
        let mut from = Key::orphan(0);
        loop {
            let batch = self.store.range(from, end, ORPHAN_BATCH)?;
            let Some((last, _)) = batch.last() else { return Ok(()) };
            from = Key::orphan(last.offset.saturating_add(1));
            for (key, _) in batch.iter().filter(|(key, _)| key.kind == KeyKind::Orphan) {
                self.delete_orphan(key.offset)?;
            }
        }
    }

    fn delete_orphan(&self, number: InodeNumber) -> FsResult<()> {
        let guard = self.enter_change()?;
        match self.pin(number) {
            Ok(inode) => {
                inode.state().orphaned_in = Some(0);
                self.delete(&guard, &inode);
                Ok(())
            }
            Err(error) if error.kind() == FsErrorKind::NotFound => {
                guard.changes().set(Key::orphan(number), None);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn drop_orphan_record(guard: &ChangeGuard<'_>, state: &mut InodeState, number: InodeNumber) {
    match state.orphaned_in.take() {
        // The record never left this delta: it is as if it had never been.
        Some(delta) if delta == guard.delta() => guard.changes().forget(&Key::orphan(number)),
        Some(_) => guard.changes().set(Key::orphan(number), None),
        None => {}
    }
}

fn require_kind(victim: &Inode, directory: bool) -> FsResult<()> {
    match (directory, victim.is_directory()) {
        (true, false) => Err(FsError::new(FsErrorKind::NotADirectory, "not a directory")),
        (false, true) => Err(FsError::new(FsErrorKind::IsADirectory, "is a directory; use rmdir")),
        _ => Ok(()),
    }
}

/// Refuses a directory with entries.
pub(super) fn require_empty(directory: &Inode) -> FsResult<()> {
    match directory.state().record.size {
        0 => Ok(()),
        _ => Err(FsError::new(FsErrorKind::NotEmpty, "the directory is not empty")),
    }
}
