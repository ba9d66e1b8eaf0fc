//! The file device on real files: transfers in every mode, creation, errors, discards.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use braidfs_block::{
    BlockDevice, BlockError, BlockErrorKind, BlockOperation, DirectMode, FileDevice, FileOptions,
};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
const MODES: [DirectMode; 3] = [DirectMode::Auto, DirectMode::Always, DirectMode::Never];

struct Image {
    directory: TempDir,
}

impl Image {
    /// A place for an image on the disk that holds the build, as a memory filesystem may lack `O_DIRECT`.
    fn new() -> Self {
        Self { directory: TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("volume.img")
    }

    fn create(&self, size: u64) -> FileDevice {
        FileDevice::open(self.path(), &FileOptions::create(size)).unwrap()
    }

    /// Opens in this mode; `None` where the disk allows no direct transfers at all.
    fn open(&self, mode: DirectMode) -> Option<FileDevice> {
        match FileDevice::open(self.path(), &FileOptions::read_write().direct(mode)) {
            Err(error) if error.kind == BlockErrorKind::DirectUnsupported => None,
            opened => Some(opened.unwrap()),
        }
    }
}

fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| ((at * 31 + at / 4096 + seed) % 251) as u8).collect()
}

fn kind_of(path: &Path, options: &FileOptions) -> BlockErrorKind {
    let error = FileDevice::open(path, options).unwrap_err();
    assert_eq!(error.path.as_deref(), Some(path));
    error.kind
}

#[test]
fn what_is_written_is_read_in_every_mode() {
    let image = Image::new();
    drop(image.create(8 * MIB));
    for (seed, mode) in MODES.into_iter().enumerate() {
        let Some(device) = image.open(mode) else {
            continue;
        };
        let data = pattern(2 * MIB as usize, seed);
        device.write_at(MIB, &[IoSlice::new(&data)]).unwrap();
        device.flush().unwrap();
        let mut read = vec![0; data.len()];
        device.read_at(MIB, &mut read).unwrap();
        assert!(read == data, "{mode:?}");
        drop(device);
        assert!(fs::read(image.path()).unwrap()[MIB as usize..][..data.len()] == data[..]);
    }
}

#[test]
fn buffers_cut_anywhere_pass_in_every_mode() {
    let image = Image::new();
    drop(image.create(4 * MIB));
    for (seed, mode) in MODES.into_iter().enumerate() {
        let Some(device) = image.open(mode) else {
            continue;
        };
        // Longer than the buffer that unaligned bytes are copied through, and cut at odd places.
        let data = pattern(3 * 256 * 1024 + 4096, seed);
        let cuts = [0, 128, 4096, 4097, 300_000, 300_000, 786_432, data.len()];
        let parts: Vec<_> =
            cuts.windows(2).map(|cut| IoSlice::new(&data[cut[0]..cut[1]])).collect();
        device.write_at(4096, &parts).unwrap();
        let mut read: Vec<Vec<u8>> =
            cuts.windows(2).rev().map(|cut| vec![0; cut[1] - cut[0]]).collect();
        let mut buffers: Vec<_> = read.iter_mut().map(|part| IoSliceMut::new(part)).collect();
        device.read_vectored_at(4096, &mut buffers).unwrap();
        assert!(read.concat() == data, "{mode:?}");
    }
}

#[test]
fn more_buffers_than_one_call_takes_pass_in_every_mode() {
    let image = Image::new();
    drop(image.create(16 * MIB));
    for (seed, mode) in MODES.into_iter().enumerate() {
        let Some(device) = image.open(mode) else {
            continue;
        };
        // In pieces of 4096 bytes at an address aligned to 4096, and in others of 512 that are not.
        let data = pattern(4096 * 2600 + 4096, seed);
        let start = data.as_ptr().addr().wrapping_neg() % 4096;
        let data = &data[start..start + 4096 * 2600];
        for piece in [4096, 512] {
            let parts: Vec<_> = data.chunks(piece).map(IoSlice::new).collect();
            assert!(parts.len() > 2 * 1024);
            device.write_at(0, &parts).unwrap();
            let mut read = vec![0; data.len()];
            let mut buffers: Vec<_> = read.chunks_mut(piece).map(IoSliceMut::new).collect();
            device.read_vectored_at(0, &mut buffers).unwrap();
            assert!(read == data, "{mode:?} in pieces of {piece}");
        }
    }
}

