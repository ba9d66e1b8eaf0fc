//! What can be done in the tree.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FallocateFlags, RenameFlags, XattrFlags, fallocate, renameat_with};
use rustix::io::Errno;

use crate::exercise::Random;

/// Names per directory, and directories in each.
const NAMES: u64 = 12;
const DEPTH: u64 = 3;
const MOST_BYTES: u64 = 300_000;

/// What it is called, how often it is done, and how.
type Action = (&'static str, fn(&mut Random, &Path) -> io::Result<()>);

const ACTIONS: [(u64, Action); 20] = [
    (10, ("create", create)),
    (8, ("write", write)),
    (4, ("append", append)),
    (5, ("read", read)),
    (6, ("mkdir", |random, top| fs::create_dir(path(random, top)))),
    (8, ("unlink", |random, top| fs::remove_file(path(random, top)))),
    (4, ("rmdir", |random, top| fs::remove_dir(path(random, top)))),
    (8, ("rename", |random, top| fs::rename(path(random, top), path(random, top)))),
    (2, ("exchange", |random, top| rename(random, top, RenameFlags::EXCHANGE))),
    (2, ("noreplace", |random, top| rename(random, top, RenameFlags::NOREPLACE))),
    (5, ("link", |random, top| fs::hard_link(path(random, top), path(random, top)))),
    (3, ("symlink", |random, top| symlink(path(random, top), path(random, top)))),
    (3, ("readlink", |random, top| fs::read_link(path(random, top)).map(drop))),
    (4, ("truncate", truncate)),
    (3, ("allocate", allocate)),
    (4, ("setxattr", set_xattr)),
    (2, ("removexattr", remove_xattr)),
    (3, ("chmod", chmod)),
    (4, ("readdir", readdir)),
    (2, ("fsync", |random, top| File::open(path(random, top))?.sync_all())),
];

/// Does one of them. Its name, and how it ended.
pub(super) fn act(random: &mut Random, top: &Path) -> (&'static str, Result<(), Errno>) {
    let Some((name, run)) = random.choose(&ACTIONS) else { return ("nothing", Ok(())) };
    (name, run(random, top).map_err(|error| errno(&error)))
}

/// Whether an error comes of several processes doing what they like.
pub(super) fn is_expected(errno: Errno) -> bool {
    let expected = [
        Errno::NOENT,
        Errno::EXIST,
        Errno::ISDIR,
        Errno::NOTDIR,
        Errno::NOTEMPTY,
        Errno::INVAL,
        Errno::LOOP,
        Errno::NODATA,
        Errno::PERM,
        Errno::NOSPC,
        Errno::ACCESS,
        Errno::BUSY,
        Errno::NOTSUP,
    ];
    expected.contains(&errno)
}

/// The number of an error.
pub(super) fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// A place in the tree, of which nobody knows what is there.
fn path(random: &mut Random, top: &Path) -> PathBuf {
    let mut path = top.to_owned();
    for _ in 0..=random.below(DEPTH) {
        path.push(format!("n{}", random.below(NAMES)));
    }
    path
}

fn create(random: &mut Random, top: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path(random, top)).map(drop)
}

fn open(random: &mut Random, top: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path(random, top))
}

fn write(random: &mut Random, top: &Path) -> io::Result<()> {
    let file = open(random, top)?;
    let bytes = vec![random.byte(); usize::try_from(random.below(MOST_BYTES)).unwrap_or(0)];
    file.write_all_at(&bytes, random.below(MOST_BYTES))
}

fn append(random: &mut Random, top: &Path) -> io::Result<()> {
    use std::io::Write;
    let mut file = OpenOptions::new().append(true).create(true).open(path(random, top))?;
    file.write_all(&[random.byte(); 3000])
}

fn read(random: &mut Random, top: &Path) -> io::Result<()> {
    let file = File::open(path(random, top))?;
    let mut bytes = vec![0; 100_000];
    file.read_at(&mut bytes, random.below(MOST_BYTES)).map(drop)
}

fn rename(random: &mut Random, top: &Path, flags: RenameFlags) -> io::Result<()> {
    Ok(renameat_with(CWD, path(random, top), CWD, path(random, top), flags)?)
}

fn truncate(random: &mut Random, top: &Path) -> io::Result<()> {
    open(random, top)?.set_len(random.below(MOST_BYTES))
}

fn allocate(random: &mut Random, top: &Path) -> io::Result<()> {
    let flags = [
        FallocateFlags::empty(),
        FallocateFlags::KEEP_SIZE,
        FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
        FallocateFlags::ZERO_RANGE,
    ];
    let flags = flags[usize::try_from(random.below(4)).unwrap_or(0)];
    let (offset, length) = (random.below(MOST_BYTES), 1 + random.below(MOST_BYTES));
    Ok(fallocate(open(random, top)?, flags, offset, length)?)
}

fn name(random: &mut Random) -> CString {
    CString::new(format!("user.x{}", random.below(4))).unwrap_or_default()
}

fn set_xattr(random: &mut Random, top: &Path) -> io::Result<()> {
    let value = vec![random.byte(); usize::try_from(random.below(500)).unwrap_or(0)];
    let name = name(random);
    Ok(rustix::fs::lsetxattr(path(random, top), name, &value, XattrFlags::empty())?)
}

fn remove_xattr(random: &mut Random, top: &Path) -> io::Result<()> {
    let name = name(random);
    Ok(rustix::fs::lremovexattr(path(random, top), name)?)
}

fn chmod(random: &mut Random, top: &Path) -> io::Result<()> {
    // Always with what the owner needs, whoever that is.
    let mode = 0o700 | u32::try_from(random.below(0o100)).unwrap_or(0);
    fs::set_permissions(path(random, top), fs::Permissions::from_mode(mode))
}

fn readdir(random: &mut Random, top: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path(random, top))? {
        // What is listed may be gone by now.
        let _ = entry?.metadata();
    }
    Ok(())
}
