//! `/dev/fuse`: requests come by read(2), one at a time; replies and notices go by write(2).

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;

use crate::types::InodeNumber;

use super::bytes::Structure;

/// Bytes before every reply and notice.
const HEADER_BYTES: usize = 16;
/// The notice that what the kernel knows about an inode is out of date.
const INVALIDATE_INODE: i32 = 2;

/// A connection to the kernel.
#[derive(Debug)]
pub struct Device {
    file: OwnedFd,
}

impl Device {
    /// The connection that `file`, opened from `/dev/fuse` and mounted, is.
    pub fn new(file: OwnedFd) -> Self {
        Self { file }
    }

    /// Waits for a request; returns its length.
    ///
    /// # Errors
    /// [`Errno::NODEV`] when the mount has ended.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        loop {
            match rustix::io::read(&self.file, &mut *buffer) {
                // The request was withdrawn while it was read, or a signal came.
                Err(Errno::NOENT | Errno::INTR | Errno::AGAIN) => {}
                received => return received,
            }
        }
    }

    /// Sends a reply: to the request `unique`, with an errno or 0, and a body in two parts.
    pub fn send(&self, unique: u64, error: i32, body: &[u8], more: &[u8]) -> Result<(), Errno> {
        let length = HEADER_BYTES + body.len() + more.len();
        let mut header = [0; HEADER_BYTES];
        let (sizes, name) = header.split_at_mut(8);
        let length = u32::try_from(length).map_err(|_| Errno::INVAL)?;
        sizes[..4].copy_from_slice(&length.to_ne_bytes());
        sizes[4..].copy_from_slice(&error.to_ne_bytes());
        name.copy_from_slice(&unique.to_ne_bytes());
        let parts = [IoSlice::new(&header), IoSlice::new(body), IoSlice::new(more)];
        let used = if more.is_empty() { if body.is_empty() { 1 } else { 2 } } else { 3 };
        rustix::io::writev(&self.file, &parts[..used]).map(drop)
    }
}

/// Tells the kernel what it did not ask for.
#[derive(Debug, Clone)]
pub struct Notifier {
    device: Arc<Device>,
}

impl Notifier {
    pub(super) fn new(device: Arc<Device>) -> Self {
        Self { device }
    }

    /// Makes the kernel forget attributes and, from `offset` for `length` bytes, pages (dirty ones are
    /// written first). A negative offset leaves the pages; a length of 0 means to the end.
    ///
    /// # Errors
    /// If the kernel does not know the inode.
    pub fn invalidate(&self, inode: InodeNumber, offset: i64, length: i64) -> io::Result<()> {
        let mut body = Structure::with_size(24);
        body.u64(inode).u64(offset.cast_unsigned()).u64(length.cast_unsigned());
        Ok(self.device.send(0, INVALIDATE_INODE, body.as_slice(), &[])?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_reply_is_one_write_with_its_length() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        Device::new(writer.into()).send(9, -5, b"ab", b"cde").unwrap();
        let mut sent = Vec::new();
        reader.read_to_end(&mut sent).unwrap();
        let mut expected = Structure::default();
        expected.u32(21).u32((-5i32).cast_unsigned()).u64(9).bytes(b"abcde");
        assert_eq!(sent, expected.as_slice());
    }
}
