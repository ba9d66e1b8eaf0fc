//! Setuid and setgid go when somebody else changes a file. The kernel leaves that to the server
//! (FUSE_HANDLE_KILLPRIV_V2) and says for some operations whether the caller may keep them.
//!
//! Setgid means mandatory locking where the group may not execute; it stays if the caller belongs to
//! the group.

use super::caller::Caller;
use super::data::attributes_changed;
use super::protocol::Notifier;
use crate::types::{Attributes, FileKind, InodeNumber, SetAttributes};
use crate::volume::Volume;

const SETUID_AND_SETGID: u32 = 0o6000;
const SETGID: u32 = 0o2000;
const SETGID_AND_GROUP_EXECUTE: u32 = 0o2010;

/// Whether a change by `caller` takes setgid although the group may not execute.
pub(super) fn takes_all(volume: &Volume, inode: InodeNumber, caller: &Caller) -> bool {
    let Ok(attributes) = volume.getattr(inode) else { return false };
    attributes.mode & SETGID_AND_GROUP_EXECUTE == SETGID
        && !caller.is_in_group(attributes.gid)
        && !caller.may_keep_privileges()
}

/// Takes what privileges a regular file gives, before `caller`, who may not keep them, changes its
/// content. The kernel, which has left that to us, must hear that the mode is another one now.
pub(super) fn take(volume: &Volume, inode: InodeNumber, caller: &Caller, notifier: &Notifier) {
    if volume.getattr(inode).is_ok_and(|attributes| gives_any(&attributes)) {
        let changes = SetAttributes {
            clear_suid_sgid: true,
            clear_setgid: takes_all(volume, inode, caller),
            ..SetAttributes::default()
        };
        if let Err(error) = volume.setattr(inode, &changes) {
            tracing::warn!("setuid and setgid could not be taken: {error}");
        }
        attributes_changed(notifier, inode);
    }
}

/// As [`take`], unless the caller may keep them: for operations with which the kernel does not say.
pub(super) fn take_unless_privileged(
    volume: &Volume,
    inode: InodeNumber,
    caller: &Caller,
    notifier: &Notifier,
) {
    let gives = volume.getattr(inode).is_ok_and(|attributes| gives_any(&attributes));
    if gives && !caller.may_keep_privileges() {
        take(volume, inode, caller, notifier);
    }
}

fn gives_any(attributes: &Attributes) -> bool {
    attributes.kind() == FileKind::Regular && attributes.mode & SETUID_AND_SETGID != 0
}
