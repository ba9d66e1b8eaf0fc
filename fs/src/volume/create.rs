//! Making files: regular, device, directory, symbolic link, and further names for a file.

use std::sync::Arc;

use braidfs_format::item::MAX_LINKS;
use braidfs_format::{Extent, ExtentContent, FileKind, InodeNumber, InodeRecord, MapChange};
use braidfs_store::Reservation;

use super::Volume;
use super::access::Inherited;
use super::attributes::PERMISSIONS;
use super::names::{NewEntry, check_name, lock_entries, require_alive};
use crate::delta::{ChangeGuard, View};
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::inode::{Inode, Notable, PinnedInode, now};
use crate::types::{Attributes, Credentials};

/// Blocks that a new name may need in the end: a leaf's share and an inline target's block.
pub(super) const NEW_NAME_BLOCKS: u64 = 2;
/// Blocks that the access control lists of a new file may need besides.
const INHERITED_BLOCKS: u64 = 4;
/// The longest target of a symbolic link, in bytes.
const MAX_TARGET_BYTES: usize = 4095;
const SETGID: u32 = 0o2000;

impl Volume {
    /// Makes a regular file, a pipe, a socket or a device.
    ///
    /// # Errors
    /// `Exists`, `NotFound` (deleted parent), `NameTooLong`, `NoSpace`, `Invalid` for other types.
    pub fn mknod(
        &self,
        parent: InodeNumber,
        name: &[u8],
        mode: u32,
        device: u32,
        credentials: &Credentials,
    ) -> FsResult<Attributes> {
        let kind = match FileKind::from_mode(mode) {
            Some(FileKind::Directory | FileKind::Symlink) => None,
            // mknod(2): no type means a regular file.
            None if mode & !PERMISSIONS == 0 => Some(FileKind::Regular),
            kind => kind,
        };
        let kind = kind.ok_or_else(|| {
            FsError::new(FsErrorKind::Invalid, "mknod can't make a file of that type")
        })?;
        let has_device = matches!(kind, FileKind::CharDevice | FileKind::BlockDevice);
        let new = NewFile {
            kind,
            permissions: mode & PERMISSIONS,
            device: if has_device { device } else { 0 },
            target: None,
        };
        self.create(parent, name, &new, credentials).map_err(|error| error.during("create"))
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// As [`Volume::mknod`]; `TooManyLinks` if the parent has too many subdirectories.
    pub fn mkdir(
        &self,
        parent: InodeNumber,
        name: &[u8],
        mode: u32,
        credentials: &Credentials,
    ) -> FsResult<Attributes> {
        let permissions = mode & PERMISSIONS;
        let new = NewFile { kind: FileKind::Directory, permissions, device: 0, target: None };
        self.create(parent, name, &new, credentials).map_err(|error| error.during("mkdir"))
    }

    /// Makes a symbolic link to `target`.
    ///
    /// # Errors
    /// As [`Volume::mknod`]; `NameTooLong` if the target is empty or longer than 4095 bytes.
    pub fn symlink(
        &self,
        parent: InodeNumber,
        name: &[u8],
        target: &[u8],
        credentials: &Credentials,
    ) -> FsResult<Attributes> {
        if target.is_empty() || target.contains(&0) {
            let detail = "a link needs a target without null bytes";
            return Err(FsError::new(FsErrorKind::Invalid, detail).during("symlink"));
        }
        if target.len() > MAX_TARGET_BYTES {
            let detail = "the target is longer than 4095 bytes";
            return Err(FsError::new(FsErrorKind::NameTooLong, detail).during("symlink"));
        }
        let new = NewFile {
            kind: FileKind::Symlink,
            permissions: 0o777,
            device: 0,
            target: Some(target.into()),
        };
        self.create(parent, name, &new, credentials).map_err(|error| error.during("symlink"))
    }

    /// Gives a file one more name.
    ///
    /// # Errors
    /// `NotPermitted` for directories, `TooManyLinks`, `NotFound` if the file has no name left,
    /// and as [`Volume::mknod`].
    pub fn link(
        &self,
        inode: InodeNumber,
        new_parent: InodeNumber,
        new_name: &[u8],
    ) -> FsResult<Attributes> {
        self.add_link(inode, new_parent, new_name).map_err(|error| error.during("link").on(inode))
    }

    fn create(
        &self,
        parent: InodeNumber,
        name: &[u8],
        new: &NewFile,
        credentials: &Credentials,
    ) -> FsResult<Attributes> {
        check_name(name)?;
        let parent = self.pin_directory(parent)?;
        let space = self.reserve_for_file_in(&parent)?;
        let guard = self.enter_change()?;
        let _entries = lock_entries(&[&parent]);
        self.require_free_name(&guard.view(), &parent, name)?;
        let beginning = self.plan(&guard.view(), &parent, new, credentials)?;
        let number = self.inodes.allocate_number();
        self.add_entry(&guard, &parent, name, &NewEntry { inode: number, kind: new.kind })?;
        guard.charge(space);
        if new.kind == FileKind::Directory {
            self.change_record(&guard, &parent, |record| record.links += 1);
        }
        let inode = self.begin(&guard, number, beginning);
        if let Some(target) = &new.target {
            self.set_target(&guard, &inode, target);
        }
        Ok(self.attributes(&inode))
    }

    /// Makes a regular file without a name, which is gone with the last reference to it unless it is
    /// linked: O_TMPFILE. `directory` says what it inherits.
    ///
    /// # Errors
    /// As [`Volume::mknod`].
    pub fn create_unnamed(
        &self,
        directory: InodeNumber,
        mode: u32,
        credentials: &Credentials,
    ) -> FsResult<Attributes> {
        let create = || {
            let directory = self.pin_directory(directory)?;
            let space = self.reserve_for_file_in(&directory)?;
            let guard = self.enter_change()?;
            let _entries = lock_entries(&[&directory]);
            let permissions = mode & PERMISSIONS;
            let new = NewFile { kind: FileKind::Regular, permissions, device: 0, target: None };
            let mut beginning = self.plan(&guard.view(), &directory, &new, credentials)?;
            beginning.record.links = 0;
            guard.charge(space);
            let inode = self.begin(&guard, self.inodes.allocate_number(), beginning);
            inode.state().is_temporary = true;
            self.make_orphan(&guard, &inode);
            Ok(self.attributes(&inode))
        };
        create().map_err(|error: FsError| error.during("tmpfile"))
    }

    /// Promises what a new file in `parent` needs.
    fn reserve_for_file_in(&self, parent: &Inode) -> FsResult<Reservation> {
        let hands_on = self.notable(parent)?.contains(Notable::DEFAULT_ACL);
        self.reserve(NEW_NAME_BLOCKS + if hands_on { INHERITED_BLOCKS } else { 0 })
    }

    /// What a new file in `parent`, whose entries the caller has locked, begins with.
    fn plan(
        &self,
        view: &View,
        parent: &Inode,
        new: &NewFile,
        credentials: &Credentials,
    ) -> FsResult<Beginning> {
        let inherited = self.inherit(view, parent, (new.kind, new.permissions), credentials)?;
        let record = new.record(parent, credentials, inherited.permissions)?;
        Ok(Beginning { record, inherited })
    }

    /// The whiteout that a rename leaves in `directory`.
    pub(super) fn plan_whiteout(
        &self,
        guard: &ChangeGuard<'_>,
        directory: &Inode,
        owner: &Credentials,
    ) -> FsResult<Beginning> {
        let new = NewFile { kind: FileKind::CharDevice, permissions: 0, device: 0, target: None };
        self.plan(&guard.view(), directory, &new, owner)
    }

    /// Puts a new inode into the open delta, with one reference.
    pub(super) fn begin(
        &self,
        guard: &ChangeGuard<'_>,
        number: InodeNumber,
        beginning: Beginning,
    ) -> PinnedInode<'_> {
        let Beginning { record, inherited } = beginning;
        let inode = self.inodes.insert(Inode::new(number, record, false));
        inode.add_kernel_reference();
        inode.state().notable = Some(inherited.notable);
        self.change_record(guard, &inode, |_| ());
        self.put_attributes(guard, number, inherited.attributes);
        inode
    }

