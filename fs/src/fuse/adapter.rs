//! The table of operations: each request goes to the function that answers it.
//!
//! Not here, on purpose: OPEN, OPENDIR and FLUSH are declined (see the module above), RELEASE and
//! RELEASEDIR are then never sent; ACCESS is the kernel's, which checks permissions itself; file locks
//! are the kernel's, since all who could lock a file go through it; BMAP and POLL have no meaning for
//! this filesystem. All of these are declined with ENOSYS, after which the kernel does not ask again.

use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::Errno;

use super::caller::Caller;
use super::control::Control;
use super::data::Position;
use super::entries::{Place, credentials};
use super::ioctl::Ioctl;
use super::protocol::{Header, Notifier, Operation, Reply, Request};
use super::seek::Seeker;
use super::{data, directory, entries, inode, ioctl, privileges, xattr};
use crate::volume::Volume;

/// What is served, and where.
pub(super) struct Served {
    /// The volume.
    pub volume: Arc<Volume>,
    /// Where it is mounted.
    pub mount_point: PathBuf,
}

/// A volume, as the kernel talks to it.
pub(super) struct Adapter {
    mount: Served,
    control: Control,
    seeker: Seeker,
    notifier: Notifier,
}

impl Adapter {
    /// Serves a mount.
    pub fn new(mount: Served, control: Control, seeker: Seeker, notifier: Notifier) -> Self {
        Self { mount, control, seeker, notifier }
    }

    /// Answers a request that could be decoded.
    pub fn answer(&self, request: Request<'_>, reply: Reply) {
        let Request { header, operation } = request;
        let (volume, ino) = (&*self.mount.volume, header.inode);
        let Ok(operation) = operation else { return reply.error(Errno::IO) };
        match operation {
            Operation::Lookup { name: b"." } => entries::lookup_number(volume, ino, false, reply),
            Operation::Lookup { name: b".." } => entries::lookup_number(volume, ino, true, reply),
            Operation::Lookup { name } => entries::lookup(volume, Place::new(ino, name), reply),
            Operation::Forget { count } => volume.forget(ino, count),
            Operation::ForgetMany(forgets) => {
                forgets.for_each(|(inode, count)| volume.forget(inode, count));
            }
            Operation::GetAttributes => inode::attributes(volume, ino, reply),
            Operation::SetAttributes(change) => {
                inode::change(volume, ino, &change, &Caller::of(&header), reply);
            }
            Operation::Statx => inode::statx(volume, ino, reply),
            Operation::ReadLink => inode::link_target(volume, ino, reply),
            Operation::Read { offset, size } => data::read(volume, ino, offset, size, reply),
            Operation::Fsync => inode::make_durable(volume, ino, reply),
            Operation::StatFs => inode::statistics(volume, reply),
            Operation::ReadDirectory { cookie, size, with_attributes: false } => {
                directory::read(volume, ino, cookie, size, reply);
            }
            Operation::ReadDirectory { cookie, size, with_attributes: true } => {
                directory::read_plus(volume, ino, cookie, size, reply);
            }
            Operation::Seek { offset, whence } => {
                self.seeker.seek(volume, ino, offset, whence, reply);
            }
            Operation::Ioctl { command, address } => {
                let ioctl = Ioctl { command, address };
                ioctl::answer(&self.mount, ino, ioctl, &Caller::of(&header), reply);
            }
            Operation::SyncFs => inode::make_all_durable(volume, reply),
            Operation::Destroy => inode::end(volume, reply),
            Operation::Init(_) | Operation::Interrupt | Operation::Unknown => {
                reply.error(Errno::NOSYS);
            }
            other => self.answer_data(&header, other, reply),
        }
    }

    fn answer_data(&self, header: &Header, operation: Operation<'_>, reply: Reply) {
        let (volume, ino, caller) = (&*self.mount.volume, header.inode, Caller::of(header));
        match operation {
            Operation::Write { offset, bytes, kind } => {
                if kind.kills_privileges {
                    privileges::take(volume, ino, &caller, &self.notifier);
                }
                data::write(volume, ino, offset, bytes, reply);
                if kind.from_cache {
                    data::attributes_changed(&self.notifier, ino);
                }
            }
            Operation::Fallocate { offset, length, mode } => {
                privileges::take_unless_privileged(volume, ino, &caller, &self.notifier);
                data::fallocate(volume, ino, mode, offset, length, reply);
            }
            Operation::CopyRange { offset, to, to_offset, length, flags, long } => {
                privileges::take_unless_privileged(volume, to, &caller, &self.notifier);
                let from = Position { inode: ino, offset };
                let to = Position { inode: to, offset: to_offset };
                data::copy(volume, from, to, length, flags, long, reply);
            }
            other => self.answer_names(header, other, reply),
        }
    }

    fn answer_names(&self, header: &Header, operation: Operation<'_>, reply: Reply) {
        let volume = &*self.mount.volume;
        let at = |name| Place::new(header.inode, name);
        let owner = |umask| credentials(header, umask);
        match operation {
            Operation::MakeNode { name, mode, device, umask } => {
                entries::mknod(volume, at(name), mode, device, &owner(umask), reply);
            }
            Operation::MakeDirectory { name, mode, umask } => {
                entries::mkdir(volume, at(name), mode, &owner(umask), reply);
            }
            Operation::Create { name, mode, umask, flags } => {
                entries::create(volume, at(name), mode, flags, &owner(umask), reply);
            }
            Operation::TemporaryFile { mode, umask } => {
                entries::create_unnamed(volume, header.inode, mode, &owner(umask), reply);
            }
            Operation::SymbolicLink { name, target } => {
                entries::symlink(volume, at(name), target, &owner(0), reply);
            }
            Operation::Unlink { name } => entries::unlink(volume, at(name), reply),
            Operation::RemoveDirectory { name } => entries::rmdir(volume, at(name), reply),
            Operation::Link { inode, name } => entries::link(volume, inode, at(name), reply),
            Operation::Rename { name, new_parent, new_name, flags } => {
                let to = Place::new(new_parent, new_name);
                entries::rename(volume, at(name), to, flags, &owner(0), reply);
            }
            other => self.answer_xattrs(header, other, reply),
        }
    }

    fn answer_xattrs(&self, header: &Header, operation: Operation<'_>, reply: Reply) {
        let (volume, ino) = (&*self.mount.volume, header.inode);
        match operation {
            Operation::SetXattr { name, value, .. } if Control::is_for(name) => {
                self.control.set(ino, name, value, Caller::of(header).uid(), reply);
            }
            Operation::GetXattr { name, size } if Control::is_for(name) => {
                self.control.get(ino, name, size, reply);
            }
            Operation::SetXattr { name, value, kills_setgid, .. } if xattr::is_acl(name) => {
                xattr::set_acl(volume, ino, name, value, kills_setgid, reply);
            }
            Operation::SetXattr { name, value, flags, .. } => {
                xattr::set(volume, ino, name, value, flags, reply);
            }
            Operation::GetXattr { name, size } => xattr::get(volume, ino, name, size, reply),
            Operation::ListXattr { size } => {
                xattr::list(volume, ino, size, &Caller::of(header), reply);
            }
            Operation::RemoveXattr { name } => xattr::remove(volume, ino, name, reply),
            _ => reply.error(Errno::NOSYS),
        }
    }
}
