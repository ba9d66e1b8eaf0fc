//! Opening and making images.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use braidfs_block::{BlockDevice, BlockError, BlockErrorKind, FileDevice, FileOptions};
use braidfs_format::{BLOCK_SIZE, Geometry, Superblock};

use super::again;
use super::error::{CliError, CliResult};
use super::progress::Progress;
use super::signature::{SNIFF_BYTES, detect};
use crate::error::FsError;
use crate::options::MkfsOptions;
use crate::size::human;
use crate::volume::Volume;

/// How long a server that is ending is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// What the commands that serve are called, all of them.
const SERVER: &str = "braidfs";
const BLOCK_BYTES: u64 = BLOCK_SIZE as u64;

/// A path without symbolic links resolved, but independent of the current directory.
pub fn absolute(path: &Path) -> CliResult<PathBuf> {
    std::path::absolute(path)
        .map_err(|error| CliError::new(format!("the path `{}`: {error}", path.display())))
}

/// Opens an image that exists. If it is in use, but not mounted any more, waits for its server, which is
/// putting the last on disk.
pub fn open_patiently(path: &Path, options: &FileOptions) -> CliResult<FileDevice> {
    let started = Instant::now();
    loop {
        let ends = |error: &BlockError| error.kind == BlockErrorKind::InUse && is_ending(path);
        match FileDevice::open(path, options) {
            Err(error) if started.elapsed() < PATIENCE && ends(&error) => {
                thread::sleep(POLL_INTERVAL);
            }
            outcome => return outcome.map_err(|error| device_error(&error)),
        }
    }
}

/// Whether a server of ours has the image, although nothing of it is mounted.
fn is_ending(path: &Path) -> bool {
    let resolved = path.canonicalize();
    let is_mounted = resolved.is_ok_and(|path| !matches!(again::mounted(&path), Ok(None)));
    let error = FileDevice::open(path, &FileOptions::read_only()).err();
    let holder = error.and_then(|error| error.holder);
    !is_mounted && holder.is_some_and(|holder| holder.command.contains(SERVER))
}

/// How an image that exists is opened.
pub fn options(read_only: bool) -> FileOptions {
    if read_only { FileOptions::read_only() } else { FileOptions::read_write() }
}

/// The sentence for a failure of the device below a volume.
pub fn device_error(error: &BlockError) -> CliError {
    CliError::new(error.to_string())
}

/// The sentence for a volume on `path` that cannot be made or mounted.
pub fn volume_error(path: &Path, error: &FsError) -> CliError {
    CliError::new(format!("{}: {error}", path.display()))
}

/// What a volume of `size_bytes` would be like.
///
/// # Errors
/// When the sizes make no sense.
pub fn plan(size_bytes: u64, log_bytes: Option<u64>) -> CliResult<Geometry> {
    let blocks = size_bytes / BLOCK_BYTES;
    let geometry = match log_bytes {
        Some(log_bytes) => Geometry::with_log(blocks, log_bytes / BLOCK_BYTES),
        None => Geometry::for_volume(blocks),
    };
    geometry.map_err(|error| {
        let size = human(size_bytes);
        CliError::usage(format!("a volume of {size} cannot be made: {}", error.detail))
    })
}

/// Makes an image file with a volume in it. Under its name there is the whole of it or nothing: it is
/// made beside and gets its name at the end. `will_leave` is told which file would be left over
/// by a violent end.
///
/// # Errors
/// When there is a file already, or the disk has no room.
pub fn make(
    path: &Path,
    size_bytes: u64,
    options: &MkfsOptions,
    quiet: bool,
    will_leave: &dyn Fn(&Path),
) -> CliResult<Superblock> {
    let log_bytes = options.log_blocks.map(|blocks| blocks.saturating_mul(BLOCK_BYTES));
    let geometry = plan(size_bytes, log_bytes)?;
    let unfinished = beside(path)?;
    if !has_room(&unfinished, geometry.data_start.saturating_mul(BLOCK_BYTES)) {
        return Err(full_disk(path));
    }
    let device = FileDevice::open(&unfinished, &FileOptions::create(size_bytes))
        .map_err(|error| creation_error(path, &error))?;
    will_leave(&unfinished);
    let made = format(path, &device, options, quiet)
        .and_then(|superblock| name(&unfinished, path).map(|()| superblock));
    if made.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&unfinished);
    }
    made
}

/// Makes a volume on `device`, which the user knows as `path`.
pub fn format(
    path: &Path,
    device: &dyn BlockDevice,
    options: &MkfsOptions,
    quiet: bool,
) -> CliResult<Superblock> {
    let progress = Progress::new("making the volume", quiet);
    Volume::mkfs(device, options, &|done, total| progress.show(done, total))
        .map_err(|error| volume_error(path, &error))
}

