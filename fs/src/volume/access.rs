//! Who may do what: access control lists, capabilities of programs, setuid and setgid.
//!
//! The kernel checks access; what it takes from here is that lists, mode and attributes agree, that new
//! files get what their directory hands on, and that what gives privileges goes when a file changes.

use braidfs_format::{FileKind, InodeNumber, InodeRecord, Item, Key, XattrBucket, XattrEntry};

use super::Volume;
use super::attributes::PERMISSIONS;
use crate::acl::{ACCESS_ATTRIBUTE, Acl, DEFAULT_ATTRIBUTE};
use crate::delta::{ChangeGuard, View};
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::inode::{Inode, Notable, PinnedInode};
use crate::types::{Credentials, XattrMode};

/// The attribute with the capabilities that a program gets.
const CAPABILITY_ATTRIBUTE: &[u8] = b"security.capability";
const PERMISSION_BITS: u32 = 0o777;

/// What a new file gets from its directory.
pub(super) struct Inherited {
    /// Permission bits, with the umask or the list applied.
    pub permissions: u32,
    /// Attributes with its lists.
    pub attributes: Vec<XattrEntry>,
    /// Which those are.
    pub notable: Notable,
}

/// Which of the notable attributes this one is.
pub(super) fn notable_attribute(name: &[u8]) -> Notable {
    match name {
        ACCESS_ATTRIBUTE => Notable::ACCESS_ACL,
        DEFAULT_ATTRIBUTE => Notable::DEFAULT_ACL,
        CAPABILITY_ATTRIBUTE => Notable::CAPABILITY,
        _ => Notable::empty(),
    }
}

impl Volume {
    /// Sets the attribute that is an access control list: the mode follows, and a list that says no
    /// more than a mode is not kept. `kill_setgid`: the caller may not keep setgid.
    ///
    /// # Errors
    /// `Invalid` for what is no list, `NotPermitted` for a default list of what is no directory,
    /// `NotSupported` for links; `NoSpace`.
    pub fn set_acl(
        &self,
        inode: InodeNumber,
        name: &[u8],
        value: &[u8],
        kill_setgid: bool,
    ) -> FsResult<()> {
        let set = || {
            let list = Acl::decode(value)?;
            let is_access = name == ACCESS_ATTRIBUTE;
            check_can_have(self.pin(inode)?.kind(), is_access)?;
            let mode = list.as_ref().filter(|_| is_access).map(Acl::mode);
            let kept = list.filter(|list| !(is_access && list.is_minimal()));
            let value = kept.map(|list| list.encode());
            self.replace_xattr(inode, name, value.as_deref(), XattrMode::Set, |record| {
                if let Some(mode) = mode {
                    record.mode = record.mode & !PERMISSION_BITS | mode;
                }
                if kill_setgid && is_access {
                    record.mode &= !0o2000;
                }
            })
        };
        set().map_err(|error: FsError| error.during("setxattr").on(inode))
    }

    /// The list in an attribute of an inode, whose attributes the caller has locked.
    fn acl(&self, view: &View, inode: InodeNumber, name: &[u8]) -> FsResult<Option<Acl>> {
        let (_, bucket) = self.xattr_bucket(view, inode, name)?;
        match bucket.entries.iter().find(|entry| *entry.name == *name) {
            Some(entry) => Acl::decode(&entry.value),
            None => Ok(None),
        }
    }

    /// Which attributes of an inode an operation must heed; remembered, since most have none.
    pub(super) fn notable(&self, inode: &Inode) -> FsResult<Notable> {
        if let Some(known) = inode.state().notable {
            return Ok(known);
        }
        let (view, _entries) = self.view_entries(inode);
        let buckets = self.all_xattrs(&view, inode.number())?;
        let names = buckets.values().flat_map(|bucket| &bucket.entries);
        let found = names.map(|entry| notable_attribute(&entry.name)).collect();
        // Attributes change under a lock that is held here, so nothing newer is overwritten.
        inode.state().notable = Some(found);
        Ok(found)
    }

