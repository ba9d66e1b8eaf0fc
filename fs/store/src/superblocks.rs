//! Finding the superblock in force among its copies, and writing the next one.
//!
//! Slot `sequence & 1` is written near and far; the other slot stays as it was, so a crash while
//! one is being written leaves the one before in force.

use std::io::IoSlice;

use braidfs_block::BlockDevice;
use braidfs_format::{BLOCK_SIZE, BlockAddress, FormatError, FormatErrorKind, Superblock};

use crate::error::{ErrorContext, StoreError, StoreErrorKind};

const DOING: &str = "reading the superblock";
/// Where the near copies are.
const NEAR: [BlockAddress; 2] = [0, 1];

/// What was found where a superblock should be.
#[derive(Debug)]
enum Found {
    Valid(Box<Superblock>),
    /// Nothing that was ever one.
    Foreign,
    /// One that does not decode.
    Wrong(FormatError, BlockAddress),
}

/// The superblock in force: the one with the highest sequence of all valid copies.
///
/// # Errors
/// [`StoreErrorKind::NotAVolume`] when no copy has the magic number,
/// [`StoreErrorKind::Unsupported`] when the volume is newer than this code,
/// [`StoreErrorKind::Corrupt`] when no copy is valid or the device is shorter than the volume.
pub(crate) fn choose(device: &dyn BlockDevice) -> Result<Superblock, StoreError> {
    let device_blocks = device.geometry().size_bytes / BLOCK_SIZE as u64;
    if device_blocks < 4 {
        let detail = "the device is too small to hold a volume; check that it is the right one";
        return Err(StoreError::new(StoreErrorKind::NotAVolume, DOING, detail));
    }
    let mut wrong = Vec::new();
    let mut newest: Option<Box<Superblock>> = None;
    for address in NEAR.into_iter().chain([device_blocks - 2, device_blocks - 1]) {
        match look(device, address)? {
            Found::Valid(copy) if newest.as_ref().is_none_or(|best| succeeds(&copy, best)) => {
                newest = Some(copy);
            }
            Found::Valid(_) | Found::Foreign => {}
            Found::Wrong(error, address) => wrong.push((error, address)),
        }
    }
    let Some(superblock) = newest else { return Err(none_valid(wrong)) };
    for (error, block) in wrong {
        tracing::warn!(%error, block, "a copy of the superblock is damaged; another one serves");
    }
    check_size(&superblock, device_blocks)?;
    Ok(*superblock)
}

/// Whether `copy` is a newer superblock of the same volume. The device's end may hold one of another
/// volume that was on it before.
fn succeeds(copy: &Superblock, best: &Superblock) -> bool {
    copy.volume_id == best.volume_id && copy.sequence > best.sequence
}

fn look(device: &dyn BlockDevice, address: BlockAddress) -> Result<Found, StoreError> {
    let mut block = vec![0; BLOCK_SIZE];
    if let Err(error) = device.read_at(address * BLOCK_SIZE as u64, &mut block) {
        let detail = format!("it cannot be read: {error}");
        let error = FormatError::new(FormatErrorKind::Truncated, "superblock", 0, detail);
        return Ok(Found::Wrong(error, address));
    }
    if !Superblock::sniff(&block) {
        return Ok(Found::Foreign);
    }
    Ok(match Superblock::decode(&block, address) {
        Ok(superblock) => Found::Valid(Box::new(superblock)),
        Err(error) => Found::Wrong(error, address),
    })
}

/// The error when no copy is valid: newer beats damaged beats foreign.
fn none_valid(wrong: Vec<(FormatError, BlockAddress)>) -> StoreError {
    let newer = wrong.iter().find(|(error, _)| error.kind == FormatErrorKind::Unsupported);
    if let Some((error, address)) = newer {
        return StoreError::from(error.clone()).doing(DOING).at_block(*address);
    }
    match wrong.into_iter().next() {
        Some((error, address)) => {
            let detail = format!("no copy is valid ({error}); restore the volume from a copy");
            StoreError::corrupt(DOING, detail).at_block(address).caused_by(error)
        }
        None => {
            let detail = "there is no braidfs volume here; check the path, or make one with mkfs";
            StoreError::new(StoreErrorKind::NotAVolume, DOING, detail)
        }
    }
}

fn check_size(superblock: &Superblock, device_blocks: u64) -> Result<(), StoreError> {
    let blocks = superblock.geometry.block_count;
    if blocks <= device_blocks {
        return Ok(());
    }
    let detail = format!(
        "the volume has {blocks} blocks, the device only {device_blocks}: it was cut short; \
         restore it to its full size from a copy"
    );
    Err(StoreError::corrupt(DOING, detail))
}

/// Writes both copies of `superblock` to its slot. Nothing is flushed.
pub(crate) fn write(device: &dyn BlockDevice, superblock: &Superblock) -> Result<(), StoreError> {
    for address in superblock.geometry.superblock_addresses(superblock.sequence) {
        let copy = Superblock { own_address: address, ..superblock.clone() };
        let bytes = copy.encode().doing("writing the superblock").at_block(address)?;
        device
            .write_at(address * BLOCK_SIZE as u64, &[IoSlice::new(&bytes)])
            .doing("writing the superblock")
            .at_block(address)?;
    }
    Ok(())
}