/// Says what is on a device, if that is worth keeping.
///
/// # Errors
/// When it cannot be read.
pub fn contents(device: &dyn BlockDevice) -> CliResult<Option<&'static str>> {
    let length = device.geometry().size_bytes.min(SNIFF_BYTES as u64);
    let mut start = vec![0; usize::try_from(length).unwrap_or(SNIFF_BYTES)];
    device.read_at(0, &mut start).map_err(|error| device_error(&error))?;
    let is_blank = start.iter().all(|&byte| byte == 0);
    Ok(detect(&start).or((!is_blank).then_some("data")))
}

/// Gives an image file another size.
///
/// # Errors
/// What the system says.
pub fn resize(path: &Path, size_bytes: u64) -> CliResult {
    let resized = OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| file.set_len(size_bytes - size_bytes % BLOCK_BYTES));
    resized
        .map_err(|error| CliError::new(format!("cannot give {} its size: {error}", path.display())))
}

/// A name in the same directory for an image that is not finished.
fn beside(path: &Path) -> CliResult<PathBuf> {
    let Some(name) = path.file_name() else {
        let path = path.display();
        return Err(CliError::usage(format!("`{path}` names no file; give the image a name")));
    };
    let mut unfinished = std::ffi::OsString::from(".");
    unfinished.push(name);
    unfinished.push(format!(".unfinished-{}", std::process::id()));
    Ok(path.with_file_name(unfinished))
}

/// Whether a file could grow to `bytes` where `path` would be, as far as that can be known.
fn has_room(path: &Path, bytes: u64) -> bool {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let space = rustix::fs::statvfs(parent.unwrap_or(Path::new(".")));
    space.map_or(true, |space| space.f_bavail.saturating_mul(space.f_frsize) >= bytes)
}

/// Gives a finished image its name, unless somebody else took it meanwhile.
fn name(unfinished: &Path, path: &Path) -> CliResult {
    let named = fs::hard_link(unfinished, path).or_else(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Err(error),
        // Not all filesystems have links.
        _ => fs::rename(unfinished, path),
    });
    named.map_err(|error| {
        CliError::new(format!("cannot make {}: {error}; choose another name", path.display()))
    })?;
    let _ = fs::remove_file(unfinished);
    Ok(())
}

fn creation_error(path: &Path, error: &BlockError) -> CliError {
    let shown = path.display();
    match error.kind {
        BlockErrorKind::NoSpace => full_disk(path),
        BlockErrorKind::NotFound => CliError::new(format!(
            "cannot make {shown}: its directory does not exist; make that first"
        )),
        BlockErrorKind::PermissionDenied => CliError::new(format!(
            "cannot make {shown}: no permission to write there; choose another directory"
        )),
        _ => CliError::new(format!("cannot make {shown}: {error}")),
    }
}

fn full_disk(path: &Path) -> CliError {
    CliError::new(format!(
        "cannot make {}: the disk it would be on is full, or allows no file of this size; free \
         some space, or give a smaller size",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use braidfs_block::MemoryDevice;

    use super::*;

    #[test]
    fn sizes_that_make_no_sense_are_refused_in_words() {
        assert!(plan(2 << 30, None).is_ok());
        let small = plan(1 << 20, None).unwrap_err().to_string();
        assert!(small.contains("1.0 MiB") && small.contains("16 MiB"), "{small}");
        assert!(plan(1 << 30, Some(1 << 30)).is_err());
        assert!(plan(1 << 30, Some(4096)).is_err());
    }

    #[test]
    fn blank_devices_have_no_contents() {
        let device = MemoryDevice::new(1 << 20);
        assert_eq!(contents(&device).unwrap(), None);
        device.write_at(0x10000, &[std::io::IoSlice::new(&[1; 4096])]).unwrap();
        assert_eq!(contents(&device).unwrap(), Some("data"));
        let mut superblock = [0; 4096];
        superblock[..8].copy_from_slice(b"BRAIDFS\0");
        device.write_at(0, &[std::io::IoSlice::new(&superblock)]).unwrap();
        assert_eq!(contents(&device).unwrap(), Some("a braidfs volume"));
    }

    #[test]
    fn an_unfinished_image_is_made_beside() {
        let unfinished = beside(Path::new("/images/a.img")).unwrap();
        assert_eq!(unfinished.parent(), Some(Path::new("/images")));
        assert!(unfinished.to_string_lossy().starts_with("/images/.a.img.unfinished-"));
        assert!(beside(Path::new("/")).is_err());
    }
}
