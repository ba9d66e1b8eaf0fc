//! Moving bytes between a list of buffers and one contiguous run.

use std::io::{IoSlice, IoSliceMut};

/// Takes bytes, in order, out of a list of buffers.
pub(crate) struct Gather<'a, 'b> {
    buffers: &'a [IoSlice<'b>],
    skip: usize,
}

impl<'a, 'b> Gather<'a, 'b> {
    /// Starts at the first byte of the first of `buffers`.
    pub(crate) fn new(buffers: &'a [IoSlice<'b>]) -> Self {
        Self { buffers, skip: 0 }
    }

    /// Fills `out` with the next bytes, as far as there are any; returns how many there were.
    pub(crate) fn fill(&mut self, out: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < out.len() {
            let Some((first, rest)) = self.buffers.split_first() else {
                break;
            };
            let available = &first[self.skip..];
            let count = available.len().min(out.len() - filled);
            out[filled..filled + count].copy_from_slice(&available[..count]);
            filled += count;
            self.skip += count;
            if self.skip == first.len() {
                (self.buffers, self.skip) = (rest, 0);
            }
        }
        filled
    }
}

/// Puts bytes, in order, into a list of buffers.
pub(crate) struct Scatter<'a, 'b> {
    buffers: &'a mut [IoSliceMut<'b>],
    index: usize,
    skip: usize,
}

impl<'a, 'b> Scatter<'a, 'b> {
    /// Starts at the first byte of the first of `buffers`.
    pub(crate) fn new(buffers: &'a mut [IoSliceMut<'b>]) -> Self {
        Self { buffers, index: 0, skip: 0 }
    }

    /// Puts `data` next, as far as there is room.
    pub(crate) fn put(&mut self, mut data: &[u8]) {
        while let Some(buffer) = self.buffers.get_mut(self.index) {
            let room = &mut buffer[self.skip..];
            let count = room.len().min(data.len());
            room[..count].copy_from_slice(&data[..count]);
            data = &data[count..];
            if count < room.len() {
                self.skip += count;
                return;
            }
            (self.index, self.skip) = (self.index + 1, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gather_crosses_buffers_and_empty_ones() {
        let buffers = [&b"ab"[..], b"", b"cde", b"f"].map(IoSlice::new);
        let mut gather = Gather::new(&buffers);
        let mut out = [0; 4];
        assert_eq!(gather.fill(&mut out), 4);
        assert_eq!(&out, b"abcd");
        assert_eq!(gather.fill(&mut out), 2);
        assert_eq!(&out[..2], b"ef");
        assert_eq!(gather.fill(&mut out), 0);
    }

    #[test]
    fn scatter_crosses_buffers_and_empty_ones() {
        let (mut first, mut empty, mut second) = ([0; 2], [0; 0], [0; 3]);
        let mut buffers = [
            IoSliceMut::new(&mut first),
            IoSliceMut::new(&mut empty),
            IoSliceMut::new(&mut second),
        ];
        let mut scatter = Scatter::new(&mut buffers);
        scatter.put(b"a");
        scatter.put(b"bcd");
        scatter.put(b"ef");
        assert_eq!((&first, &second), (b"ab", b"cde"));
    }
}
