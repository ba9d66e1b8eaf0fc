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
        Self {
            size_bytes,
            chunks: RwLock::default(),
        }
    }

    /// How many blocks are not all zero.
    pub fn stored_blocks(&self) -> u64 {
        self.chunks
            .read()
            .values()
            .map(|chunk| chunk.len() as u64)
            .sum()
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

    fn check(&self, operation: BlockOperation, offset: u64, length: u64) -> Result<(), BlockError> {
        check_range(operation, offset, length, self.size_bytes)
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
        let mut scatter = Scatter::new(buffers);
        let chunks = self.chunks.read();
        for address in addresses(offset, length) {
            let (number, index) = place(address);
            let block = chunks.get(&number).and_then(|chunk| chunk.get(&index));
            scatter.put(block.map_or(&ZERO_BLOCK[..], |block| &block[..]));
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, buffers: &[IoSlice<'_>]) -> Result<(), BlockError> {
        let length = total_bytes(buffers);
        self.check(BlockOperation::Write, offset, length)?;
        let mut gather = Gather::new(buffers);
        let mut block = ZERO_BLOCK;
        let mut chunks = self.chunks.write();
        for address in addresses(offset, length) {
            gather.fill(&mut block);
            store(&mut chunks, address, &block);
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), BlockError> {
        self.check(BlockOperation::Discard, offset, length)?;
        let mut chunks = self.chunks.write();
        let range = addresses(offset, length);
        // Whole chunks go at once, so that discarding a very large device is cheap too.
        let (first, last) = (range.start.div_ceil(CHUNK_BLOCKS), range.end / CHUNK_BLOCKS);
        if first < last {
            chunks.retain(|number, _| !(first..last).contains(number));
            let edges = (range.start..first * CHUNK_BLOCKS).chain(last * CHUNK_BLOCKS..range.end);
            edges.for_each(|address| remove(&mut chunks, address));
        } else {
            range.for_each(|address| remove(&mut chunks, address));
        }
        Ok(())
    }
}

impl Clone for MemoryDevice {
    fn clone(&self) -> Self {
        Self {
            size_bytes: self.size_bytes,
            chunks: RwLock::new(self.chunks.read().clone()),
        }
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