    /// What a file made in `parent`, whose entries the caller has locked, gets.
    pub(super) fn inherit(
        &self,
        view: &View,
        parent: &Inode,
        (kind, permissions): (FileKind, u32),
        credentials: &Credentials,
    ) -> FsResult<Inherited> {
        let mut inherited = Inherited {
            permissions: permissions & !(credentials.umask & PERMISSION_BITS),
            attributes: Vec::new(),
            notable: Notable::empty(),
        };
        if kind == FileKind::Symlink {
            inherited.permissions = permissions;
            return Ok(inherited);
        }
        let hands_on = parent.state().notable.is_some_and(|n| n.contains(Notable::DEFAULT_ACL));
        if !hands_on {
            return Ok(inherited);
        }
        let Some(default) = self.acl(view, parent.number(), DEFAULT_ATTRIBUTE)? else {
            return Ok(inherited);
        };
        let mut access = default.clone();
        let limited = access.limit_to(permissions);
        inherited.permissions = permissions & PERMISSIONS & !PERMISSION_BITS | limited;
        if !access.is_minimal() {
            inherited.add(ACCESS_ATTRIBUTE, &access);
        }
        if kind == FileKind::Directory {
            inherited.add(DEFAULT_ATTRIBUTE, &default);
        }
        Ok(inherited)
    }

    /// Gives a new inode its first attributes.
    pub(super) fn put_attributes(
        &self,
        guard: &ChangeGuard<'_>,
        inode: InodeNumber,
        attributes: Vec<XattrEntry>,
    ) {
        let mut buckets = std::collections::BTreeMap::<Key, XattrBucket>::new();
        for attribute in attributes {
            let key = self.xattr_key(inode, &attribute.name);
            buckets.entry(key).or_default().entries.push(attribute);
        }
        for (key, bucket) in buckets {
            guard.changes().set(key, Some(Item::Xattr(bucket)));
        }
    }

    /// Changes the access list, if there is one, as chmod(2) changes the mode. The caller has the
    /// attributes locked, and has looked what is [`Volume::notable`].
    pub(super) fn chmod_acl(
        &self,
        guard: &ChangeGuard<'_>,
        inode: &PinnedInode<'_>,
        mode: u32,
    ) -> FsResult<()> {
        if !inode.state().notable.is_some_and(|notable| notable.contains(Notable::ACCESS_ACL)) {
            return Ok(());
        }
        let (key, mut bucket) =
            self.xattr_bucket(&guard.view(), inode.number(), ACCESS_ATTRIBUTE)?;
        for entry in bucket.entries.iter_mut().filter(|entry| *entry.name == *ACCESS_ATTRIBUTE) {
            if let Some(mut list) = Acl::decode(&entry.value)? {
                list.set_mode(mode);
                entry.value = list.encode().into();
            }
        }
        guard.changes().set(key, Some(Item::Xattr(bucket)));
        Ok(())
    }

    /// Takes the capabilities of a program away, since its content or owner is about to change.
    pub(super) fn drop_capabilities(&self, inode: &Inode) -> FsResult<()> {
        if !self.notable(inode)?.contains(Notable::CAPABILITY) {
            return Ok(());
        }
        match self.removexattr(inode.number(), CAPABILITY_ATTRIBUTE) {
            // Somebody else was faster.
            Err(error) if error.kind() == FsErrorKind::NoAttribute => Ok(()),
            outcome => outcome,
        }
    }
}

impl Inherited {
    fn add(&mut self, name: &[u8], list: &Acl) {
        self.attributes.push(XattrEntry { name: name.into(), value: list.encode().into() });
        self.notable |= notable_attribute(name);
    }
}

fn check_can_have(kind: FileKind, is_access: bool) -> FsResult<()> {
    match kind {
        FileKind::Symlink => {
            let detail = "a symbolic link has no access control list";
            Err(FsError::new(FsErrorKind::NotSupported, detail))
        }
        FileKind::Directory => Ok(()),
        _ if is_access => Ok(()),
        _ => {
            let detail = "only directories have default access control lists";
            Err(FsError::new(FsErrorKind::AccessDenied, detail))
        }
    }
}

/// What [`Volume::replace_xattr`] does to the record, where nothing is to be done.
pub(super) fn leave_record(_: &mut InodeRecord) {}
