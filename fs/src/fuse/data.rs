//! File content: reading, writing, allocating, copying.

use std::cell::RefCell;

use rustix::io::Errno;

use super::protocol::{Notifier, Reply};
use super::reply::Call;
use crate::error::FsResult;
use crate::types::{FallocateMode, InodeNumber};
use crate::volume::Volume;

/// The most that one COPY_FILE_RANGE copies: the reply has 32 bits for the count.
const MAX_COPY_BYTES: u64 = 1 << 30;

thread_local! {
    /// What READ answers from; kept, because clearing a megabyte costs more than a small read.
    static READ_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// READ.
pub(super) fn read(volume: &Volume, inode: InodeNumber, offset: u64, size: u32, reply: Reply) {
    READ_BUFFER.with_borrow_mut(|buffer| {
        let size = size as usize;
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        let result = volume.read(inode, offset, &mut buffer[..size]);
        Call::new("read", inode)
            .answer(reply, result, |reply, count| reply.data(&buffer[..count.min(size)]));
    });
}

/// WRITE.
pub(super) fn write(volume: &Volume, inode: InodeNumber, offset: u64, bytes: &[u8], reply: Reply) {
    let result = volume.write(inode, offset, bytes, false);
    Call::new("write", inode).answer(reply, result, |reply, count| reply.written(count as u32));
}

/// Has the kernel ask for attributes anew. After a WRITE from its cache the file has other blocks than
/// it remembers; it asks by itself when the file is closed, but not while it is open.
pub(super) fn attributes_changed(notifier: &Notifier, inode: InodeNumber) {
    const ATTRIBUTES_ONLY: i64 = -1;
    // An inode that the kernel has forgotten has nothing to be told.
    let _ = notifier.invalidate(inode, ATTRIBUTES_ONLY, 0);
}

/// FALLOCATE.
pub(super) fn fallocate(
    volume: &Volume,
    inode: InodeNumber,
    mode: u32,
    offset: u64,
    length: u64,
    reply: Reply,
) {
    match fallocate_mode(mode.cast_signed()) {
        Some(mode) => {
            let result = volume.fallocate(inode, mode, offset, length);
            Call::new("fallocate", inode).answer_empty(reply, result);
        }
        None => reply.error(Errno::OPNOTSUPP),
    }
}

/// A place in a file, for copying.
#[derive(Clone, Copy)]
pub(super) struct Position {
    /// The file.
    pub inode: InodeNumber,
    /// The byte.
    pub offset: u64,
}

/// COPY_FILE_RANGE.
pub(super) fn copy(
    volume: &Volume,
    from: Position,
    to: Position,
    length: u64,
    flags: u64,
    long: bool,
    reply: Reply,
) {
    if flags != 0 {
        return reply.error(Errno::INVAL);
    }
    let length = length.min(MAX_COPY_BYTES);
    let result: FsResult<u64> =
        volume.copy_file_range(from.inode, from.offset, to.inode, to.offset, length);
    Call::new("copy_file_range", to.inode).answer(reply, result, |reply, count| {
        if long { reply.offset(count) } else { reply.written(count as u32) }
    });
}

/// What the mode of fallocate(2) asks for; `None` for what is not supported.
fn fallocate_mode(mode: i32) -> Option<FallocateMode> {
    const KEEP_SIZE: i32 = libc::FALLOC_FL_KEEP_SIZE;
    let keep_size = mode & KEEP_SIZE != 0;
    match mode & !KEEP_SIZE {
        0 => Some(FallocateMode::Allocate { keep_size }),
        libc::FALLOC_FL_PUNCH_HOLE if keep_size => Some(FallocateMode::PunchHole),
        libc::FALLOC_FL_ZERO_RANGE => Some(FallocateMode::ZeroRange { keep_size }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_of_fallocate() {
        let punch = libc::FALLOC_FL_PUNCH_HOLE;
        let keep = libc::FALLOC_FL_KEEP_SIZE;
        let zero = libc::FALLOC_FL_ZERO_RANGE;
        assert_eq!(fallocate_mode(0), Some(FallocateMode::Allocate { keep_size: false }));
        assert_eq!(fallocate_mode(keep), Some(FallocateMode::Allocate { keep_size: true }));
        assert_eq!(fallocate_mode(punch | keep), Some(FallocateMode::PunchHole));
        assert_eq!(fallocate_mode(punch), None);
        assert_eq!(fallocate_mode(zero), Some(FallocateMode::ZeroRange { keep_size: false }));
        assert_eq!(fallocate_mode(zero | keep), Some(FallocateMode::ZeroRange { keep_size: true }));
        assert_eq!(fallocate_mode(libc::FALLOC_FL_COLLAPSE_RANGE), None);
        assert_eq!(fallocate_mode(punch | zero | keep), None);
    }
}
