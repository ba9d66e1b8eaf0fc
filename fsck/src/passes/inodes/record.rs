//! The fields of an inode record, by type of file.

use braidfs_format::item::MAX_LINKS;
use braidfs_format::{FileKind, InodeNumber, InodeRecord};

use crate::finding::Finding;
use crate::problem::INODE_FIELD;
use crate::volume::scope::Scope;

/// The longest target of a symbolic link: what a path can have, without the NUL.
const MAX_TARGET_BYTES: u64 = 4095;
/// The largest file: every offset in it fits an i64.
const MAX_FILE_BYTES: u64 = i64::MAX as u64;

/// The word for a type of file.
pub(crate) fn kind_name(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Fifo => "named pipe",
        FileKind::CharDevice => "character device",
        FileKind::Directory => "directory",
        FileKind::BlockDevice => "block device",
        FileKind::Regular => "regular file",
        FileKind::Symlink => "symbolic link",
        FileKind::Socket => "socket",
    }
}

/// Reports the fields of a record that its type of file cannot have.
pub(super) fn check(scope: &Scope<'_>, inode: InodeNumber, record: &InodeRecord) {
    let details = [size(record), links(record), device(record), parent(record)];
    for detail in details.into_iter().flatten() {
        scope.report(Finding::new(&INODE_FIELD).inode(inode).detail(detail));
    }
}

fn size(record: &InodeRecord) -> Option<String> {
    let fits = match record.kind() {
        FileKind::Regular => record.size <= MAX_FILE_BYTES,
        FileKind::Symlink => (1..=MAX_TARGET_BYTES).contains(&record.size),
        // The directory pass compares it with the entries.
        FileKind::Directory => true,
        _ => record.size == 0,
    };
    let name = kind_name(record.kind());
    (!fits).then(|| format!("a {name} cannot have a size of {}", record.size))
}

fn links(record: &InodeRecord) -> Option<String> {
    let detail = || format!("a link count of {} is above {MAX_LINKS}", record.links);
    (record.links > MAX_LINKS).then(detail)
}

fn device(record: &InodeRecord) -> Option<String> {
    let kind = record.kind();
    let allowed = matches!(kind, FileKind::CharDevice | FileKind::BlockDevice);
    let detail = || format!("a {} cannot have a device number", kind_name(kind));
    (record.device != 0 && !allowed).then(detail)
}

fn parent(record: &InodeRecord) -> Option<String> {
    let kind = record.kind();
    let detail = || format!("a {} cannot name a parent", kind_name(kind));
    (record.parent != 0 && kind != FileKind::Directory).then(detail)
}
