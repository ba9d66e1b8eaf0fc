//! Direct transfers (`O_DIRECT`): what a file allows, and how unaligned buffers get there.

use std::io::{IoSlice, IoSliceMut};
use std::ops::Deref;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, OFlags, StatxFlags, fcntl_getfl, fcntl_setfl, statx};
use rustix::io::Errno;

use super::bounce::{BOUNCE_ALIGNMENT, BouncePool};
use super::transfer::{self, ReadFailure};
use crate::buffers::{Gather, Scatter};
use crate::device::total_bytes;

/// A file in direct mode, and the alignment that it asks for.
#[derive(Debug)]
pub(super) struct DirectTransfers {
    /// Addresses in memory, offsets and lengths are multiples of this power of two.
    granule: usize,
    pool: BouncePool,
}

/// What to do with the next buffers of a list: each takes this many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    /// They are aligned: transfer them as they are.
    Straight(usize),
    /// They are not, but their lengths sum up to an aligned one: copy them.
    Bounce(usize),
}

impl DirectTransfers {
    /// Switches `file` to direct transfers, or returns `None` where it does not allow them.
    pub(super) fn enable(file: &OwnedFd) -> Result<Option<Self>, Errno> {
        let Some(granule) = granule(file)? else {
            return Ok(None);
        };
        let flags = fcntl_getfl(file)?;
        match fcntl_setfl(file, flags | OFlags::DIRECT) {
            Ok(()) => Ok(Some(Self { granule, pool: BouncePool::default() })),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// The unit of direct transfers, in bytes.
    pub(super) fn granule(&self) -> usize {
        self.granule
    }

    /// Writes all of `buffers` at `offset`.
    pub(super) fn write(
        &self,
        file: &OwnedFd,
        mut offset: u64,
        mut buffers: &[IoSlice<'_>],
    ) -> Result<(), Errno> {
        while !buffers.is_empty() {
            let segment = next_segment(buffers, self.granule);
            let (head, rest) = buffers.split_at(segment.buffers());
            match segment {
                Segment::Straight(_) => transfer::write(file, offset, head, self.granule)?,
                Segment::Bounce(_) => self.write_copied(file, offset, head)?,
            }
            offset += total_bytes(head);
            buffers = rest;
        }
        Ok(())
    }

    /// Fills all of `buffers` from `offset`.
    pub(super) fn read(
        &self,
        file: &OwnedFd,
        mut offset: u64,
        mut buffers: &mut [IoSliceMut<'_>],
    ) -> Result<(), ReadFailure> {
        while !buffers.is_empty() {
            let segment = next_segment(buffers, self.granule);
            let (head, rest) = buffers.split_at_mut(segment.buffers());
            match segment {
                Segment::Straight(_) => transfer::read(file, offset, head, self.granule)?,
                Segment::Bounce(_) => self.read_copied(file, offset, head)?,
            }
            offset += total_bytes(head);
            buffers = rest;
        }
        Ok(())
    }

    fn write_copied(
        &self,
        file: &OwnedFd,
        mut offset: u64,
        buffers: &[IoSlice<'_>],
    ) -> Result<(), Errno> {
        let mut gather = Gather::new(buffers);
        self.pool.with(|bounce| {
            loop {
                let count = gather.fill(bounce);
                if count == 0 {
                    return Ok(());
                }
                let chunk = [IoSlice::new(&bounce[..count])];
                transfer::write(file, offset, &chunk, self.granule)?;
                offset += count as u64;
            }
        })
    }

    fn read_copied(
        &self,
        file: &OwnedFd,
        mut offset: u64,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Result<(), ReadFailure> {
        let end = offset + total_bytes(buffers);
        let mut scatter = Scatter::new(buffers);
        self.pool.with(|bounce| {
            while offset < end {
                let count = (end - offset).min(bounce.len() as u64) as usize;
                let chunk = &mut bounce[..count];
                transfer::read(file, offset, &mut [IoSliceMut::new(chunk)], self.granule)?;
                scatter.put(&bounce[..count]);
                offset += count as u64;
            }
            Ok(())
        })
    }
}

impl Segment {
    fn buffers(self) -> usize {
        match self {
            Self::Straight(buffers) | Self::Bounce(buffers) => buffers,
        }
    }
}

/// The alignment that direct transfers to `file` need, or `None` where they are not possible.
fn granule(file: &OwnedFd) -> Result<Option<usize>, Errno> {
    let status = match statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN) {
        Ok(status) => status,
        Err(Errno::NOSYS) => return Ok(Some(BOUNCE_ALIGNMENT)),
        Err(errno) => return Err(errno),
    };
    if !StatxFlags::from_bits_retain(status.stx_mask).contains(StatxFlags::DIOALIGN) {
        // A kernel or a filesystem that does not say: the strictest alignment serves all.
        return Ok(Some(BOUNCE_ALIGNMENT));
    }
    let granule = status.stx_dio_mem_align.max(status.stx_dio_offset_align) as usize;
    let possible =
        status.stx_dio_offset_align > 0 && granule.is_power_of_two() && granule <= BOUNCE_ALIGNMENT;
    Ok(possible.then_some(granule))
}

/// How the first buffers of a list that is not empty are to be transferred.
fn next_segment<B: Deref<Target = [u8]>>(buffers: &[B], granule: usize) -> Segment {
    let is_aligned = |buffer: &B| {
        buffer.as_ptr().addr().is_multiple_of(granule) && buffer.len().is_multiple_of(granule)
    };
    let straight = buffers.iter().take_while(|buffer| is_aligned(buffer)).count();
    if straight > 0 {
        return Segment::Straight(straight);
    }
    let mut bytes = 0;
    for (index, buffer) in buffers.iter().enumerate() {
        if bytes % granule == 0 && is_aligned(buffer) {
            return Segment::Bounce(index);
        }
        bytes += buffer.len();
    }
    Segment::Bounce(buffers.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slices of a page-aligned buffer.
    fn segments(ranges: &[std::ops::Range<usize>]) -> Vec<Segment> {
        let allocation = vec![0u8; 64 * 1024];
        let base = allocation.as_ptr().addr().wrapping_neg() % 4096;
        let buffers: Vec<_> =
            ranges.iter().map(|range| &allocation[base..][range.clone()]).collect();
        let mut found = Vec::new();
        let mut rest = &buffers[..];
        while !rest.is_empty() {
            let segment = next_segment(rest, 512);
            found.push(segment);
            rest = &rest[segment.buffers()..];
        }
        found
    }

    #[test]
    fn aligned_buffers_pass_straight_through() {
        assert_eq!(segments(&[0..4096, 8192..8704]), [Segment::Straight(2)]);
    }

    #[test]
    fn unaligned_ones_are_copied_up_to_the_next_aligned_boundary() {
        let split = segments(&[0..128, 128..4096, 4096..8192, 1..4097, 8192..12288]);
        assert_eq!(
            split,
            [Segment::Bounce(2), Segment::Straight(1), Segment::Bounce(1), Segment::Straight(1)]
        );
    }

    #[test]
    fn an_aligned_buffer_at_an_unaligned_place_is_copied_too() {
        assert_eq!(segments(&[0..128, 4096..8192, 8192..12160]), [Segment::Bounce(3)]);
    }
}
