//! Directory entries: finding, adding and removing names.
//!
//! The caller holds the directory's `entries` lock, shared to find, alone to change.

use braidfs_format::{
    DirentBucket, DirentEntry, FileKind, InodeNumber, Item, Key, item::MAX_NAME_BYTES,
};
use parking_lot::{RwLockReadGuard, RwLockWriteGuard};

use super::Volume;
use crate::delta::{ChangeGuard, View};
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::inode::{Inode, PinnedInode, now};

/// Slots in a bucket; a cookie has seven bits for them.
const BUCKET_SLOTS: u8 = 128;

/// Checks a name that is to be looked up.
///
/// # Errors
/// `NameTooLong` past 255 bytes; `Invalid` for what no name may be.
pub(super) fn check_name(name: &[u8]) -> FsResult<()> {
    if name.len() > MAX_NAME_BYTES {
        let detail = "the name is longer than 255 bytes; choose a shorter one";
        return Err(FsError::new(FsErrorKind::NameTooLong, detail));
    }
    let forbidden = name.is_empty() || name == b"." || name == b"..";
    if forbidden || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
        return Err(FsError::new(FsErrorKind::Invalid, "that is not a name a file can have"));
    }
    Ok(())
}

impl Volume {
    /// Locks the entries, or attributes, of an inode for looking, and returns all that changed in them.
    /// The gate comes before these locks, so a delta may close in between; then it is tried again,
    /// since a view that misses changes could show an entry whose inode is gone.
    pub(super) fn view_entries<'a>(&self, inode: &'a Inode) -> (View, RwLockReadGuard<'a, ()>) {
        loop {
            let view = self.committer.gate.view();
            let entries = inode.entries.read();
            if self.committer.gate.is_current(&view) {
                return (view, entries);
            }
        }
    }

    fn bucket(
        &self,
        view: &View,
        directory: InodeNumber,
        name: &[u8],
    ) -> FsResult<(Key, DirentBucket)> {
        let key = Key::dirent(directory, self.hasher.hash(name));
        match view.item(&self.store, &key)? {
            Some(Item::Dirent(bucket)) => Ok((key, bucket)),
            _ => Ok((key, DirentBucket::default())),
        }
    }

    /// The entry `name` of `directory`.
    pub(super) fn find_entry(
        &self,
        view: &View,
        directory: &Inode,
        name: &[u8],
    ) -> FsResult<Option<DirentEntry>> {
        let (_, bucket) = self.bucket(view, directory.number(), name)?;
        Ok(bucket.entries.into_iter().find(|entry| *entry.name == *name))
    }

    /// The entry `name` of `directory`, which must be there.
    pub(super) fn require_entry(
        &self,
        view: &View,
        directory: &Inode,
        name: &[u8],
    ) -> FsResult<DirentEntry> {
        self.find_entry(view, directory, name)?.ok_or_else(|| {
            FsError::new(FsErrorKind::NotFound, "there is no such name").on(directory.number())
        })
    }

    /// Refuses a name that is taken, and a directory that takes no entries because it is deleted.
    pub(super) fn require_free_name(
        &self,
        view: &View,
        directory: &Inode,
        name: &[u8],
    ) -> FsResult<()> {
        require_alive(directory)?;
        match self.find_entry(view, directory, name)? {
            None => Ok(()),
            Some(_) => Err(FsError::new(FsErrorKind::Exists, "the name is taken")),
        }
    }

    /// Adds an entry whose name is free, and counts it.
    ///
    /// # Errors
    /// `NoSpace` if 128 names of this hash exist: with a secret hash key that does not happen.
    pub(super) fn add_entry(
        &self,
        guard: &ChangeGuard<'_>,
        directory: &PinnedInode<'_>,
        name: &[u8],
        inode: &NewEntry,
    ) -> FsResult<()> {
        let mut edit = self.edit_entries(&guard.view(), directory, name)?;
        edit.point(name, inode)?;
        self.apply_edit(guard, edit);
        self.count_entries(guard, directory, 1);
        Ok(())
    }

    /// Removes an entry that is there, and counts it.
    pub(super) fn remove_entry(
        &self,
        guard: &ChangeGuard<'_>,
        directory: &PinnedInode<'_>,
        name: &[u8],
    ) -> FsResult<()> {
        let mut edit = self.edit_entries(&guard.view(), directory, name)?;
        edit.remove(name);
        self.apply_edit(guard, edit);
        self.count_entries(guard, directory, -1);
        Ok(())
    }

    /// The entries that share the hash of `name`, to be changed and then applied.
    pub(super) fn edit_entries(
        &self,
        view: &View,
        directory: &Inode,
        name: &[u8],
    ) -> FsResult<EntryEdit> {
        let (key, bucket) = self.bucket(view, directory.number(), name)?;
        Ok(EntryEdit { key, bucket })
    }

    /// Puts changed entries into the open delta.
    pub(super) fn apply_edit(&self, guard: &ChangeGuard<'_>, edit: EntryEdit) {
        let EntryEdit { key, bucket } = edit;
        let item = (!bucket.entries.is_empty()).then_some(Item::Dirent(bucket));
        guard.changes().set(key, item);
    }

    /// Counts the entries of a directory after a change of them, and notes the time.
    pub(super) fn count_entries(
        &self,
        guard: &ChangeGuard<'_>,
        directory: &PinnedInode<'_>,
        change: i64,
    ) {
        self.change_record(guard, directory, |record| {
            record.size = record.size.saturating_add_signed(change);
            record.modified = now();
            record.changed = record.modified;
        });
    }
}

/// What an entry points to.
pub(super) struct NewEntry {
    pub inode: InodeNumber,
    pub kind: FileKind,
}

/// The entries of one hash in a directory while they are changed.
pub(super) struct EntryEdit {
    pub key: Key,
    bucket: DirentBucket,
}

impl EntryEdit {
    /// Points the entry `name` to an inode; adds it if it is not there.
    pub fn point(&mut self, name: &[u8], to: &NewEntry) -> FsResult<()> {
        let NewEntry { inode, kind } = *to;
        let entries = &mut self.bucket.entries;
        if let Some(entry) = entries.iter_mut().find(|entry| *entry.name == *name) {
            (entry.inode, entry.kind) = (inode, kind);
            return Ok(());
        }
        let slot =
            (0..BUCKET_SLOTS)
                .find(|slot| entries.iter().all(|entry| entry.slot != *slot))
                .ok_or_else(|| FsError::new(FsErrorKind::NoSpace, "too many names of one hash"))?;
        entries.push(DirentEntry { slot, kind, inode, name: name.into() });
        entries.sort_by_key(|entry| entry.slot);
        Ok(())
    }

    /// Takes the entry `name` out.
    pub fn remove(&mut self, name: &[u8]) {
        self.bucket.entries.retain(|entry| *entry.name != *name);
    }
}

/// Refuses a directory that is deleted but still open.
pub(super) fn require_alive(directory: &Inode) -> FsResult<()> {
    if directory.state().record.links == 0 {
        let detail = "the directory is deleted";
        return Err(FsError::new(FsErrorKind::NotFound, detail).on(directory.number()));
    }
    Ok(())
}

/// Takes the `entries` locks of some inodes alone, in order of their numbers, each once.
pub(super) fn lock_entries<'a>(inodes: &[&'a Inode]) -> Vec<RwLockWriteGuard<'a, ()>> {
    let mut ordered: Vec<&'a Inode> = inodes.to_vec();
    ordered.sort_by_key(|inode| inode.number());
    ordered.dedup_by_key(|inode| inode.number());
    ordered.into_iter().map(|inode| inode.entries.write()).collect()
}
