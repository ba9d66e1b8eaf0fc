//! The answer to a request.

use std::sync::Arc;

use rustix::io::Errno;
use tracing::debug;

use crate::types::{Attributes, Statistics};

use super::device::Device;
use super::entries::Entries;
use super::layout;

/// What a request is answered through, once. Dropped unused, it answers EIO.
#[derive(Debug)]
pub struct Reply {
    device: Arc<Device>,
    unique: u64,
    is_open: bool,
}

impl Reply {
    /// For the request `unique`.
    pub fn new(device: &Arc<Device>, unique: u64) -> Self {
        Self { device: device.clone(), unique, is_open: true }
    }

    /// For a request that wants no answer.
    pub fn none(device: &Arc<Device>) -> Self {
        Self { device: device.clone(), unique: 0, is_open: false }
    }

    /// Refuses.
    pub fn error(mut self, errno: Errno) {
        self.send(-errno.raw_os_error(), &[], &[]);
    }

    /// Says yes.
    pub fn ok(self) {
        self.data(&[]);
    }

    /// Answers with bytes.
    pub fn data(mut self, bytes: &[u8]) {
        self.send(0, bytes, &[]);
    }

    /// Answers with attributes.
    pub fn attributes(self, attributes: &Attributes) {
        self.data(layout::attributes(attributes).as_slice());
    }

    /// Answers STATX.
    pub fn statx(self, attributes: &Attributes) {
        self.data(layout::statx(attributes).as_slice());
    }

    /// Answers with an entry; `None` is a name that is not there, which the kernel keeps in mind.
    pub fn entry(self, attributes: Option<&Attributes>) {
        self.data(layout::entry(attributes).as_slice());
    }

    /// Answers CREATE and TMPFILE.
    pub fn created(mut self, attributes: &Attributes) {
        let (entry, open) = (layout::entry(Some(attributes)), layout::opened());
        self.send(0, entry.as_slice(), open.as_slice());
    }

    /// Answers with a count of bytes in 32 bits.
    pub fn written(self, count: u32) {
        self.data(layout::count_32(count).as_slice());
    }

    /// Answers with an offset, or a count of bytes in 64 bits.
    pub fn offset(self, offset: u64) {
        self.data(&offset.to_ne_bytes());
    }

    /// Answers with what READDIR gathered.
    pub fn entries(self, entries: &Entries) {
        self.data(entries.as_slice());
    }

    /// Answers STATFS.
    pub fn statistics(self, statistics: &Statistics) {
        self.data(layout::statistics(statistics).as_slice());
    }

    /// Answers an ioctl: what it returns, and what it writes to its argument.
    pub fn ioctl(mut self, result: u32, output: &[u8]) {
        self.send(0, layout::ioctl(result).as_slice(), output);
    }

    fn send(&mut self, error: i32, body: &[u8], more: &[u8]) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        if let Err(errno) = self.device.send(self.unique, error, body, more) {
            // ENOENT: whoever asked was killed meanwhile.
            debug!(unique = self.unique, %errno, "a reply was not taken");
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.send(-Errno::IO.raw_os_error(), &[], &[]);
    }
}
