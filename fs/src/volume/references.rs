//! Looking up, and who keeps an inode alive.

use braidfs_format::InodeNumber;

use super::Volume;
use super::names::check_name;
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::types::Attributes;

impl Volume {
    /// Finds `name` in `parent` and counts one reference, to be given back by [`Volume::forget`].
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`, `NameTooLong`.
    pub fn lookup(&self, parent: InodeNumber, name: &[u8]) -> FsResult<Attributes> {
        let found = || {
            check_name(name)?;
            let directory = self.pin_directory(parent)?;
            let (view, _entries) = self.view_entries(&directory);
            let entry = self.require_entry(&view, &directory, name)?;
            let inode = self.pin(entry.inode)?;
            inode.add_kernel_reference();
            Ok(self.attributes(&inode))
        };
        found().map_err(|error: crate::FsError| error.during("lookup"))
    }

    /// Finds an inode by its number, or the directory that holds it if it is a directory (`parent`),
    /// and counts one reference: for handles of files that outlive the kernel's memory of them.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`.
    pub fn lookup_number(&self, inode: InodeNumber, parent: bool) -> FsResult<Attributes> {
        let found = || {
            let number = match parent {
                true => self.pin_directory(inode)?.state().record.parent,
                false => inode,
            };
            let inode = self.pin(number)?;
            if inode.state().record.links == 0 && !inode.is_referenced() {
                let detail = "there is no such inode";
                return Err(FsError::new(FsErrorKind::NotFound, detail).on(number));
            }
            inode.add_kernel_reference();
            Ok(self.attributes(&inode))
        };
        found().map_err(|error: FsError| error.during("lookup"))
    }

    /// Gives back `count` references. A file without names and references is deleted.
    pub fn forget(&self, inode: InodeNumber, count: u64) {
        if let Ok(pinned) = self.pin(inode) {
            pinned.drop_kernel_references(count);
            self.delete_if_unused(&pinned);
        }
    }

    /// Counts a handle on the inode, so that it stays when its last name goes. `truncate` cuts a
    /// regular file to nothing (O_TRUNC).
    ///
    /// # Errors
    /// `NotFound`; those of cutting.
    pub fn open(&self, inode: InodeNumber, truncate: bool) -> FsResult<()> {
        let opened = || {
            let pinned = self.pin(inode)?;
            pinned.add_open_handle();
            if truncate {
                let cut = self.truncate(inode, 0);
                if cut.is_err() {
                    pinned.drop_open_handle();
                }
                return cut;
            }
            Ok(())
        };
        opened().map_err(|error: crate::FsError| error.during("open").on(inode))
    }

    /// Gives back a handle. A file without names and references is deleted.
    pub fn release(&self, inode: InodeNumber) {
        if let Ok(pinned) = self.pin(inode) {
            pinned.drop_open_handle();
            self.delete_if_unused(&pinned);
        }
    }
}