#[test]
fn a_read_through_the_cache_sees_the_last_direct_write() {
    let image = Image::new();
    let device = image.create(MIB);
    for round in 0..50 {
        let data = pattern(8192, round);
        device.write_at(4096, &[IoSlice::new(&data)]).unwrap();
        let mut read = vec![0; 12_288];
        device.read_at(0, &mut read).unwrap();
        assert!(read[4096..] == data, "round {round}");
    }
}

#[test]
fn the_geometry_tells_the_mode() {
    let image = Image::new();
    drop(image.create(10_000));
    let modes = |mode| {
        let geometry = image.open(mode).map(|device| device.geometry());
        geometry.map(|geometry| (geometry.direct_reads, geometry.direct_writes))
    };
    assert_eq!(modes(DirectMode::Never), Some((false, false)));
    assert!(matches!(modes(DirectMode::Always), None | Some((true, true))));
    let direct = modes(DirectMode::Always).is_some();
    assert_eq!(modes(DirectMode::Auto), Some((false, direct)));
    let geometry = image.open(DirectMode::Auto).unwrap().geometry();
    assert_eq!((geometry.size_bytes, geometry.read_only), (8192, false));
    assert!(geometry.logical_block_bytes >= 512 && 4096 % geometry.logical_block_bytes == 0);
}

#[test]
fn a_new_image_is_sparse_private_and_never_replaces_a_file() {
    let image = Image::new();
    let device = image.create(1 << 40);
    let metadata = fs::metadata(image.path()).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (1 << 40, 0o600));
    assert!(metadata.blocks() < 100);
    assert_eq!(device.geometry().size_bytes, 1 << 40);
    drop(device);
    let again = FileOptions::create(MIB);
    assert_eq!(kind_of(&image.path(), &again), BlockErrorKind::AlreadyExists);
    assert_eq!(fs::metadata(image.path()).unwrap().len(), 1 << 40);
}

#[test]
fn an_image_that_cannot_be_made_leaves_nothing_behind() {
    let image = Image::new();
    let error = FileDevice::open(image.path(), &FileOptions::create(u64::MAX)).unwrap_err();
    assert_eq!(error.operation, BlockOperation::Create);
    assert!(!image.path().exists());
}

#[test]
fn paths_that_hold_no_image_are_refused_with_a_reason() {
    let image = Image::new();
    let options = FileOptions::read_write();
    assert_eq!(kind_of(&image.path(), &options), BlockErrorKind::NotFound);
    let in_file = image.directory.path().join("plain");
    fs::write(&in_file, "").unwrap();
    assert_eq!(kind_of(&in_file.join("below"), &options), BlockErrorKind::NotFound);
    assert_eq!(kind_of(image.directory.path(), &options), BlockErrorKind::IsDirectory);
    assert_eq!(kind_of(Path::new("/dev/null"), &options), BlockErrorKind::UnsuitableFile);
    let socket = image.directory.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    assert_eq!(kind_of(&socket, &options), BlockErrorKind::UnsuitableFile);
    let pipe = image.directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(kind_of(&pipe, &options), BlockErrorKind::UnsuitableFile);
}

#[test]
fn a_file_without_permission_is_refused() {
    let image = Image::new();
    drop(image.create(MIB));
    fs::set_permissions(image.path(), fs::Permissions::from_mode(0o400)).unwrap();
    if fs::OpenOptions::new().write(true).open(image.path()).is_ok() {
        return; // A privileged user, whom permissions do not stop.
    }
    let options = FileOptions::read_write();
    assert_eq!(kind_of(&image.path(), &options), BlockErrorKind::PermissionDenied);
    FileDevice::open(image.path(), &FileOptions::read_only()).unwrap();
}