    /// The target is the content of the link, inline; it goes with the delta that makes the link.
    fn set_target(&self, guard: &ChangeGuard<'_>, inode: &PinnedInode<'_>, target: &Arc<[u8]>) {
        guard.changes().count_bytes(target.len());
        let content = ExtentContent::Inline { bytes: target.clone() };
        let extent = Some(Extent { length: 1, content });
        self.change_data(guard, inode, |state| {
            state.symlink_target = Some(target.clone());
            state.change_map(MapChange { start: 0, length: 1, extent }, &self.store);
        });
        self.committer.note_replaced(inode.share(), guard.delta());
    }

    fn add_link(
        &self,
        inode: InodeNumber,
        new_parent: InodeNumber,
        new_name: &[u8],
    ) -> FsResult<Attributes> {
        check_name(new_name)?;
        let space = self.reserve(NEW_NAME_BLOCKS)?;
        let guard = self.enter_change()?;
        let inode = self.pin(inode)?;
        let parent = self.pin_directory(new_parent)?;
        if inode.is_directory() {
            let detail = "a directory can have one name only";
            return Err(FsError::new(FsErrorKind::NotPermitted, detail));
        }
        // The file is locked too, lest its last name goes meanwhile.
        let _entries = lock_entries(&[&parent, &inode]);
        self.require_free_name(&guard.view(), &parent, new_name)?;
        let links = inode.state().record.links;
        match links {
            0 if inode.state().is_temporary => {}
            0 => return Err(FsError::new(FsErrorKind::NotFound, "the file is deleted")),
            MAX_LINKS.. => {
                let detail = "the file has 65000 names already";
                return Err(FsError::new(FsErrorKind::TooManyLinks, detail));
            }
            _ => {}
        }
        let entry = NewEntry { inode: inode.number(), kind: inode.kind() };
        self.add_entry(&guard, &parent, new_name, &entry)?;
        guard.charge(space);
        if links == 0 {
            self.adopt(&guard, &inode);
        }
        self.change_record(&guard, &inode, |record| {
            record.links += 1;
            record.changed = now();
        });
        inode.add_kernel_reference();
        Ok(self.attributes(&inode))
    }
}

