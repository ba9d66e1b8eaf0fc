//! The table of operations: each request goes to the function that answers it.
//!
//! Not here, on purpose: OPEN, OPENDIR and FLUSH are declined (see the module above), RELEASE and
//! RELEASEDIR are then never sent; ACCESS is the kernel's, which checks permissions itself; file locks
//! are the kernel's, since all who could lock a file go through it; BMAP, POLL and ioctls have no
//! meaning for this filesystem.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, INodeNo,
    IoctlFlags, KernelConfig, LockOwner, Notifier, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek,
    ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::attributes::{set_time, timestamp};
use super::control::Control;
use super::data::Position;
use super::entries::{Place, credentials};
use super::seek::Seeker;
use super::{data, directory, entries, inode, negotiate, xattr};
use crate::types::SetAttributes;
use crate::volume::Volume;

/// A volume, as the kernel talks to it.
pub(super) struct Adapter {
    volume: Arc<Volume>,
    control: Control,
    seeker: Seeker,
    notifier: Arc<OnceLock<Notifier>>,
}

impl Adapter {
    /// Serves `volume`. The notifier comes once there is a session.
    pub fn new(
        volume: Arc<Volume>,
        control: Control,
        seeker: Seeker,
        notifier: Arc<OnceLock<Notifier>>,
    ) -> Self {
        Self { volume, control, seeker, notifier }
    }
}

impl Filesystem for Adapter {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        negotiate::agree(config)
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entries::lookup(&self.volume, Place::new(parent, name), reply);
    }

    fn forget(&self, _: &Request, ino: INodeNo, count: u64) {
        self.volume.forget(ino.0, count);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        inode::attributes(&self.volume, ino.0, reply);
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        ctime: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let changes = SetAttributes {
            mode,
            uid,
            gid,
            size,
            accessed: atime.map(set_time),
            modified: mtime.map(set_time),
            changed: ctime.map(timestamp),
            clear_suid_sgid: inode::takes_privileges(request, uid.or(gid).is_some(), size),
        };
        inode::change(&self.volume, ino.0, &changes, reply);
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        inode::link_target(&self.volume, ino.0, reply);
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        device: u32,
        reply: ReplyEntry,
    ) {
        let owner = credentials(request);
        entries::mknod(&self.volume, Place::new(parent, name), mode, device, &owner, reply);
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let owner = credentials(request);
        entries::mkdir(&self.volume, Place::new(parent, name), mode, &owner, reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        entries::unlink(&self.volume, Place::new(parent, name), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        entries::rmdir(&self.volume, Place::new(parent, name), reply);
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let (place, target) = (Place::new(parent, name), target.as_os_str().as_bytes());
        entries::symlink(&self.volume, place, target, &credentials(request), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = (Place::new(parent, name), Place::new(new_parent, new_name));
        entries::rename(&self.volume, from, to, flags, reply);
    }

    fn link(
        &self,
        _: &Request,
        ino: INodeNo,
        new_parent: INodeNo,
        new_name: &OsStr,
        reply: ReplyEntry,
    ) {
        entries::link(&self.volume, ino.0, Place::new(new_parent, new_name), reply);
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.error(Errno::ENOSYS);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        data::read(&self.volume, ino.0, offset, size, reply);
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        flags: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        data::write(&self.volume, ino.0, offset, bytes, flags, reply);
        if flags.contains(WriteFlags::FUSE_WRITE_CACHE) {
            data::blocks_changed(&self.notifier, ino.0);
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        inode::make_durable(&self.volume, ino.0, reply);
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.error(Errno::ENOSYS);
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        cookie: u64,
        reply: ReplyDirectory,
    ) {
        directory::read(&self.volume, ino.0, cookie, reply);
    }

    fn readdirplus(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        cookie: u64,
        reply: ReplyDirectoryPlus,
    ) {
        directory::read_plus(&self.volume, ino.0, cookie, reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        inode::make_durable(&self.volume, ino.0, reply);
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        inode::statistics(&self.volume, reply);
    }

    fn setxattr(
        &self,
        request: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        if Control::is_for(name.as_bytes()) {
            return self.control.set(ino.0, name.as_bytes(), value, request.uid(), reply);
        }
        xattr::set(&self.volume, ino.0, name.as_bytes(), value, flags, reply);
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        if Control::is_for(name.as_bytes()) {
            return self.control.get(name.as_bytes(), size, reply);
        }
        xattr::get(&self.volume, ino.0, name.as_bytes(), size, reply);
    }

    fn listxattr(&self, _: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        xattr::list(&self.volume, ino.0, size, reply);
    }

    fn removexattr(&self, _: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        xattr::remove(&self.volume, ino.0, name.as_bytes(), reply);
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let owner = credentials(request);
        entries::create(&self.volume, Place::new(parent, name), mode, flags, &owner, reply);
    }

    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        _command: u32,
        _input: &[u8],
        _output_size: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        data::fallocate(&self.volume, ino.0, mode, offset, length, reply);
    }

    fn lseek(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        self.seeker.seek(&self.volume, ino.0, offset, whence, reply);
    }

    fn copy_file_range(
        &self,
        _: &Request,
        from: INodeNo,
        _: FileHandle,
        from_offset: u64,
        to: INodeNo,
        _: FileHandle,
        to_offset: u64,
        length: u64,
        flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let from = Position { inode: from.0, offset: from_offset };
        let to = Position { inode: to.0, offset: to_offset };
        data::copy(&self.volume, from, to, length, flags, reply);
    }
}
