//! Extended attributes.
//!
//! Names are kept whole, with their namespace; which namespaces a caller may touch is the adapter's
//! to check.

use braidfs_format::item::{MAX_NAME_BYTES, MAX_XATTR_VALUE_BYTES};
use braidfs_format::{InodeNumber, InodeRecord, Item, Key, XattrBucket, XattrEntry};

use braidfs_store::Reservation;

use super::Volume;
use super::access::{leave_record, notable_attribute};
use crate::delta::View;
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::inode::now;
use crate::types::XattrMode;

/// Buckets that one look at the store brings.
const BATCH: usize = 64;
/// Blocks that an attribute may need in the end: its share of two leaves.
const XATTR_BLOCKS: u64 = 2;

impl Volume {
    /// The value of the extended attribute `name`.
    ///
    /// # Errors
    /// `NoAttribute`.
    pub fn getxattr(&self, inode: InodeNumber, name: &[u8]) -> FsResult<Vec<u8>> {
        let found = || {
            let pinned = self.pin(inode)?;
            let (view, _entries) = self.view_entries(&pinned);
            let (_, bucket) = self.xattr_bucket(&view, inode, name)?;
            let entry = bucket.entries.into_iter().find(|entry| *entry.name == *name);
            entry.map(|entry| entry.value.into_vec()).ok_or_else(no_attribute)
        };
        found().map_err(|error: FsError| error.during("getxattr").on(inode))
    }

    /// Sets the extended attribute `name`.
    ///
    /// # Errors
    /// `Exists` or `NoAttribute` by `mode`; `ValueTooLong` past 4096 bytes; `NoSpace`.
    pub fn setxattr(
        &self,
        inode: InodeNumber,
        name: &[u8],
        value: &[u8],
        mode: XattrMode,
    ) -> FsResult<()> {
        let set = || {
            check_xattr(name, value)?;
            self.replace_xattr(inode, name, Some(value), mode, leave_record)
        };
        set().map_err(|error: FsError| error.during("setxattr").on(inode))
    }

    /// Removes the extended attribute `name`.
    ///
    /// # Errors
    /// `NoAttribute`.
    pub fn removexattr(&self, inode: InodeNumber, name: &[u8]) -> FsResult<()> {
        self.replace_xattr(inode, name, None, XattrMode::Replace, leave_record)
            .map_err(|error| error.during("removexattr").on(inode))
    }

    /// The names of all extended attributes.
    ///
    /// # Errors
    /// Those of reading the store.
    pub fn listxattr(&self, inode: InodeNumber) -> FsResult<Vec<Vec<u8>>> {
        let listed = || {
            let pinned = self.pin(inode)?;
            let (view, _entries) = self.view_entries(&pinned);
            let mut names = Vec::new();
            for (_, bucket) in self.all_xattrs(&view, inode)? {
                names.extend(bucket.entries.into_iter().map(|entry| entry.name.into_vec()));
            }
            Ok(names)
        };
        listed().map_err(|error: FsError| error.during("listxattr").on(inode))
    }

    pub(super) fn all_xattrs(
        &self,
        view: &View,
        inode: InodeNumber,
    ) -> FsResult<std::collections::BTreeMap<Key, XattrBucket>> {
        let end = Key::xattr(inode, u64::MAX);
        let mut buckets = std::collections::BTreeMap::new();
        let mut from = Key::xattr(inode, 0);
        loop {
            let batch = self.store.range(from, end, BATCH)?;
            let last = batch.last().map(|(key, _)| *key);
            let complete = batch.len() < BATCH;
            for (key, item) in batch {
                if let Item::Xattr(bucket) = item {
                    buckets.insert(key, bucket);
                }
            }
            match last {
                Some(last) if !complete => from = Key::xattr(inode, last.offset + 1),
                _ => break,
            }
        }
        for (key, change) in view.changes(Key::xattr(inode, 0), end, usize::MAX).0 {
            match change {
                Some(Item::Xattr(bucket)) => drop(buckets.insert(key, bucket)),
                _ => drop(buckets.remove(&key)),
            }
        }
        Ok(buckets)
    }

