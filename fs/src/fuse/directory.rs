//! Reading directories.

use super::protocol::{Entries, Reply};
use super::reply::Call;
use crate::types::{DirectoryEntry, InodeNumber};
use crate::volume::Volume;

/// READDIR: entries behind `cookie` until the reply is full.
pub(super) fn read(volume: &Volume, directory: InodeNumber, cookie: u64, size: u32, reply: Reply) {
    let mut entries = Entries::with_space(size);
    let visit = &mut |entry: &DirectoryEntry| entries.add(entry);
    let result = volume.readdir(directory, cookie, visit);
    Call::new("readdir", directory).answer(reply, result, |reply, ()| reply.entries(&entries));
}

/// READDIRPLUS: the same with attributes; the core counts a reference for each entry that fits.
pub(super) fn read_plus(
    volume: &Volume,
    directory: InodeNumber,
    cookie: u64,
    size: u32,
    reply: Reply,
) {
    let mut entries = Entries::with_space(size);
    let result = volume.readdir_plus(directory, cookie, &mut |entry, attributes| {
        entries.add_with(entry, attributes)
    });
    Call::new("readdirplus", directory).answer(reply, result, |reply, ()| reply.entries(&entries));
}
