//! Looking at an image without mounting it, locking it, or changing it.
//!
//! What is read while the volume is mounted may change underneath; the checksums tell.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use braidfs_format::{BLOCK_SIZE, BlockAddress, FormatError, FormatErrorKind, Superblock};

use super::error::{CliError, CliResult};
use super::signature::{SNIFF_BYTES, detect};
use crate::size::human;

const BLOCK_BYTES: u64 = BLOCK_SIZE as u64;

/// An image, to look at.
pub struct RawImage {
    path: PathBuf,
    file: File,
    size_bytes: u64,
}

/// A place where a superblock is, or should be.
pub struct SuperblockCopy {
    /// The block.
    pub address: BlockAddress,
    /// What is there.
    pub content: Result<Superblock, FormatError>,
}

impl RawImage {
    /// Opens `path` for reading.
    pub fn open(path: &Path) -> CliResult<Self> {
        let failed = |error: std::io::Error| {
            let shown = path.display();
            let hint = match error.kind() {
                std::io::ErrorKind::NotFound => "check the path",
                std::io::ErrorKind::PermissionDenied => "become a user who may read it",
                _ => "name an image file or a block device",
            };
            CliError::new(format!("cannot read {shown}: {error}; {hint}"))
        };
        let mut file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            let shown = path.display();
            let message = format!("{shown} is a directory; name an image file or a block device");
            return Err(CliError::new(message));
        }
        let size_bytes = file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, size_bytes })
    }

    /// Its size.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Reads `count` blocks at `address`.
    pub fn read(&self, address: BlockAddress, count: u64) -> CliResult<Vec<u8>> {
        let range = address.checked_mul(BLOCK_BYTES).zip(count.checked_mul(BLOCK_BYTES)).filter(
            |(start, length)| start.checked_add(*length).is_some_and(|end| end <= self.size_bytes),
        );
        let Some((start, length)) = range else {
            let shown = self.path.display();
            return Err(CliError::new(format!(
                "{shown} has no block {address}: it ends at {} bytes",
                self.size_bytes
            )));
        };
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, start).map_err(|error| {
            let shown = self.path.display();
            CliError::new(format!("cannot read block {address} of {shown}: {error}"))
        })?;
        Ok(bytes)
    }

    /// All copies of the superblock: two near the start, and two at the end of the volume, which is
    /// where the image ends unless a near copy says otherwise.
    pub fn superblocks(&self) -> CliResult<Vec<SuperblockCopy>> {
        let mut copies = vec![self.superblock_at(0)?, self.superblock_at(1)?];
        let volume_blocks = copies
            .iter()
            .find_map(|copy| copy.content.as_ref().ok().map(|found| found.geometry.block_count));
        let blocks = volume_blocks.unwrap_or(self.size_bytes / BLOCK_BYTES);
        for address in [blocks.saturating_sub(2), blocks.saturating_sub(1)] {
            if address > 1 && (address + 1) * BLOCK_BYTES <= self.size_bytes {
                copies.push(self.superblock_at(address)?);
            }
        }
        Ok(copies)
    }

    /// The newest superblock, which says what the volume is.
    ///
    /// # Errors
    /// When there is no volume, none that this version can read, or not all of one.
    pub fn superblock(&self) -> CliResult<Superblock> {
        if self.size_bytes < 2 * BLOCK_BYTES {
            return Err(self.not_a_volume("it is too small"));
        }
        let copies = self.superblocks()?;
        let newest = copies
            .iter()
            .filter_map(|copy| copy.content.as_ref().ok())
            .max_by_key(|superblock| superblock.sequence);
        match newest {
            Some(superblock) => self.check_whole(superblock).map(|()| superblock.clone()),
            None => Err(self.explain(&copies)),
        }
    }

    fn superblock_at(&self, address: BlockAddress) -> CliResult<SuperblockCopy> {
        let block = self.read(address, 1)?;
        Ok(SuperblockCopy { address, content: Superblock::decode(&block, address) })
    }

    /// Why none of the copies can be used.
    fn explain(&self, copies: &[SuperblockCopy]) -> CliError {
        let errors = || copies.iter().filter_map(|copy| copy.content.as_ref().err());
        let shown = self.path.display();
        if let Some(newer) = errors().find(|error| error.kind == FormatErrorKind::Unsupported) {
            return CliError::new(format!(
                "{shown} was made by a newer braidfs ({}); use that version or a newer one",
                newer.detail
            ));
        }
        match errors().find(|error| error.kind != FormatErrorKind::BadMagic) {
            Some(damage) => CliError::new(format!(
                "{shown} has no intact superblock ({damage}); check it with `braidfs fsck {shown}`"
            )),
            None => self.not_a_volume("it holds something else"),
        }
    }

    fn not_a_volume(&self, otherwise: &str) -> CliError {
        let length = self.size_bytes.min(SNIFF_BYTES as u64);
        let mut start = vec![0; usize::try_from(length).unwrap_or(SNIFF_BYTES)];
        let found = self.file.read_exact_at(&mut start, 0).ok().and_then(|()| detect(&start));
        let shown = self.path.display();
        let why = match found {
            Some(what) => format!("it holds {what}"),
            None if start.is_empty() => "it is empty".to_owned(),
            None if start.iter().all(|&byte| byte == 0) => "it is blank".to_owned(),
            None => otherwise.to_owned(),
        };
        CliError::new(format!(
            "{shown} is no braidfs volume: {why}; choose another one, or make one with \
             `braidfs mkfs`"
        ))
    }

    fn check_whole(&self, superblock: &Superblock) -> CliResult {
        let needed = superblock.geometry.block_count.saturating_mul(BLOCK_BYTES);
        if needed <= self.size_bytes {
            return Ok(());
        }
        Err(CliError::new(format!(
            "{} is cut short: the volume has {} ({needed} bytes), the image {} ({} bytes); restore \
             the rest from a copy",
            self.path.display(),
            human(needed),
            human(self.size_bytes),
            self.size_bytes
        )))
    }
}
