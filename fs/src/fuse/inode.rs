//! Operations on an inode as a whole: attributes, link targets, durability.

use fuser::{ReplyAttr, ReplyData, ReplyEmpty, ReplyStatfs, Request};

use super::reply::Call;
use crate::types::{InodeNumber, SetAttributes};
use crate::volume::Volume;

/// GETATTR.
pub(super) fn attributes(volume: &Volume, inode: InodeNumber, reply: ReplyAttr) {
    Call::new("getattr", inode).answer_attributes(reply, volume.getattr(inode));
}

/// SETATTR.
pub(super) fn change(
    volume: &Volume,
    inode: InodeNumber,
    changes: &SetAttributes,
    reply: ReplyAttr,
) {
    Call::new("setattr", inode).answer_attributes(reply, volume.setattr(inode, changes));
}

/// Whether a SETATTR takes setuid and setgid away, which the kernel leaves to us
/// (FUSE_HANDLE_KILLPRIV_V2): a new owner always does; so does a new size, unless the caller may
/// keep them (CAP_FSETID). fuser does not pass on the flag that says so; root has that capability.
pub(super) fn takes_privileges(request: &Request, new_owner: bool, size: Option<u64>) -> bool {
    new_owner || (size.is_some() && request.uid() != 0)
}

/// READLINK.
pub(super) fn link_target(volume: &Volume, inode: InodeNumber, reply: ReplyData) {
    Call::new("readlink", inode)
        .answer(reply, volume.readlink(inode), |reply, target| reply.data(&target));
}

/// FSYNC and FSYNCDIR; the reply may come from the thread that leads the commit.
pub(super) fn make_durable(volume: &Volume, inode: InodeNumber, reply: ReplyEmpty) {
    let call = Call::new("fsync", inode);
    volume.fsync_then(inode, Box::new(move |outcome| call.answer_empty(reply, outcome)));
}

/// STATFS.
pub(super) fn statistics(volume: &Volume, reply: ReplyStatfs) {
    let found = volume.statfs();
    reply.statfs(
        found.blocks,
        found.blocks_free,
        found.blocks_available,
        found.inodes,
        found.inodes_free,
        found.block_size,
        found.name_max,
        found.block_size,
    );
}
