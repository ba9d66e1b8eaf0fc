//! Vectored transfers that go on until every byte is moved.
//!
//! The system calls are parameters of the loops, so that a test can make them short or interrupted.

use std::io::{IoSlice, IoSliceMut};
use std::ops::Deref;
use std::os::fd::OwnedFd;

use rustix::io::{Errno, preadv, pwritev};

/// The most buffers that one system call takes (`IOV_MAX` of Linux).
pub(super) const MAX_BUFFERS: usize = 1024;

/// Why a read stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadFailure {
    /// The file ends there.
    End,
    /// The kernel said so.
    Errno(Errno),
}

/// How far a transfer has come: this many whole buffers, and `skip` bytes of the next.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    index: usize,
    skip: usize,
}

impl Progress {
    /// Steps over `bytes` more, and over empty buffers.
    fn advance<B: Deref<Target = [u8]>>(&mut self, buffers: &[B], mut bytes: usize) {
        while let Some(buffer) = buffers.get(self.index) {
            let rest = buffer.len() - self.skip;
            if bytes < rest {
                self.skip += bytes;
                return;
            }
            bytes -= rest;
            *self = Self { index: self.index + 1, skip: 0 };
        }
    }

    /// The buffers that one call can take from here on.
    fn batch(&self, count: usize) -> std::ops::Range<usize> {
        self.index..count.min(self.index + MAX_BUFFERS)
    }
}

/// Writes all of `buffers`. A short write is continued at a multiple of `granule` bytes.
pub(super) fn write(
    file: &OwnedFd,
    offset: u64,
    buffers: &[IoSlice<'_>],
    granule: usize,
) -> Result<(), Errno> {
    write_with(|batch, at| pwritev(file, batch, at), offset, buffers, granule)
}

/// Fills all of `buffers`. A short read is continued at a multiple of `granule` bytes.
pub(super) fn read(
    file: &OwnedFd,
    offset: u64,
    buffers: &mut [IoSliceMut<'_>],
    granule: usize,
) -> Result<(), ReadFailure> {
    read_with(|batch, at| preadv(file, batch, at), offset, buffers, granule)
}

fn write_with(
    mut call: impl FnMut(&[IoSlice<'_>], u64) -> Result<usize, Errno>,
    mut offset: u64,
    buffers: &[IoSlice<'_>],
    granule: usize,
) -> Result<(), Errno> {
    let mut progress = Progress::default();
    progress.advance(buffers, 0);
    while progress.index < buffers.len() {
        let done = if progress.skip == 0 {
            call(&buffers[progress.batch(buffers.len())], offset)
        } else {
            call(&[IoSlice::new(&buffers[progress.index][progress.skip..])], offset)
        };
        match done {
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
            // A device that takes nothing and gives no reason would be asked for ever.
            Ok(bytes) if bytes < granule => return Err(Errno::IO),
            Ok(bytes) => {
                let bytes = bytes - bytes % granule;
                progress.advance(buffers, bytes);
                offset += bytes as u64;
            }
        }
    }
    Ok(())
}

fn read_with(
    mut call: impl FnMut(&mut [IoSliceMut<'_>], u64) -> Result<usize, Errno>,
    mut offset: u64,
    buffers: &mut [IoSliceMut<'_>],
    granule: usize,
) -> Result<(), ReadFailure> {
    let mut progress = Progress::default();
    progress.advance(buffers, 0);
    while progress.index < buffers.len() {
        let done = if progress.skip == 0 {
            let batch = progress.batch(buffers.len());
            call(&mut buffers[batch], offset)
        } else {
            let rest = &mut buffers[progress.index][progress.skip..];
            call(&mut [IoSliceMut::new(rest)], offset)
        };
        match done {
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(ReadFailure::Errno(errno)),
            Ok(bytes) if bytes < granule => return Err(ReadFailure::End),
            Ok(bytes) => {
                let bytes = bytes - bytes % granule;
                progress.advance(buffers, bytes);
                offset += bytes as u64;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes at most `limit` bytes a call, is interrupted at every third call.
    struct Reluctant {
        calls: usize,
        limit: usize,
    }

    impl Reluctant {
        fn allowance(&mut self) -> Result<usize, Errno> {
            self.calls += 1;
            if self.calls.is_multiple_of(3) { Err(Errno::INTR) } else { Ok(self.limit) }
        }
    }

    #[test]
    fn short_and_interrupted_writes_are_continued() {
        let parts = [&[1u8; 8][..], &[], &[2; 4], &[3; 4]];
        for (limit, granule) in [(1, 1), (3, 1), (5, 4), (9, 4), (100, 1)] {
            let buffers = parts.map(IoSlice::new);
            let mut reluctant = Reluctant { calls: 0, limit };
            let mut written = vec![0; 16];
            let call = |batch: &[IoSlice<'_>], at: u64| {
                let allowance = reluctant.allowance()?;
                let all: Vec<u8> = batch.iter().flat_map(|buffer| buffer.to_vec()).collect();
                let count = all.len().min(allowance);
                written[at as usize..at as usize + count].copy_from_slice(&all[..count]);
                Ok(count)
            };
            write_with(call, 0, &buffers, granule).unwrap();
            assert_eq!(written, parts.concat());
        }
    }

    #[test]
    fn short_and_interrupted_reads_are_continued() {
        let source: Vec<u8> = (0..16).collect();
        for (limit, granule) in [(1, 1), (3, 1), (6, 4), (100, 1)] {
            let (mut first, mut second) = ([0; 8], [0; 8]);
            let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
            let mut reluctant = Reluctant { calls: 0, limit };
            let call = |batch: &mut [IoSliceMut<'_>], at: u64| {
                let count = reluctant.allowance()?.min(batch[0].len());
                batch[0][..count].copy_from_slice(&source[at as usize..at as usize + count]);
                Ok(count)
            };
            read_with(call, 0, &mut buffers, granule).unwrap();
            assert_eq!([first, second].concat(), source);
        }
    }

    #[test]
    fn a_call_that_moves_nothing_ends_the_transfer() {
        let buffers = [IoSlice::new(&[1; 8])];
        assert_eq!(write_with(|_, _| Ok(0), 0, &buffers, 1), Err(Errno::IO));
        let mut bytes = [0; 8];
        let mut buffers = [IoSliceMut::new(&mut bytes)];
        assert_eq!(read_with(|_, _| Ok(0), 0, &mut buffers, 1), Err(ReadFailure::End));
        let failing = |_: &mut [IoSliceMut<'_>], _| Err(Errno::IO);
        let failed = read_with(failing, 0, &mut buffers, 1);
        assert_eq!(failed, Err(ReadFailure::Errno(Errno::IO)));
    }

    #[test]
    fn a_call_gets_no_more_buffers_than_it_takes() {
        let bytes = [1u8; 1];
        let buffers = vec![IoSlice::new(&bytes); 2 * MAX_BUFFERS + 7];
        let mut batches = Vec::new();
        let call = |batch: &[IoSlice<'_>], _| {
            batches.push(batch.len());
            Ok(batch.len())
        };
        write_with(call, 0, &buffers, 1).unwrap();
        assert_eq!(batches, [MAX_BUFFERS, MAX_BUFFERS, 7]);
    }

    #[test]
    fn no_buffers_need_no_call() {
        let never = |_: &[IoSlice<'_>], _| Err(Errno::IO);
        assert_eq!(write_with(never, 0, &[IoSlice::new(&[])], 1), Ok(()));
    }
}