#[test]
fn a_read_only_device_refuses_to_change_anything() {
    let image = Image::new();
    image.create(MIB).write_at(0, &[IoSlice::new(&[5; 4096])]).unwrap();
    for mode in MODES {
        let options = FileOptions::read_only().direct(mode);
        let Ok(device) = FileDevice::open(image.path(), &options) else {
            continue;
        };
        assert!(device.geometry().read_only);
        let refused = device.write_at(0, &[IoSlice::new(&[6; 4096])]).unwrap_err();
        assert_eq!((refused.kind, refused.errno), (BlockErrorKind::ReadOnly, 30));
        let refused = device.discard(0, 4096).unwrap_err();
        assert_eq!(refused.kind, BlockErrorKind::ReadOnly);
        device.flush().unwrap();
        let mut block = [0; 4096];
        device.read_at(0, &mut block).unwrap();
        assert_eq!(block, [5; 4096]);
    }
}

#[test]
fn ranges_outside_are_refused_with_the_name_of_the_image() {
    let image = Image::new();
    let device = image.create(MIB);
    let check = |done: Result<(), BlockError>, kind| {
        let error = done.unwrap_err();
        assert_eq!((error.kind, error.path.as_deref()), (kind, Some(device.path())));
    };
    check(device.read_at(MIB, &mut [0; 4096]), BlockErrorKind::OutOfRange);
    check(device.write_at(512, &[IoSlice::new(&[0; 4096])]), BlockErrorKind::Unaligned);
    check(device.write_at(0, &[IoSlice::new(&[0; 100])]), BlockErrorKind::Unaligned);
    check(device.discard(MIB - 4096, 8192), BlockErrorKind::OutOfRange);
}

#[test]
fn an_image_cut_short_while_open_is_noticed() {
    let image = Image::new();
    drop(image.create(MIB));
    for mode in MODES {
        fs::OpenOptions::new().write(true).open(image.path()).unwrap().set_len(MIB).unwrap();
        let Some(device) = image.open(mode) else {
            continue;
        };
        let file = fs::OpenOptions::new().write(true).open(image.path()).unwrap();
        file.set_len(MIB / 2).unwrap();
        let error = device.read_at(MIB / 2 - 4096, &mut [0; 8192]).unwrap_err();
        assert_eq!(error.kind, BlockErrorKind::UnexpectedEnd);
        assert_eq!((error.offset, error.length), (MIB / 2 - 4096, 8192));
    }
}

#[test]
fn a_discard_punches_a_hole() {
    let image = Image::new();
    let device = image.create(4 * MIB);
    device.write_at(0, &[IoSlice::new(&vec![1; 4 * MIB as usize])]).unwrap();
    device.flush().unwrap();
    let blocks = || fs::metadata(image.path()).unwrap().blocks();
    let before = blocks();
    device.discard(MIB, 2 * MIB).unwrap();
    device.discard(0, 0).unwrap();
    let mut read = vec![9; 4 * MIB as usize];
    device.read_at(0, &mut read).unwrap();
    assert_eq!(fs::metadata(image.path()).unwrap().len(), 4 * MIB);
    if device.geometry().discards {
        assert!(blocks() < before);
        let (first, last) = (MIB as usize, 3 * MIB as usize);
        assert!(read[first..last].iter().all(|byte| *byte == 0));
        assert!(read[..first].iter().chain(&read[last..]).all(|byte| *byte == 1));
    }
}

#[test]
fn several_threads_share_a_device() {
    let image = Image::new();
    let device = image.create(16 * MIB);
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let device = &device;
            scope.spawn(move || {
                for block in 0..64 {
                    let offset = (thread * 64 + block) * 4096;
                    let data = pattern(4096, offset as usize);
                    device.write_at(offset, &[IoSlice::new(&data)]).unwrap();
                    let mut read = vec![0; 4096];
                    device.read_at(offset, &mut read).unwrap();
                    assert!(read == data);
                }
                device.flush().unwrap();
            });
        }
    });
}