    /// Sets an attribute, or removes it (`None`), and changes the record in the same delta.
    pub(super) fn replace_xattr(
        &self,
        inode: InodeNumber,
        name: &[u8],
        value: Option<&[u8]>,
        mode: XattrMode,
        change: impl FnOnce(&mut InodeRecord),
    ) -> FsResult<()> {
        let space = match value {
            Some(_) => self.reserve(XATTR_BLOCKS)?,
            None => Reservation::default(),
        };
        let guard = self.enter_change()?;
        let pinned = self.pin(inode)?;
        let _entries = pinned.entries.write();
        if pinned.state().is_removed() {
            return Err(FsError::new(FsErrorKind::NotFound, "the file is deleted"));
        }
        let (key, mut bucket) = self.xattr_bucket(&guard.view(), inode, name)?;
        replace_in(&mut bucket, name, value, mode)?;
        let item = (!bucket.entries.is_empty()).then_some(Item::Xattr(bucket));
        if item
            .as_ref()
            .is_some_and(|item| item.encoded_bytes() > braidfs_format::item::MAX_ITEM_BYTES)
        {
            return Err(FsError::new(FsErrorKind::NoSpace, "too many attributes of one hash"));
        }
        guard.charge(space);
        guard.changes().set(key, item);
        if let Some(notable) = &mut pinned.state().notable {
            notable.set(notable_attribute(name), value.is_some());
        }
        self.change_record(&guard, &pinned, |record| {
            change(record);
            record.changed = now();
        });
        Ok(())
    }

    pub(super) fn xattr_key(&self, inode: InodeNumber, name: &[u8]) -> Key {
        Key::xattr(inode, self.hasher.hash(name))
    }

    pub(super) fn xattr_bucket(
        &self,
        view: &View,
        inode: InodeNumber,
        name: &[u8],
    ) -> FsResult<(Key, XattrBucket)> {
        let key = self.xattr_key(inode, name);
        match view.item(&self.store, &key)? {
            Some(Item::Xattr(bucket)) => Ok((key, bucket)),
            _ => Ok((key, XattrBucket::default())),
        }
    }
}

/// Sets or removes the attribute among those of its hash.
fn replace_in(
    bucket: &mut XattrBucket,
    name: &[u8],
    value: Option<&[u8]>,
    mode: XattrMode,
) -> FsResult<()> {
    let before = bucket.entries.len();
    bucket.entries.retain(|entry| *entry.name != *name);
    match (bucket.entries.len() < before, mode) {
        (true, XattrMode::Create) => {
            return Err(FsError::new(FsErrorKind::Exists, "the attribute is there"));
        }
        (false, XattrMode::Replace) => return Err(no_attribute()),
        _ => {}
    }
    if let Some(value) = value {
        bucket.entries.push(XattrEntry { name: name.into(), value: value.into() });
    }
    Ok(())
}

fn no_attribute() -> FsError {
    FsError::new(FsErrorKind::NoAttribute, "there is no such attribute")
}

fn check_xattr(name: &[u8], value: &[u8]) -> FsResult<()> {
    if name.is_empty() || name.contains(&0) {
        return Err(FsError::new(FsErrorKind::Invalid, "that is not a name an attribute can have"));
    }
    if name.len() > MAX_NAME_BYTES {
        let detail = "the attribute's name is longer than 255 bytes";
        return Err(FsError::new(FsErrorKind::NameTooLong, detail));
    }
    if value.len() > MAX_XATTR_VALUE_BYTES {
        let detail = "the attribute's value is longer than 4096 bytes";
        return Err(FsError::new(FsErrorKind::ValueTooLong, detail));
    }
    Ok(())
}