/// What a new file begins with.
pub(super) struct Beginning {
    record: InodeRecord,
    inherited: Inherited,
}

/// What a new file is to be.
struct NewFile {
    kind: FileKind,
    permissions: u32,
    device: u32,
    target: Option<Arc<[u8]>>,
}

impl NewFile {
    /// The first record of the file in `parent`. A setgid directory hands on its group, and to
    /// directories its setgid bit.
    fn record(
        &self,
        parent: &Inode,
        credentials: &Credentials,
        permissions: u32,
    ) -> FsResult<InodeRecord> {
        require_alive(parent)?;
        let parent_record = parent.state().record.clone();
        let is_directory = self.kind == FileKind::Directory;
        if is_directory && parent_record.links >= MAX_LINKS {
            let detail = "the directory has 64998 subdirectories already";
            return Err(FsError::new(FsErrorKind::TooManyLinks, detail));
        }
        let hands_on_group = parent_record.mode & SETGID != 0;
        let inherited = if hands_on_group && is_directory { SETGID } else { 0 };
        let time = now();
        Ok(InodeRecord {
            mode: self.kind.mode_bits() | permissions | inherited,
            uid: credentials.uid,
            gid: if hands_on_group { parent_record.gid } else { credentials.gid },
            links: if is_directory { 2 } else { 1 },
            generation: 1,
            device: self.device,
            flags: 0,
            size: self.target.as_ref().map_or(0, |target| target.len() as u64),
            blocks: 0,
            parent: if is_directory { parent.number() } else { 0 },
            accessed: time,
            modified: time,
            changed: time,
            created: time,
        })
    }
}
