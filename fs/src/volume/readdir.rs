//! Reading directories: the entries of the store merged with the changes on top of it.
//!
//! A cookie is the hash of the name, then seven bits of slot: it stays right while entries come and
//! go. Names come in the order of their hashes.

use braidfs_format::{DirentBucket, FileKind, InodeNumber, Item, Key};

use super::Volume;
use crate::delta::View;
use crate::error::FsResult;
use crate::inode::Inode;
use crate::types::{Attributes, DirectoryEntry};

const DOT_COOKIE: u64 = 1;
const DOT_DOT_COOKIE: u64 = 2;
const SLOT_BITS: u32 = 7;
/// Buckets that one look at the store, or at unpublished changes, brings.
const BATCH: usize = 256;

/// The entries whose names have one hash, behind that hash.
type HashedBucket = (u64, DirentBucket);

impl Volume {
    /// Shows the entries behind `after_cookie` (0: from the start, "." and ".." first) to `visit`
    /// until it answers false.
    ///
    /// # Errors
    /// `NotADirectory`; those of reading the store.
    pub fn readdir(
        &self,
        inode: InodeNumber,
        after_cookie: u64,
        visit: &mut dyn FnMut(&DirectoryEntry) -> bool,
    ) -> FsResult<()> {
        self.visit_entries(inode, after_cookie, visit)
            .map_err(|error| error.during("readdir").on(inode))
    }

    /// As [`Volume::readdir`], with the attributes of each entry. Every entry that `visit` accepts, but
    /// for "." and "..", counts one reference.
    ///
    /// # Errors
    /// As [`Volume::readdir`].
    pub fn readdir_plus(
        &self,
        inode: InodeNumber,
        after_cookie: u64,
        visit: &mut dyn FnMut(&DirectoryEntry, Option<&Attributes>) -> bool,
    ) -> FsResult<()> {
        self.visit_entries(inode, after_cookie, &mut |entry| self.visit_plus(entry, visit))
            .map_err(|error| error.during("readdirplus").on(inode))
    }

    fn visit_plus(
        &self,
        entry: &DirectoryEntry,
        visit: &mut dyn FnMut(&DirectoryEntry, Option<&Attributes>) -> bool,
    ) -> bool {
        if entry.cookie <= DOT_DOT_COOKIE {
            return visit(entry, None);
        }
        let Ok(pinned) = self.pin(entry.inode) else { return visit(entry, None) };
        let accepted = visit(entry, Some(&self.attributes(&pinned)));
        if accepted {
            pinned.add_kernel_reference();
        }
        accepted
    }

    fn visit_entries(
        &self,
        inode: InodeNumber,
        after_cookie: u64,
        visit: &mut dyn FnMut(&DirectoryEntry) -> bool,
    ) -> FsResult<()> {
        let directory = self.pin_directory(inode)?;
        self.touch_accessed(&directory);
        let (view, _entries) = self.view_entries(&directory);
        if !visit_dots(&directory, after_cookie, visit) {
            return Ok(());
        }
        let mut from = Key::dirent(inode, after_cookie >> SLOT_BITS);
        let end = Key { offset: u64::MAX, ..from };
        loop {
            let (buckets, next) = self.merged_buckets(&view, from, end)?;
            for (hash, bucket) in buckets {
                for entry in &bucket.entries {
                    let cookie = hash << SLOT_BITS | u64::from(entry.slot);
                    if cookie <= after_cookie {
                        continue;
                    }
                    let (inode, kind) = (entry.inode, entry.kind);
                    let name = entry.name.to_vec();
                    if !visit(&DirectoryEntry { inode, cookie, kind, name }) {
                        return Ok(());
                    }
                }
            }
            match next {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    /// The buckets from `from` on, as far as one look at the store reaches, and where to go on.
    fn merged_buckets(
        &self,
        view: &View,
        from: Key,
        end: Key,
    ) -> FsResult<(Vec<HashedBucket>, Option<Key>)> {
        let stored = self.store.range(from, end, BATCH)?;
        let reached = match stored.last() {
            Some((last, _)) if stored.len() == BATCH => {
                Key { offset: last.offset.saturating_add(1), ..from }
            }
            _ => end,
        };
        let (changes, reached) = view.changes(from, reached, BATCH);
        let mut buckets = stored.into_iter().take_while(|(key, _)| *key < reached).peekable();
        let mut merged = Vec::new();
        for (key, change) in changes {
            while let Some((stored_key, item)) = buckets.next_if(|(stored, _)| *stored < key) {
                push_bucket(&mut merged, stored_key, Some(item));
            }
            buckets.next_if(|(stored, _)| *stored == key);
            push_bucket(&mut merged, key, change);
        }
        for (key, item) in buckets {
            push_bucket(&mut merged, key, Some(item));
        }
        Ok((merged, (reached != end).then_some(reached)))
    }
}

fn push_bucket(merged: &mut Vec<HashedBucket>, key: Key, item: Option<Item>) {
    if let Some(Item::Dirent(bucket)) = item {
        merged.push((key.offset, bucket));
    }
}

fn visit_dots(
    directory: &Inode,
    after_cookie: u64,
    visit: &mut dyn FnMut(&DirectoryEntry) -> bool,
) -> bool {
    let parent = directory.state().record.parent;
    let dots =
        [(directory.number(), DOT_COOKIE, b".".to_vec()), (parent, DOT_DOT_COOKIE, b"..".to_vec())];
    dots.into_iter().filter(|(_, cookie, _)| *cookie > after_cookie).all(|(inode, cookie, name)| {
        visit(&DirectoryEntry { inode, cookie, kind: FileKind::Directory, name })
    })
}
