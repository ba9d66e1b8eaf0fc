//! Reading directories.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use fuser::{FileAttr, Generation, INodeNo, ReplyDirectory, ReplyDirectoryPlus};

use super::attributes::{FOREVER, bare_attr, file_attr, file_type, generation};
use super::reply::Call;
use crate::types::{Attributes, DirectoryEntry, InodeNumber};
use crate::volume::Volume;

/// READDIR: entries behind `cookie` until the reply is full.
pub(super) fn read(
    volume: &Volume,
    directory: InodeNumber,
    cookie: u64,
    mut reply: ReplyDirectory,
) {
    let result = volume.readdir(directory, cookie, &mut |entry: &DirectoryEntry| {
        let name = OsStr::from_bytes(&entry.name);
        !reply.add(INodeNo(entry.inode), entry.cookie, file_type(entry.kind), name)
    });
    Call::new("readdir", directory).answer(reply, result, |reply, ()| reply.ok());
}

/// READDIRPLUS: the same with attributes; the core counts a reference for each entry that fits.
pub(super) fn read_plus(
    volume: &Volume,
    directory: InodeNumber,
    cookie: u64,
    mut reply: ReplyDirectoryPlus,
) {
    let result = volume.readdir_plus(directory, cookie, &mut |entry, attributes| {
        !add_plus(&mut reply, entry, attributes)
    });
    Call::new("readdirplus", directory).answer(reply, result, |reply, ()| reply.ok());
}

/// Adds an entry; true if the reply is full.
fn add_plus(
    reply: &mut ReplyDirectoryPlus,
    entry: &DirectoryEntry,
    attributes: Option<&Attributes>,
) -> bool {
    let name = OsStr::from_bytes(&entry.name);
    let (attr, generation) = match attributes {
        Some(attributes) => (file_attr(attributes), generation(attributes)),
        None => (attr_without_reference(entry), Generation(0)),
    };
    reply.add(attr.ino, entry.cookie, name, &FOREVER, &attr, generation)
}

/// Attributes for an entry for which the core counts no reference. Of `.` and `..` the kernel takes
/// number and type only. Number 0 tells it to look up any other one itself, which then says why its
/// attributes cannot be had.
fn attr_without_reference(entry: &DirectoryEntry) -> FileAttr {
    let is_dot = matches!(entry.name.as_slice(), b"." | b"..");
    bare_attr(if is_dot { entry.inode } else { 0 }, entry.kind)
}

#[cfg(test)]
mod tests {
    use crate::types::FileKind;

    use super::*;

    #[test]
    fn only_dots_have_a_number_without_a_reference() {
        let entry = |name: &[u8]| DirectoryEntry {
            inode: 7,
            cookie: 300,
            kind: FileKind::Directory,
            name: name.to_vec(),
        };
        assert_eq!(attr_without_reference(&entry(b"..")).ino, INodeNo(7));
        assert_eq!(attr_without_reference(&entry(b"..a")).ino, INodeNo(0));
    }
}
