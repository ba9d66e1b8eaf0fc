//! The table of operations: each request goes to the function that answers it.
//!
//! Not here, on purpose: OPEN, OPENDIR and FLUSH are declined (see the module above), RELEASE and
//! RELEASEDIR are then never sent; ACCESS is the kernel's, which checks permissions itself; file locks
//! are the kernel's, since all who could lock a file go through it; BMAP and POLL have no meaning for
//! this filesystem. All of these are declined with ENOSYS, after which the kernel does not ask again.

use std::sync::Arc;

use rustix::io::Errno;

use super::control::Control;
use super::data::Position;
use super::entries::{Place, credentials};
use super::protocol::{Header, Notifier, Operation, Reply, Request};
use super::seek::Seeker;
use super::{data, directory, entries, inode, xattr};
use crate::volume::Volume;

/// A volume, as the kernel talks to it.
pub(super) struct Adapter {
    volume: Arc<Volume>,
    control: Control,
    seeker: Seeker,
    notifier: Notifier,
}

impl Adapter {
    /// Serves `volume`.
    pub fn new(volume: Arc<Volume>, control: Control, seeker: Seeker, notifier: Notifier) -> Self {
        Self { volume, control, seeker, notifier }
    }

    /// Answers a request that could be decoded.
    pub fn answer(&self, request: Request<'_>, reply: Reply) {
        let Request { header, operation } = request;
        let (volume, ino) = (&*self.volume, header.inode);
        let Ok(operation) = operation else { return reply.error(Errno::IO) };
        match operation {
            Operation::Lookup { name } => entries::lookup(volume, Place::new(ino, name), reply),
            Operation::Forget { count } => volume.forget(ino, count),
            Operation::ForgetMany(forgets) => {
                forgets.for_each(|(inode, count)| volume.forget(inode, count));
            }
            Operation::GetAttributes => inode::attributes(volume, ino, reply),
            Operation::SetAttributes(change) => inode::change(volume, ino, &change, reply),
            Operation::Statx => inode::statx(volume, ino, reply),
            Operation::ReadLink => inode::link_target(volume, ino, reply),
            Operation::Read { offset, size } => data::read(volume, ino, offset, size, reply),
            Operation::Write { offset, bytes, kind } => {
                data::write(volume, ino, offset, bytes, kind, reply);
                if kind.from_cache {
                    data::blocks_changed(&self.notifier, ino);
                }
            }
            Operation::Fsync => inode::make_durable(volume, ino, reply),
            Operation::StatFs => inode::statistics(volume, reply),
            Operation::ReadDirectory { cookie, size, with_attributes: false } => {
                directory::read(volume, ino, cookie, size, reply);
            }
            Operation::ReadDirectory { cookie, size, with_attributes: true } => {
                directory::read_plus(volume, ino, cookie, size, reply);
            }
            Operation::Fallocate { offset, length, mode } => {
                data::fallocate(volume, ino, mode, offset, length, reply);
            }
            Operation::Seek { offset, whence } => {
                self.seeker.seek(volume, ino, offset, whence, reply);
            }
            Operation::CopyRange { offset, to, to_offset, length, flags, long } => {
                let from = Position { inode: ino, offset };
                let to = Position { inode: to, offset: to_offset };
                data::copy(volume, from, to, length, flags, long, reply);
            }
            Operation::Ioctl { .. } => reply.error(Errno::NOTTY),
            Operation::Destroy => reply.ok(),
            Operation::Init(_)
            | Operation::Interrupt
            | Operation::SyncFs
            | Operation::TemporaryFile { .. }
            | Operation::Unknown => reply.error(Errno::NOSYS),
            other => self.answer_names(&header, other, reply),
        }
    }

    fn answer_names(&self, header: &Header, operation: Operation<'_>, reply: Reply) {
        let (volume, owner) = (&*self.volume, credentials(header));
        let at = |name| Place::new(header.inode, name);
        match operation {
            Operation::MakeNode { name, mode, device, umask: _ } => {
                entries::mknod(volume, at(name), mode, device, &owner, reply);
            }
            Operation::MakeDirectory { name, mode, umask: _ } => {
                entries::mkdir(volume, at(name), mode, &owner, reply);
            }
            Operation::Create { name, mode, umask: _, flags } => {
                entries::create(volume, at(name), mode, flags, &owner, reply);
            }
            Operation::SymbolicLink { name, target } => {
                entries::symlink(volume, at(name), target, &owner, reply);
            }
            Operation::Unlink { name } => entries::unlink(volume, at(name), reply),
            Operation::RemoveDirectory { name } => entries::rmdir(volume, at(name), reply),
            Operation::Link { inode, name } => entries::link(volume, inode, at(name), reply),
            Operation::Rename { name, new_parent, new_name, flags } => {
                entries::rename(volume, at(name), Place::new(new_parent, new_name), flags, reply);
            }
            other => self.answer_xattrs(header, other, reply),
        }
    }

    fn answer_xattrs(&self, header: &Header, operation: Operation<'_>, reply: Reply) {
        let (volume, ino) = (&*self.volume, header.inode);
        match operation {
            Operation::SetXattr { name, value, .. } if Control::is_for(name) => {
                self.control.set(ino, name, value, header.uid, reply);
            }
            Operation::GetXattr { name, size } if Control::is_for(name) => {
                self.control.get(name, size, reply);
            }
            Operation::SetXattr { name, value, flags, kills_setgid: _ } => {
                xattr::set(volume, ino, name, value, flags, reply);
            }
            Operation::GetXattr { name, size } => xattr::get(volume, ino, name, size, reply),
            Operation::ListXattr { size } => xattr::list(volume, ino, size, reply),
            Operation::RemoveXattr { name } => xattr::remove(volume, ino, name, reply),
            _ => reply.error(Errno::NOSYS),
        }
    }
}
