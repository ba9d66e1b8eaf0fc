//! Operations on an inode as a whole: attributes, link targets, durability.

use super::caller::Caller;
use super::privileges;
use super::protocol::{AttributeChange, Reply, TimeToSet};
use super::reply::Call;
use crate::types::{InodeNumber, ROOT_INODE, SetAttributes, SetTime};
use crate::volume::Volume;

/// GETATTR.
pub(super) fn attributes(volume: &Volume, inode: InodeNumber, reply: Reply) {
    Call::new("getattr", inode).answer_attributes(reply, volume.getattr(inode));
}

/// STATX.
pub(super) fn statx(volume: &Volume, inode: InodeNumber, reply: Reply) {
    Call::new("statx", inode)
        .answer(reply, volume.getattr(inode), |reply, attributes| reply.statx(&attributes));
}

/// SETATTR by `caller`. Setuid and setgid go with a new owner, and with a new size if the kernel says so (it
/// leaves that to us: FUSE_HANDLE_KILLPRIV_V2).
pub(super) fn change(
    volume: &Volume,
    inode: InodeNumber,
    change: &AttributeChange,
    caller: &Caller,
    reply: Reply,
) {
    let has_new_owner = change.uid.is_some() || change.gid.is_some();
    let takes_privileges = has_new_owner || change.kills_privileges;
    let changes = SetAttributes {
        mode: change.mode,
        uid: change.uid,
        gid: change.gid,
        size: change.size,
        accessed: change.accessed.map(set_time),
        modified: change.modified.map(set_time),
        changed: change.changed,
        clear_suid_sgid: takes_privileges,
        clear_setgid: takes_privileges && privileges::takes_all(volume, inode, caller),
    };
    Call::new("setattr", inode).answer_attributes(reply, volume.setattr(inode, &changes));
}

fn set_time(time: TimeToSet) -> SetTime {
    match time {
        TimeToSet::Now => SetTime::Now,
        TimeToSet::At(time) => SetTime::At(time),
    }
}

/// READLINK.
pub(super) fn link_target(volume: &Volume, inode: InodeNumber, reply: Reply) {
    Call::new("readlink", inode)
        .answer(reply, volume.readlink(inode), |reply, target| reply.data(&target));
}

/// FSYNC and FSYNCDIR; the reply may come from the thread that leads the commit.
pub(super) fn make_durable(volume: &Volume, inode: InodeNumber, reply: Reply) {
    let call = Call::new("fsync", inode);
    volume.fsync_then(inode, Box::new(move |outcome| call.answer_empty(reply, outcome)));
}

/// SYNCFS: sync(2) and syncfs(2), which the kernel passes on from mounts of block devices (`connect`).
pub(super) fn make_all_durable(volume: &Volume, reply: Reply) {
    Call::new("syncfs", ROOT_INODE).answer_empty(reply, volume.syncfs());
}

/// DESTROY: the last unmount, which waits for the answer if the mount is that of a block device.
pub(super) fn end(volume: &Volume, reply: Reply) {
    Call::new("unmount", ROOT_INODE).answer_empty(reply, volume.unmount());
}

/// STATFS.
pub(super) fn statistics(volume: &Volume, reply: Reply) {
    reply.statistics(&volume.statfs());
}
