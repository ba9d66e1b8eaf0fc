//! Seeking data and holes (LSEEK).
//!
//! The kernel keeps written pages to itself for a while, and asks here without handing them over
//! first: what looks like a hole may have data in the kernel's cache, and a program that copies
//! files by looking for data would leave it out. So before a hole is believed, the kernel is told to
//! drop its pages there, which makes it write the dirty ones. They come as WRITE requests that
//! other threads must answer in the meantime: this is the one operation with a thread of its own, so
//! that never all threads that serve wait for each other.

use std::ops::Range;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::thread;

use rustix::io::Errno;
use tracing::debug;

use super::protocol::{Notifier, Reply};
use super::reply::Call;
use crate::error::{FsErrorKind, FsResult};
use crate::types::{InodeNumber, SeekTarget};
use crate::volume::Volume;

/// Answers LSEEK.
#[derive(Clone, Default)]
pub(super) struct Seeker {
    queue: Arc<OnceLock<Sender<Request>>>,
}

/// A question, and where the answer goes.
struct Request {
    inode: InodeNumber,
    offset: u64,
    target: SeekTarget,
    reply: Reply,
}

impl Seeker {
    /// Starts the thread, which ends with the last clone of this.
    pub fn start(&self, volume: Arc<Volume>, notifier: Notifier) -> std::io::Result<()> {
        let (sender, receiver) = mpsc::channel();
        let work = move || serve(&volume, &notifier, &receiver);
        thread::Builder::new().name("seek".to_owned()).spawn(work)?;
        // It is started once for each mount.
        let _ = self.queue.set(sender);
        Ok(())
    }

    /// Answers at once if there is data at the offset, which no page of the kernel can change.
    pub fn seek(
        &self,
        volume: &Volume,
        inode: InodeNumber,
        offset: u64,
        whence: u32,
        reply: Reply,
    ) {
        let target = match whence.cast_signed() {
            libc::SEEK_DATA => SeekTarget::Data,
            libc::SEEK_HOLE => SeekTarget::Hole,
            // All others the kernel answers itself.
            _ => return reply.error(Errno::INVAL),
        };
        if i64::try_from(offset).is_err() {
            return reply.error(Errno::NXIO);
        }
        if target == SeekTarget::Data {
            let found = volume.seek(inode, offset, target);
            if found.as_ref().is_ok_and(|&found| found == offset) {
                return answer(inode, reply, found);
            }
        }
        let request = Request { inode, offset, target, reply };
        let queued = match self.queue.get() {
            Some(queue) => queue.send(request).map_err(|unsent| unsent.0),
            None => Err(request),
        };
        if let Err(request) = queued {
            request.reply.error(Errno::IO);
        }
    }
}

/// The work of the thread.
fn serve(volume: &Volume, notifier: &Notifier, requests: &Receiver<Request>) {
    for Request { inode, offset, target, reply } in requests {
        let hand_over = |range| hand_over(notifier, inode, range);
        let found = match target {
            SeekTarget::Data => find_data(volume, inode, offset, &hand_over),
            SeekTarget::Hole => find_hole(volume, inode, offset, &hand_over),
        };
        answer(inode, reply, found);
    }
}

fn answer(inode: InodeNumber, reply: Reply, found: FsResult<u64>) {
    Call::new("lseek", inode).answer(reply, found, |reply, found| match i64::try_from(found) {
        Ok(_) => reply.offset(found),
        Err(_) => reply.error(Errno::OVERFLOW),
    });
}

/// The next data: what the kernel has in the hole before it comes first.
fn find_data(
    volume: &Volume,
    inode: InodeNumber,
    offset: u64,
    hand_over: &dyn Fn(Range<u64>),
) -> FsResult<u64> {
    let end = unless_behind_the_end(volume.seek(inode, offset, SeekTarget::Data))?;
    hand_over(offset..end.unwrap_or(u64::MAX));
    volume.seek(inode, offset, SeekTarget::Data)
}

/// The next hole that is still one when the kernel has handed over what it has there.
fn find_hole(
    volume: &Volume,
    inode: InodeNumber,
    offset: u64,
    hand_over: &dyn Fn(Range<u64>),
) -> FsResult<u64> {
    let look = || unless_behind_the_end(volume.seek(inode, offset, SeekTarget::Hole));
    let mut found = look()?;
    loop {
        let start = found.unwrap_or(offset);
        let end = unless_behind_the_end(volume.seek(inode, start, SeekTarget::Data))?;
        hand_over(start..end.unwrap_or(u64::MAX));
        let again = look()?;
        if again == found {
            return volume.seek(inode, offset, SeekTarget::Hole);
        }
        found = again;
    }
}

/// `None` if there is nothing behind the offset.
fn unless_behind_the_end(found: FsResult<u64>) -> FsResult<Option<u64>> {
    match found {
        Err(error) if error.kind() == FsErrorKind::NoSuchOffset => Ok(None),
        found => found.map(Some),
    }
}

/// Has the kernel write and drop its pages of a range.
fn hand_over(notifier: &Notifier, inode: InodeNumber, range: Range<u64>) {
    let Ok(start) = i64::try_from(range.start) else { return };
    // In the protocol, no length means up to the end.
    let length = i64::try_from(range.end - range.start).unwrap_or(0);
    if let Err(error) = notifier.invalidate(inode, start, length) {
        debug!(inode, %error, "the kernel kept its pages");
    }
}
