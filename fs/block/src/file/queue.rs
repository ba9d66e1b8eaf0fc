//! What the kernel knows about a disk: whether it rotates, and how to discard on it.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::io::{Errno, retry_on_intr};
use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

/// `BLKDISCARD` of Linux' `linux/fs.h`: `_IO(0x12, 119)`.
const BLKDISCARD: Opcode = opcode::none(0x12, 119);

/// Discards a range of a block device.
#[allow(unsafe_code)]
pub(super) fn discard(device: &OwnedFd, offset: u64, length: u64) -> Result<(), Errno> {
    retry_on_intr(|| {
        // SAFETY: BLKDISCARD reads two u64, the start and the length in bytes, through its
        // argument, and writes nothing to memory; any other file refuses it with ENOTTY.
        unsafe {
            let request = Setter::<BLKDISCARD, [u64; 2]>::new([offset, length]);
            ioctl(device, request)
        }
    })
}

/// A number that the kernel tells about the queue of the disk `major:minor`.
fn attribute(major: u32, minor: u32, name: &str) -> Option<u64> {
    // A partition has no queue of its own; its directory lies within that of the whole disk.
    ["queue", "../queue"].iter().find_map(|queue| {
        let text = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/{queue}/{name}"));
        text.ok()?.trim().parse().ok()
    })
}

/// Whether seeking on the disk costs time, where that is known.
pub(super) fn rotational(major: u32, minor: u32) -> Option<bool> {
    attribute(major, minor, "rotational").map(|value| value != 0)
}

/// Whether the disk can discard; yes where it is not known, as the first try will tell.
pub(super) fn discards(major: u32, minor: u32) -> bool {
    attribute(major, minor, "discard_max_bytes") != Some(0)
}
