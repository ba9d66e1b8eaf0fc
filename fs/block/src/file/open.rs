//! Opening: find out what the path names, take it, lock it, measure it.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, SeekFrom, Statx, StatxFlags, fstat, ftruncate,
    ioctl_blksszget, open as open_file, seek, statx, unlink,
};
use rustix::io::{Errno, retry_on_intr};

use super::direct::DirectTransfers;
use super::options::{DirectMode, FileOptions};
use super::{FileDevice, lock, queue};
use crate::device::{BLOCK_BYTES, BlockGeometry};
use crate::error::{BlockError, BlockErrorKind, BlockOperation};

/// The sector of an image file that does not say otherwise.
const SECTOR_BYTES: u32 = 512;

/// Opens `path`; all errors name it.
pub(super) fn open(path: &Path, options: &FileOptions) -> Result<FileDevice, BlockError> {
    match options.create {
        Some(size_bytes) => create(path, options, size_bytes),
        None => open_existing(path, options),
    }
    .map_err(|error| error.on(path))
}

fn failed(operation: BlockOperation) -> impl Fn(Errno) -> BlockError {
    move |errno| BlockError::from_errno(errno.raw_os_error(), operation)
}

fn create(path: &Path, options: &FileOptions, size: u64) -> Result<FileDevice, BlockError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let file =
        retry_on_intr(|| open_file(path, flags, mode)).map_err(failed(BlockOperation::Create))?;
    let finished = ftruncate(&file, size - size % BLOCK_BYTES)
        .map_err(failed(BlockOperation::Create))
        .and_then(|()| finish(file, path, options, FileType::RegularFile));
    if finished.is_err() {
        // A file that could not be made whole is of no use; if it stays, the first error still counts.
        let _ = unlink(path);
    }
    finished
}

fn open_existing(path: &Path, options: &FileOptions) -> Result<FileDevice, BlockError> {
    // Looked at before it is opened: opening a pipe would wait for its other end.
    let status = statx(CWD, path, AtFlags::empty(), StatxFlags::TYPE)
        .map_err(failed(BlockOperation::Open))?;
    let kind = check_kind(FileType::from_raw_mode(status.stx_mode.into()))?;
    let mut flags = OFlags::CLOEXEC;
    flags |= if options.read_only { OFlags::RDONLY } else { OFlags::RDWR };
    if kind == FileType::BlockDevice && !options.read_only && !options.unclaimed {
        // Without O_CREAT this claims the device: refused while the kernel has it mounted.
        flags |= OFlags::EXCL;
    }
    let file = retry_on_intr(|| open_file(path, flags, Mode::empty()))
        .map_err(failed(BlockOperation::Open))?;
    let opened = fstat(&file).map_err(failed(BlockOperation::Open))?;
    let kind = check_kind(FileType::from_raw_mode(opened.st_mode))?;
    finish(file, path, options, kind)
}

fn check_kind(kind: FileType) -> Result<FileType, BlockError> {
    let refused = match kind {
        FileType::RegularFile | FileType::BlockDevice => return Ok(kind),
        FileType::Directory => BlockErrorKind::IsDirectory,
        _ => BlockErrorKind::UnsuitableFile,
    };
    Err(BlockError::new(refused, BlockOperation::Open))
}

fn finish(
    file: OwnedFd,
    path: &Path,
    options: &FileOptions,
    kind: FileType,
) -> Result<FileDevice, BlockError> {
    let read_only = options.read_only && options.create.is_none();
    let is_block_device = kind == FileType::BlockDevice;
    let status = statx(&file, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
        .map_err(failed(BlockOperation::Open))?;
    lock::lock(&file, !read_only)
        .map_err(|errno| failed(BlockOperation::Lock)(errno).held_by(lock::holder(&status)))?;
    let Transfers { direct, cached } = choose_transfers(&file, options.direct, read_only)?;
    // The end is sought rather than taken from the status, which has no size for a block device.
    let end = seek(&file, SeekFrom::End(0)).map_err(failed(BlockOperation::Open))?;
    let disk = disk_numbers(&status, is_block_device);
    let geometry = BlockGeometry {
        size_bytes: end - end % BLOCK_BYTES,
        logical_block_bytes: logical_block_bytes(&file, is_block_device, direct.as_ref())?,
        discards: !read_only && (!is_block_device || queue::discards(disk.0, disk.1)),
        rotational: queue::rotational(disk.0, disk.1),
        direct_reads: direct.is_some() && cached.is_none(),
        direct_writes: direct.is_some(),
        read_only,
    };
    Ok(FileDevice {
        file,
        claim: OnceLock::new(),
        path: path.to_owned(),
        is_block_device,
        discards: AtomicBool::new(geometry.discards),
        geometry,
        direct,
        cached,
    })
}

/// How the bytes travel; nothing set means through the kernel's cache.
#[derive(Default)]
struct Transfers {
    direct: Option<DirectTransfers>,
    cached: Option<OwnedFd>,
}

fn choose_transfers(
    file: &OwnedFd,
    mode: DirectMode,
    read_only: bool,
) -> Result<Transfers, BlockError> {
    let enable = || DirectTransfers::enable(file).map_err(failed(BlockOperation::Open));
    match mode {
        DirectMode::Never => Ok(Transfers::default()),
        DirectMode::Auto if read_only => Ok(Transfers::default()),
        DirectMode::Auto => {
            // Without a second open file for the reads, one way for both is buffered.
            let Ok(cached) = reopen_for_reading(file) else {
                return Ok(Transfers::default());
            };
            let direct = enable()?;
            Ok(Transfers { cached: direct.is_some().then_some(cached), direct })
        }
        DirectMode::Always => match enable()? {
            Some(direct) => Ok(Transfers { direct: Some(direct), cached: None }),
            None => {
                let kind = BlockErrorKind::DirectUnsupported;
                Err(BlockError::new(kind, BlockOperation::Open))
            }
        },
    }
}

/// Opens the same file again; going by its descriptor, it cannot be another one by now.
fn reopen_for_reading(file: &OwnedFd) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    retry_on_intr(|| open_file(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()))
}

/// Opens the same block device again, claiming it.
pub(super) fn claim(file: &OwnedFd) -> Result<OwnedFd, BlockError> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC;
    retry_on_intr(|| open_file(&path, flags, Mode::empty())).map_err(failed(BlockOperation::Open))
}

/// The numbers of the disk itself, or of the one that holds the image.
fn disk_numbers(status: &Statx, is_block_device: bool) -> (u32, u32) {
    if is_block_device {
        (status.stx_rdev_major, status.stx_rdev_minor)
    } else {
        (status.stx_dev_major, status.stx_dev_minor)
    }
}

fn logical_block_bytes(
    file: &OwnedFd,
    is_block_device: bool,
    direct: Option<&DirectTransfers>,
) -> Result<u32, BlockError> {
    if is_block_device {
        return ioctl_blksszget(file).map_err(failed(BlockOperation::Open));
    }
    Ok(direct.map_or(SECTOR_BYTES, |direct| direct.granule() as u32))
}
