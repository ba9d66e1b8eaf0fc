//! File data: into freshly allocated blocks, out of them with every checksum verified.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use braidfs_format::item::MAX_EXTENT_BLOCKS;
use braidfs_format::{
    BLOCK_SIZE, BlockAddress, DeltaNumber, Extent, ExtentContent, block_checksum,
};

use crate::error::{ErrorContext, StoreError};
use crate::layers::run_of;
use crate::space::{BlockRun, Reservation};
use crate::store::Store;

/// The birth of blocks that no delta has published yet: [`Store::publish`] must get the delta's.
pub const UNBORN: DeltaNumber = 0;

/// One block of a file in memory.
pub type Page = [u8; BLOCK_SIZE];

/// Blocks written by one call of the device.
const MAX_WRITE_BLOCKS: usize = 1024;

impl Store {
    /// Writes `pages` to new blocks, in runs as long as free space has them, and returns the
    /// extents that back them, in order. They are born in `birth`, the delta that will publish
    /// them. Nothing is flushed: making that delta durable makes the data durable too.
    ///
    /// # Errors
    /// [`StoreErrorKind::NoSpace`](crate::StoreErrorKind::NoSpace) when the reservation is smaller
    /// than the data; a failure of the device poisons the store.
    pub fn write_data(
        &self,
        reservation: &mut Reservation,
        birth: DeltaNumber,
        pages: &[&Page],
    ) -> Result<Vec<Extent>, StoreError> {
        self.check_writable()?;
        let mut extents = Vec::new();
        let mut rest = pages;
        while !rest.is_empty() {
            let wanted = rest.len().min(MAX_WRITE_BLOCKS) as u64;
            let run = self.allocate(reservation, wanted, &extents)?;
            let (now, later) = rest.split_at(rest.len().min(run.length as usize));
            self.write_run(run.start, now).map_err(|error| self.poison.set(error))?;
            extents.extend(extents_of(run.start, birth, now));
            rest = later;
        }
        self.counters.data_blocks_written.add(pages.len() as u64);
        Ok(extents)
    }

    /// Reserves `count` blocks that read as zeros, for a file's content to come.
    ///
    /// # Errors
    /// [`StoreErrorKind::NoSpace`](crate::StoreErrorKind::NoSpace) when the reservation is smaller.
    pub fn allocate_unwritten(
        &self,
        reservation: &mut Reservation,
        birth: DeltaNumber,
        count: u64,
    ) -> Result<Vec<Extent>, StoreError> {
        self.check_writable()?;
        let mut extents = Vec::new();
        let mut left = count;
        while left > 0 {
            let wanted = left.min(u64::from(u32::MAX));
            let run = self.allocate(reservation, wanted, &extents)?;
            let content = ExtentContent::Unwritten { address: run.start, birth };
            extents.push(Extent { length: run.length as u32, content });
            left -= run.length;
        }
        Ok(extents)
    }

    /// Fills `pages` with the blocks of `extent` from its block `skip_blocks` on.
    ///
    /// # Errors
    /// [`StoreErrorKind::Corrupt`](crate::StoreErrorKind::Corrupt), with the address of the block,
    /// if a checksum does not fit; a failure of the device.
    pub fn read_extent(
        &self,
        extent: &Extent,
        skip_blocks: u32,
        pages: &mut [&mut Page],
    ) -> Result<(), StoreError> {
        let wanted = u32::try_from(pages.len()).ok().and_then(|n| skip_blocks.checked_add(n));
        if wanted.is_none_or(|end| end > extent.length) {
            let detail = "more blocks were asked for than the extent has";
            return Err(StoreError::invalid("reading data", detail));
        }
        match &extent.content {
            ExtentContent::Unwritten { .. } => pages.iter_mut().for_each(|page| page.fill(0)),
            ExtentContent::Inline { bytes } => {
                pages.iter_mut().for_each(|page| fill_inline(page, bytes));
            }
            ExtentContent::Blocks { address, checksums, .. } => {
                let sums = checksums.get(skip_blocks as usize..).unwrap_or_default();
                self.read_blocks(address.saturating_add(u64::from(skip_blocks)), sums, pages)?;
            }
        }
        self.counters.data_blocks_read.add(pages.len() as u64);
        Ok(())
    }

    /// Allocates a run; if that fails, what `before` it was allocated for the same data is given
    /// back.
    fn allocate(
        &self,
        reservation: &mut Reservation,
        wanted: u64,
        before: &[Extent],
    ) -> Result<BlockRun, StoreError> {
        self.space.allocate_run(reservation, wanted).inspect_err(|_| {
            before.iter().for_each(|extent| self.free_unused(run_of(extent).as_slice()));
        })
    }

    fn write_run(&self, address: BlockAddress, pages: &[&Page]) -> Result<(), StoreError> {
        let slices: Vec<_> = pages.iter().map(|page| IoSlice::new(*page)).collect();
        self.device
            .write_at(address.saturating_mul(BLOCK_SIZE as u64), &slices)
            .doing("writing data")
            .at_block(address)
    }

    fn read_blocks(
        &self,
        address: BlockAddress,
        checksums: &[u32],
        pages: &mut [&mut Page],
    ) -> Result<(), StoreError> {
        let mut slices: Vec<_> =
            pages.iter_mut().map(|page| IoSliceMut::new(page.as_mut_slice())).collect();
        self.device
            .read_vectored_at(address.saturating_mul(BLOCK_SIZE as u64), &mut slices)
            .doing("reading data")
            .at_block(address)?;
        for ((page, checksum), block) in pages.iter().zip(checksums).zip(address..) {
            check_block(page.as_slice(), *checksum, block)?;
        }
        Ok(())
    }
}

/// Refuses a block of data whose checksum is not the one that its extent has.
pub(crate) fn check_block(
    bytes: &[u8],
    expected: u32,
    block: BlockAddress,
) -> Result<(), StoreError> {
    let found = block_checksum(bytes);
    if found == expected {
        return Ok(());
    }
    let detail = format!(
        "the checksum of a block is {found:#010x} where {expected:#010x} was written; restore the \
         file from a copy and check the device"
    );
    Err(StoreError::corrupt("reading data", detail).at_block(block))
}

/// The extents of pages that were written from `address` on.
fn extents_of(
    address: BlockAddress,
    birth: DeltaNumber,
    pages: &[&Page],
) -> impl Iterator<Item = Extent> {
    let parts = pages.chunks(MAX_EXTENT_BLOCKS as usize);
    parts.scan(address, move |next, part| {
        let address = *next;
        *next += part.len() as u64;
        let checksums: Arc<[u32]> =
            part.iter().map(|page| block_checksum(page.as_slice())).collect();
        let content = ExtentContent::Blocks { address, birth, checksums };
        Some(Extent { length: part.len() as u32, content })
    })
}

fn fill_inline(page: &mut Page, bytes: &[u8]) {
    let held = bytes.len().min(BLOCK_SIZE);
    let (head, tail) = page.split_at_mut(held);
    head.copy_from_slice(bytes.get(..held).unwrap_or_default());
    tail.fill(0);
}
