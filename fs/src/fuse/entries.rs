//! Names: looking up, making, linking, removing and renaming.

use rustix::io::Errno;

use super::protocol::{Header, Reply};
use super::reply::Call;
use crate::error::{FsErrorKind, FsResult};
use crate::types::{Attributes, Credentials, FileKind, InodeNumber, RenameMode};
use crate::volume::Volume;

/// O_EXCL as requests have it.
const O_EXCL: u32 = libc::O_EXCL.cast_unsigned();

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
    pub fn new(parent: InodeNumber, name: &'a [u8]) -> Self {
        Self { parent, name }
    }
}

/// Who asks.
pub(super) fn credentials(header: &Header, umask: u32) -> Credentials {
    Credentials { uid: header.uid, gid: header.gid, umask }
}

/// LOOKUP. A name that is not there is an answer that the kernel keeps, not an error.
pub(super) fn lookup(volume: &Volume, place: Place<'_>, reply: Reply) {
    match volume.lookup(place.parent, place.name) {
        Err(error) if error.kind() == FsErrorKind::NotFound => {
            reply.entry(None);
        }
        result => Call::new("lookup", place.parent).answer_entry(reply, result),
    }
}

/// LOOKUP of `.` and `..`: an inode by its number.
pub(super) fn lookup_number(volume: &Volume, inode: InodeNumber, parent: bool, reply: Reply) {
    Call::new("lookup", inode).answer_entry(reply, volume.lookup_number(inode, parent));
}

/// TMPFILE.
pub(super) fn create_unnamed(
    volume: &Volume,
    directory: InodeNumber,
    mode: u32,
    owner: &Credentials,
    reply: Reply,
) {
    let result = volume.create_unnamed(directory, mode, owner);
    Call::new("tmpfile", directory)
        .answer(reply, result, |reply, attributes| reply.created(&attributes));
}

/// MKNOD.
pub(super) fn mknod(
    volume: &Volume,
    place: Place<'_>,
    mode: u32,
    device: u32,
    owner: &Credentials,
    reply: Reply,
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
    reply: Reply,
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
    reply: Reply,
) {
    let result = volume.symlink(place.parent, place.name, target, owner);
    Call::new("symlink", place.parent).answer_entry(reply, result);
}

/// LINK.
pub(super) fn link(volume: &Volume, inode: InodeNumber, place: Place<'_>, reply: Reply) {
    let result = volume.link(inode, place.parent, place.name);
    Call::new("link", inode).answer_entry(reply, result);
}

/// CREATE: makes a regular file that the kernel takes as open at once.
pub(super) fn create(
    volume: &Volume,
    place: Place<'_>,
    mode: u32,
    flags: u32,
    owner: &Credentials,
    reply: Reply,
) {
    let result = create_or_find(volume, place, mode, flags, owner);
    Call::new("create", place.parent)
        .answer(reply, result, |reply, attributes| reply.created(&attributes));
}

/// Makes the file; finds it, if it is there already and O_EXCL does not forbid that.
fn create_or_find(
    volume: &Volume,
    place: Place<'_>,
    mode: u32,
    flags: u32,
    owner: &Credentials,
) -> FsResult<Attributes> {
    let mode = FileKind::Regular.mode_bits() | (mode & 0o7777);
    match volume.mknod(place.parent, place.name, mode, 0, owner) {
        Err(error) if error.kind() == FsErrorKind::Exists && flags & O_EXCL == 0 => {
            volume.lookup(place.parent, place.name)
        }
        result => result,
    }
}

/// UNLINK.
pub(super) fn unlink(volume: &Volume, place: Place<'_>, reply: Reply) {
    let result = volume.unlink(place.parent, place.name);
    Call::new("unlink", place.parent).answer_empty(reply, result);
}

/// RMDIR.
pub(super) fn rmdir(volume: &Volume, place: Place<'_>, reply: Reply) {
    let result = volume.rmdir(place.parent, place.name);
    Call::new("rmdir", place.parent).answer_empty(reply, result);
}

/// RENAME and RENAME2; a whiteout would be `owner`'s.
pub(super) fn rename(
    volume: &Volume,
    from: Place<'_>,
    to: Place<'_>,
    flags: u32,
    owner: &Credentials,
    reply: Reply,
) {
    match rename_mode(flags, *owner) {
        Some(mode) => {
            let result = volume.rename(from.parent, from.name, to.parent, to.name, mode);
            Call::new("rename", from.parent).answer_empty(reply, result);
        }
        None => reply.error(Errno::INVAL),
    }
}

/// What the flags ask for; `None` if they contradict each other.
fn rename_mode(flags: u32, owner: Credentials) -> Option<RenameMode> {
    const WHITEOUT_NO_REPLACE: u32 = libc::RENAME_WHITEOUT | libc::RENAME_NOREPLACE;
    match flags {
        0 => Some(RenameMode::Replace),
        libc::RENAME_NOREPLACE => Some(RenameMode::NoReplace),
        libc::RENAME_EXCHANGE => Some(RenameMode::Exchange),
        libc::RENAME_WHITEOUT => Some(RenameMode::Whiteout { no_replace: false, owner }),
        WHITEOUT_NO_REPLACE => Some(RenameMode::Whiteout { no_replace: true, owner }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_rename_that_contradict_are_refused() {
        let mode = |flags| rename_mode(flags, Credentials::default());
        let owner = Credentials::default();
        assert_eq!(mode(0), Some(RenameMode::Replace));
        assert_eq!(mode(libc::RENAME_EXCHANGE), Some(RenameMode::Exchange));
        assert_eq!(mode(libc::RENAME_NOREPLACE), Some(RenameMode::NoReplace));
        let whiteout = |no_replace| Some(RenameMode::Whiteout { no_replace, owner });
        assert_eq!(mode(libc::RENAME_WHITEOUT), whiteout(false));
        assert_eq!(mode(libc::RENAME_WHITEOUT | libc::RENAME_NOREPLACE), whiteout(true));
        assert_eq!(mode(libc::RENAME_WHITEOUT | libc::RENAME_EXCHANGE), None);
        assert_eq!(mode(libc::RENAME_EXCHANGE | libc::RENAME_NOREPLACE), None);
    }
}
