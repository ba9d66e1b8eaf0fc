//! A device in memory.
//!
//! Purpose: a device for tests and for images rebuilt from a recording. It holds only the blocks
//! that are not all zero, so that a very large one costs nothing, and it shares them with its clones, so
//! that a snapshot of an image costs a reference for every 2 MiB that it holds.
//!
//! Invariants: a block that is all zero is absent; a chunk without blocks is absent; a clone never
//! sees a later write to the original. Lock order: one lock, taken by each operation for its length.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{IoSlice, IoSliceMut};
use std::ops::Range;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::buffers::{Gather, Scatter};
use crate::device::{BLOCK_BYTES, BlockDevice, BlockGeometry, check_range, total_bytes};
use crate::error::{BlockError, BlockOperation};

const BLOCK: usize = BLOCK_BYTES as usize;
const CHUNK_BLOCKS: u64 = 512;
const SECTOR_BYTES: u32 = 512;
const ZERO_BLOCK: Block = [0; BLOCK];

type Block = [u8; BLOCK];

/// The blocks of one aligned run of [`CHUNK_BLOCKS`], by number within it.
type Chunk = BTreeMap<u16, Arc<Block>>;

/// The chunks that hold anything, by number.
type Chunks = BTreeMap<u64, Arc<Chunk>>;

/// A sparse device in memory; cloning it takes a snapshot.
pub struct MemoryDevice {
    size_bytes: u64,
    chunks: RwLock<Chunks>,
}

impl MemoryDevice {
    /// A device of `size_bytes`, rounded down to whole blocks, that reads as zeros.
    pub fn new(size_bytes: u64) -> Self {
        let size_bytes = size_bytes - size_bytes % BLOCK_BYTES;
        Self { size_bytes, chunks: RwLock::default() }
    }

    /// How many blocks are not all zero.
    pub fn stored_blocks(&self) -> u64 {
        self.chunks.read().values().map(|chunk| chunk.len() as u64).sum()
    }

    /// Writes every block that is not all zero to `target`, to keep an image as a file for example.
    pub fn copy_to(&self, target: &dyn BlockDevice) -> Result<(), BlockError> {
        for (&number, chunk) in self.clone().chunks.read().iter() {
            for (&index, block) in chunk.iter() {
                let address = number * CHUNK_BLOCKS + u64::from(index);
                target.write_at(address * BLOCK_BYTES, &[IoSlice::new(&block[..])])?;
            }
        }
        Ok(())
    }

    /// Reads a range of whole blocks that is known to lie within the device.
    pub(crate) fn get(&self, offset: u64, buffer: &mut [u8]) {
        let range = addresses(offset, buffer.len() as u64);
        self.load(range, Scatter::new(&mut [IoSliceMut::new(buffer)]));
    }

    /// Writes a range of whole blocks that is known to lie within the device.
    pub(crate) fn put(&self, offset: u64, data: &[u8]) {
        let range = addresses(offset, data.len() as u64);
        self.save(range, Gather::new(&[IoSlice::new(data)]));
    }

    /// Zeroes a range of whole blocks that is known to lie within the device.
    pub(crate) fn clear(&self, offset: u64, length: u64) {
        let mut chunks = self.chunks.write();
        let range = addresses(offset, length);
        // Whole chunks go at once, so that clearing a very large device is cheap too.
        let (first, last) = (range.start.div_ceil(CHUNK_BLOCKS), range.end / CHUNK_BLOCKS);
        if first < last {
            chunks.retain(|number, _| !(first..last).contains(number));
            let edges = (range.start..first * CHUNK_BLOCKS).chain(last * CHUNK_BLOCKS..range.end);
            edges.for_each(|address| remove(&mut chunks, address));
        } else {
            range.for_each(|address| remove(&mut chunks, address));
        }
    }

    fn load(&self, range: Range<u64>, mut scatter: Scatter<'_, '_>) {
        let chunks = self.chunks.read();
        for address in range {
            let (number, index) = place(address);
            let block = chunks.get(&number).and_then(|chunk| chunk.get(&index));
            scatter.put(block.map_or(&ZERO_BLOCK[..], |block| &block[..]));
        }
    }

