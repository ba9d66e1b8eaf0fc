//! Names: looking up, making, linking, removing and renaming.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use fuser::{
    Errno, FileHandle, FopenFlags, Generation, RenameFlags, ReplyCreate, ReplyEmpty, ReplyEntry,
    Request,
};

use super::attributes::{FOREVER, bare_attr, file_attr, generation};
use super::reply::{Call, Refuse};
use crate::error::{FsErrorKind, FsResult};
use crate::types::{Attributes, Credentials, FileKind, InodeNumber, RenameMode};
use crate::volume::Volume;

/// A name in a directory.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The directory.
    pub parent: InodeNumber,
    /// The name.
    pub name: &'a [u8],
}

impl<'a> Place<'a> {
    /// The place of `name` in `parent`.
    pub fn new(parent: fuser::INodeNo, name: &'a OsStr) -> Self {
        Self { parent: parent.0, name: name.as_bytes() }
    }
}

/// Who asks.
pub(super) fn credentials(request: &Request) -> Credentials {
    Credentials { uid: request.uid(), gid: request.gid() }
}

/// LOOKUP. A name that is not there is an answer that the kernel keeps, not an error.
pub(super) fn lookup(volume: &Volume, place: Place<'_>, reply: ReplyEntry) {
    match volume.lookup(place.parent, place.name) {
        Err(error) if error.kind() == FsErrorKind::NotFound => {
            reply.entry(&FOREVER, &bare_attr(0, FileKind::Regular), Generation(0));
        }
        result => Call::new("lookup", place.parent).answer_entry(reply, result),
    }
}

/// MKNOD.
pub(super) fn mknod(
    volume: &Volume,
    place: Place<'_>,
    mode: u32,
    device: u32,
    owner: &Credentials,
    reply: ReplyEntry,
) {
    let result = volume.mknod(place.parent, place.name, mode, device, owner);
    Call::new("mknod", place.parent).answer_entry(reply, result);
}

/// MKDIR.
pub(super) fn mkdir(
    volume: &Volume,
    place: Place<'_>,
    mode: u32,
    owner: &Credentials,
    reply: ReplyEntry,
) {
    let result = volume.mkdir(place.parent, place.name, mode, owner);
    Call::new("mkdir", place.parent).answer_entry(reply, result);
}

/// SYMLINK.
pub(super) fn symlink(
    volume: &Volume,
    place: Place<'_>,
    target: &[u8],
    owner: &Credentials,
    reply: ReplyEntry,
) {
    let result = volume.symlink(place.parent, place.name, target, owner);
    Call::new("symlink", place.parent).answer_entry(reply, result);
}

/// LINK.
pub(super) fn link(volume: &Volume, inode: InodeNumber, place: Place<'_>, reply: ReplyEntry) {
    let result = volume.link(inode, place.parent, place.name);
    Call::new("link", inode).answer_entry(reply, result);
}

/// CREATE: makes a regular file that the kernel takes as open at once.
pub(super) fn create(
    volume: &Volume,
    place: Place<'_>,
    mode: u32,
    flags: i32,
    owner: &Credentials,
    reply: ReplyCreate,
) {
    let result = create_or_find(volume, place, mode, flags, owner);
    Call::new("create", place.parent).answer(reply, result, |reply, attributes| {
        let (attr, generation) = (file_attr(&attributes), generation(&attributes));
        let flags = FopenFlags::FOPEN_KEEP_CACHE;
        reply.created(&FOREVER, &attr, generation, FileHandle(0), flags);
    });
}

/// Makes the file; finds it, if it is there already and O_EXCL does not forbid that.
fn create_or_find(
    volume: &Volume,
    place: Place<'_>,
    mode: u32,
    flags: i32,
    owner: &Credentials,
) -> FsResult<Attributes> {
    let mode = FileKind::Regular.mode_bits() | (mode & 0o7777);
    match volume.mknod(place.parent, place.name, mode, 0, owner) {
        Err(error) if error.kind() == FsErrorKind::Exists && flags & libc::O_EXCL == 0 => {
            volume.lookup(place.parent, place.name)
        }
        result => result,
    }
}

/// UNLINK.
pub(super) fn unlink(volume: &Volume, place: Place<'_>, reply: ReplyEmpty) {
    let result = volume.unlink(place.parent, place.name);
    Call::new("unlink", place.parent).answer_empty(reply, result);
}

/// RMDIR.
pub(super) fn rmdir(volume: &Volume, place: Place<'_>, reply: ReplyEmpty) {
    let result = volume.rmdir(place.parent, place.name);
    Call::new("rmdir", place.parent).answer_empty(reply, result);
}

/// RENAME and RENAME2.
pub(super) fn rename(
    volume: &Volume,
    from: Place<'_>,
    to: Place<'_>,
    flags: RenameFlags,
    reply: ReplyEmpty,
) {
    match rename_mode(flags) {
        Some(mode) => {
            let result = volume.rename(from.parent, from.name, to.parent, to.name, mode);
            Call::new("rename", from.parent).answer_empty(reply, result);
        }
        None => reply.refuse(Errno::EINVAL),
    }
}

/// What the flags ask for; `None` for what is not supported, as RENAME_WHITEOUT.
fn rename_mode(flags: RenameFlags) -> Option<RenameMode> {
    if flags.is_empty() {
        Some(RenameMode::Replace)
    } else if flags == RenameFlags::RENAME_NOREPLACE {
        Some(RenameMode::NoReplace)
    } else if flags == RenameFlags::RENAME_EXCHANGE {
        Some(RenameMode::Exchange)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_rename_that_contradict_are_refused() {
        assert_eq!(rename_mode(RenameFlags::empty()), Some(RenameMode::Replace));
        assert_eq!(rename_mode(RenameFlags::RENAME_EXCHANGE), Some(RenameMode::Exchange));
        assert_eq!(rename_mode(RenameFlags::RENAME_NOREPLACE), Some(RenameMode::NoReplace));
        assert_eq!(rename_mode(RenameFlags::RENAME_WHITEOUT), None);
        assert_eq!(rename_mode(RenameFlags::RENAME_EXCHANGE | RenameFlags::RENAME_NOREPLACE), None);
    }
}