    fn save(&self, range: Range<u64>, mut gather: Gather<'_, '_>) {
        let mut block = ZERO_BLOCK;
        let mut chunks = self.chunks.write();
        for address in range {
            gather.fill(&mut block);
            store(&mut chunks, address, &block);
        }
    }

    fn check(&self, operation: BlockOperation, offset: u64, length: u64) -> Result<(), BlockError> {
        check_range(operation, offset, length, self.size_bytes)
    }
}

impl Clone for MemoryDevice {
    fn clone(&self) -> Self {
        Self { size_bytes: self.size_bytes, chunks: RwLock::new(self.chunks.read().clone()) }
    }
}

impl PartialEq for MemoryDevice {
    fn eq(&self, other: &Self) -> bool {
        // Cloned first, so that comparing a device with itself or from two threads takes one lock at a time.
        let (left, right) = (self.clone(), other.clone());
        left.size_bytes == right.size_bytes && *left.chunks.read() == *right.chunks.read()
    }
}

impl Eq for MemoryDevice {}

impl fmt::Debug for MemoryDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDevice")
            .field("size_bytes", &self.size_bytes)
            .field("stored_blocks", &self.stored_blocks())
            .finish()
    }
}

/// The addresses of the blocks in a range that has been checked.
fn addresses(offset: u64, length: u64) -> Range<u64> {
    let first = offset / BLOCK_BYTES;
    first..first + length / BLOCK_BYTES
}

/// The chunk of a block, and its place in there.
fn place(address: u64) -> (u64, u16) {
    (address / CHUNK_BLOCKS, (address % CHUNK_BLOCKS) as u16)
}

fn store(chunks: &mut Chunks, address: u64, block: &Block) {
    let (number, index) = place(address);
    if *block == ZERO_BLOCK {
        remove(chunks, address);
    } else {
        let chunk = Arc::make_mut(chunks.entry(number).or_default());
        chunk.insert(index, Arc::new(*block));
    }
}

fn remove(chunks: &mut Chunks, address: u64) {
    let (number, index) = place(address);
    let Some(chunk) = chunks.get_mut(&number) else {
        return;
    };
    if chunk.contains_key(&index) {
        Arc::make_mut(chunk).remove(&index);
    }
    if chunk.is_empty() {
        chunks.remove(&number);
    }
}

impl BlockDevice for MemoryDevice {
    fn geometry(&self) -> BlockGeometry {
        BlockGeometry {
            size_bytes: self.size_bytes,
            logical_block_bytes: SECTOR_BYTES,
            discards: true,
            rotational: Some(false),
            direct_reads: true,
            direct_writes: true,
            read_only: false,
        }
    }

    fn read_vectored_at(
        &self,
        offset: u64,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Result<(), BlockError> {
        let length = total_bytes(buffers);
        self.check(BlockOperation::Read, offset, length)?;
        self.load(addresses(offset, length), Scatter::new(buffers));
        Ok(())
    }

    fn write_at(&self, offset: u64, buffers: &[IoSlice<'_>]) -> Result<(), BlockError> {
        let length = total_bytes(buffers);
        self.check(BlockOperation::Write, offset, length)?;
        self.save(addresses(offset, length), Gather::new(buffers));
        Ok(())
    }

    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), BlockError> {
        self.check(BlockOperation::Discard, offset, length)?;
        self.clear(offset, length);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BlockErrorKind;

    const TIB: u64 = 1 << 40;

    fn write(device: &MemoryDevice, offset: u64, fill: u8) {
        device.write_at(offset, &[IoSlice::new(&[fill; BLOCK])]).unwrap();
    }

    fn first_byte(device: &MemoryDevice, offset: u64) -> u8 {
        let mut block = [0xee; BLOCK];
        device.read_at(offset, &mut block).unwrap();
        assert!(block.iter().all(|byte| *byte == block[0]));
        block[0]
    }

    #[test]
    fn eight_tebibytes_cost_what_is_written() {
        let device = MemoryDevice::new(8 * TIB);
        let ends = [0, 4 * TIB + BLOCK_BYTES, 8 * TIB - BLOCK_BYTES];
        for (fill, offset) in (1..).zip(ends) {
            write(&device, offset, fill);
        }
        assert_eq!(device.stored_blocks(), 3);
        for (fill, offset) in (1..).zip(ends) {
            assert_eq!(first_byte(&device, offset), fill);
        }
        assert_eq!(first_byte(&device, TIB), 0);
        device.discard(BLOCK_BYTES, 8 * TIB - BLOCK_BYTES).unwrap();
        assert_eq!((device.stored_blocks(), first_byte(&device, 0)), (1, 1));
    }

    #[test]
    fn the_end_is_the_end() {
        let device = MemoryDevice::new(10_000);
        assert_eq!(device.geometry().size_bytes, 8192);
        let beyond = device.write_at(8192, &[IoSlice::new(&[1; BLOCK])]).unwrap_err();
        assert_eq!(beyond.kind, BlockErrorKind::OutOfRange);
        let unaligned = device.read_at(100, &mut [0; BLOCK]).unwrap_err();
        assert_eq!(unaligned.kind, BlockErrorKind::Unaligned);
        assert_eq!(device.discard(4096, 8192).unwrap_err().operation, BlockOperation::Discard);
    }

    #[test]
    fn buffers_may_be_cut_anywhere() {
        let device = MemoryDevice::new(1 << 20);
        let bytes: Vec<u8> = (0..2 * BLOCK).map(|at| (at % 251) as u8 + 1).collect();
        let cut = [&bytes[..1], &bytes[1..5000], &[], &bytes[5000..]].map(IoSlice::new);
        device.write_at(4096, &cut).unwrap();
        let (mut first, mut second) = (vec![0; 128], vec![0; 2 * BLOCK - 128]);
        let mut parts = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        device.read_vectored_at(4096, &mut parts).unwrap();
        assert_eq!([first, second].concat(), bytes);
    }

    #[test]
    fn a_snapshot_and_its_original_go_separate_ways() {
        let device = MemoryDevice::new(1 << 30);
        write(&device, 0, 1);
        write(&device, 4096, 2);
        let snapshot = device.clone();
        assert_eq!(snapshot, device);
        write(&device, 0, 3);
        device.discard(4096, 4096).unwrap();
        write(&snapshot, 8192, 4);
        assert_eq!([0, 4096, 8192].map(|offset| first_byte(&device, offset)), [3, 0, 0]);
        assert_eq!([0, 4096, 8192].map(|offset| first_byte(&snapshot, offset)), [1, 2, 4]);
        assert_ne!(snapshot, device);
    }

    #[test]
    fn zeros_take_no_space_and_compare_equal_to_nothing() {
        let device = MemoryDevice::new(1 << 30);
        write(&device, 0, 0);
        write(&device, 4096, 5);
        write(&device, 4096, 0);
        assert_eq!(device.stored_blocks(), 0);
        assert_eq!(device, MemoryDevice::new(1 << 30));
        assert_ne!(device, MemoryDevice::new(1 << 29));
    }

    #[test]
    fn a_discard_ends_at_its_edges() {
        let device = MemoryDevice::new(16 << 20);
        let blocks = || (0..4096).map(|block| block * BLOCK_BYTES);
        blocks().for_each(|offset| write(&device, offset, 1));
        device.discard(100 * BLOCK_BYTES, 2000 * BLOCK_BYTES).unwrap();
        let kept: Vec<u64> =
            (0..4096).filter(|block| first_byte(&device, block * BLOCK_BYTES) == 1).collect();
        let expected: Vec<u64> = (0..100).chain(2100..4096).collect();
        assert_eq!(kept, expected);
    }

    #[test]
    fn an_image_can_be_copied_to_another_device() {
        let device = MemoryDevice::new(8 * TIB);
        write(&device, 0, 1);
        write(&device, 7 * TIB, 2);
        let copy = MemoryDevice::new(8 * TIB);
        device.copy_to(&copy).unwrap();
        assert_eq!(copy, device);
        let small = MemoryDevice::new(TIB);
        assert_eq!(device.copy_to(&small).unwrap_err().kind, BlockErrorKind::OutOfRange);
    }
}
