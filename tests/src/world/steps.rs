//! What a step means: to the model, and to a volume.

use std::collections::BTreeMap;

use braidfs::types::FileKind;
use braidfs::{
    Credentials, FallocateMode, FsError, FsErrorKind, ROOT_INODE, RenameMode, SetAttributes,
    Volume, XattrMode,
};

use crate::model::{Model, ModelResult};
use crate::steps::Step;

/// The owner of everything that steps make.
const OWNER: Credentials = Credentials { uid: 0, gid: 0, umask: 0 };
const REGULAR: u32 = 0o100_000;

pub(super) fn apply_to_model(model: &mut Model, step: &Step) -> ModelResult<()> {
    match step {
        Step::Create { path, mode } => model.create(path, 'f', *mode, b""),
        Step::Mkdir { path, mode } => model.create(path, 'd', *mode, b""),
        Step::Symlink { path, target } => model.create(path, 'l', 0, target.as_bytes()),
        Step::Link { path, new } => model.link(path, new),
        Step::Unlink { path } => model.unlink(path),
        Step::Rmdir { path } => model.rmdir(path),
        Step::Rename { from, to } => model.rename(from, to),
        Step::RenameToFree { from, to } => model.rename_to_free(from, to),
        Step::Exchange { from, to } => model.exchange(from, to),
        Step::Chmod { path, mode } => model.chmod(path, *mode),
        Step::Chown { path, owner } => model.chown(path, *owner),
        Step::SetXattr { path, name, value } => {
            model.xattr(path, name.as_bytes(), Some(&value.bytes()))
        }
        Step::RemoveXattr { path, name } => model.xattr(path, name.as_bytes(), None),
        Step::Fsync { path } => model.resolve(path).map(|_| model.stage_file(path)),
        Step::Sync => {
            model.stage_everything();
            Ok(())
        }
        Step::Unify | Step::Remount => Ok(()),
        step => apply_to_content(model, step),
    }
}

fn apply_to_content(model: &mut Model, step: &Step) -> ModelResult<()> {
    match step {
        Step::Write { path, offset, data } => model.write(path, *offset as usize, &data.bytes()),
        Step::Truncate { path, size } => model.truncate(path, *size as usize),
        Step::Punch { path, offset, length } => {
            model.punch(path, *offset as usize, *length as usize)
        }
        Step::Allocate { path, .. } => model.punch(path, 0, 0),
        Step::Zero { path, offset, length } => model.zero(path, *offset as usize, *length as usize),
        Step::Copy { from, from_offset, to, to_offset, length } => {
            let (from, to) =
                ((from.as_str(), *from_offset as usize), (to.as_str(), *to_offset as usize));
            model.copy(from, to, *length as usize)
        }
        Step::Hold { holder, path } => model.hold(*holder, path),
        Step::WriteHeld { holder, offset, data } => {
            model.write_held(*holder, *offset as usize, &data.bytes())
        }
        Step::Release { holder } => {
            model.release(*holder);
            Ok(())
        }
        other => unreachable!("{other:?} is not about a file's content"),
    }
}

pub(super) fn apply_to_volume(
    volume: &Volume,
    held: &mut BTreeMap<u8, u64>,
    step: &Step,
) -> Result<(), FsError> {
    match step {
        Step::Create { path, mode } => {
            let (parent, name) = parent(volume, path)?;
            let made = volume.mknod(parent, &name, REGULAR | mode, 0, &OWNER)?;
            volume.forget(made.inode, 1);
            Ok(())
        }
        Step::Mkdir { path, mode } => {
            let (parent, name) = parent(volume, path)?;
            let made = volume.mkdir(parent, &name, *mode, &OWNER)?;
            volume.forget(made.inode, 1);
            Ok(())
        }
        Step::Symlink { path, target } => {
            let (parent, name) = parent(volume, path)?;
            let made = volume.symlink(parent, &name, target.as_bytes(), &OWNER)?;
            volume.forget(made.inode, 1);
            Ok(())
        }
        Step::Link { path, new } => {
            let inode = resolve(volume, path)?;
            let (parent, name) = parent(volume, new)?;
            volume.link(inode, parent, &name)?;
            volume.forget(inode, 1);
            Ok(())
        }
        Step::Unlink { path } => {
            let (parent, name) = parent(volume, path)?;
            volume.unlink(parent, &name)
        }
        Step::Rmdir { path } => {
            let (parent, name) = parent(volume, path)?;
            volume.rmdir(parent, &name)
        }
        Step::Rename { from, to } => rename(volume, from, to, RenameMode::Replace),
        Step::RenameToFree { from, to } => rename(volume, from, to, RenameMode::NoReplace),
        Step::Exchange { from, to } => rename(volume, from, to, RenameMode::Exchange),
        Step::Sync => volume.syncfs(),
        Step::Unify => volume.unify(),
        Step::Remount => Ok(()),
        Step::Hold { .. } | Step::WriteHeld { .. } | Step::Release { .. } => {
            apply_to_held(volume, held, step)
        }
        step => apply_to_file(volume, step),
    }
}

fn apply_to_file(volume: &Volume, step: &Step) -> Result<(), FsError> {
    match step {
        Step::Write { path, offset, data } => {
            volume.write(resolve(volume, path)?, *offset, &data.bytes(), false).map(drop)
        }
        Step::Truncate { path, size } => {
            set(volume, path, SetAttributes { size: Some(*size), ..SetAttributes::default() })
        }
        Step::Punch { path, offset, length } => {
            fallocate(volume, path, FallocateMode::PunchHole, (*offset, *length))
        }
        Step::Allocate { path, offset, length } => {
            fallocate(volume, path, FallocateMode::Allocate { keep_size: true }, (*offset, *length))
        }
        Step::Zero { path, offset, length } => {
            let mode = FallocateMode::ZeroRange { keep_size: false };
            fallocate(volume, path, mode, (*offset, *length))
        }
        Step::Copy { from, from_offset, to, to_offset, length } => {
            let (from, to) = (resolve(volume, from)?, resolve(volume, to)?);
            volume.copy_file_range(from, *from_offset, to, *to_offset, *length).map(drop)
        }
        Step::Chmod { path, mode } => {
            set(volume, path, SetAttributes { mode: Some(*mode), ..SetAttributes::default() })
        }
        Step::Chown { path, owner: (uid, gid) } => {
            let (uid, gid) = (Some(*uid), Some(*gid));
            set(volume, path, SetAttributes { uid, gid, ..SetAttributes::default() })
        }
        Step::SetXattr { path, name, value } => {
            let inode = resolve(volume, path)?;
            volume.setxattr(inode, name.as_bytes(), &value.bytes(), XattrMode::Set)
        }
        Step::RemoveXattr { path, name } => {
            volume.removexattr(resolve(volume, path)?, name.as_bytes())
        }
        Step::Fsync { path } => volume.fsync(resolve(volume, path)?, false),
        other => unreachable!("{other:?} is not about one file"),
    }
}

/// An odd holder holds a file as an open handle does, an even one as the kernel's cache does.
fn apply_to_held(
    volume: &Volume,
    held: &mut BTreeMap<u8, u64>,
    step: &Step,
) -> Result<(), FsError> {
    match step {
        Step::Hold { holder, path } => {
            let inode = hold(volume, *holder, path)?;
            if let Some(before) = held.insert(*holder, inode) {
                let_go(volume, (*holder, before));
            }
            Ok(())
        }
        Step::WriteHeld { holder, offset, data } => {
            let inode = *held.get(holder).ok_or_else(nothing_held)?;
            volume.write(inode, *offset, &data.bytes(), false).map(drop)
        }
        Step::Release { holder } => {
            if let Some(inode) = held.remove(holder) {
                let_go(volume, (*holder, inode));
            }
            Ok(())
        }
        other => unreachable!("{other:?} is not about a held file"),
    }
}

fn hold(volume: &Volume, holder: u8, path: &str) -> Result<u64, FsError> {
    let inode = resolve(volume, path)?;
    match volume.getattr(inode)?.kind() {
        FileKind::Regular => {}
        FileKind::Directory => return Err(FsError::new(FsErrorKind::IsADirectory, "a directory")),
        _ => return Err(FsError::new(FsErrorKind::Invalid, "not a file")),
    }
    if holder % 2 == 1 {
        volume.open(inode, false)?;
    } else {
        let (parent, name) = parent(volume, path)?;
        volume.lookup(parent, &name)?;
    }
    Ok(inode)
}

/// Keeps one reference to what `path` leads to; the root needs none.
pub(super) fn keep(volume: &Volume, path: &str) {
    if let Ok((parent, name)) = parent(volume, path) {
        // It was found a moment ago; if it can't be now, there is nothing to keep.
        let _ = volume.lookup(parent, &name);
    }
}

pub(super) fn let_go(volume: &Volume, (holder, inode): (u8, u64)) {
    if holder % 2 == 1 {
        volume.release(inode);
    } else {
        volume.forget(inode, 1);
    }
}

/// Holders are the harness's own, so the error number is only to be that of the model.
fn nothing_held() -> FsError {
    FsError::new(FsErrorKind::NoAttribute, "nothing is held")
}

fn set(volume: &Volume, path: &str, wanted: SetAttributes) -> Result<(), FsError> {
    volume.setattr(resolve(volume, path)?, &wanted).map(drop)
}

fn fallocate(
    volume: &Volume,
    path: &str,
    mode: FallocateMode,
    (offset, length): (u64, u64),
) -> Result<(), FsError> {
    volume.fallocate(resolve(volume, path)?, mode, offset, length)
}

fn rename(volume: &Volume, from: &str, to: &str, mode: RenameMode) -> Result<(), FsError> {
    let (from_parent, from_name) = parent(volume, from)?;
    let (to_parent, to_name) = parent(volume, to)?;
    volume.rename(from_parent, &from_name, to_parent, &to_name, mode)
}

/// The inode that a path leads to; keeps no reference.
///
/// # Errors
/// `NotFound`, `NotADirectory`.
pub fn resolve(volume: &Volume, path: &str) -> Result<u64, FsError> {
    let mut at = ROOT_INODE;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        at = volume.lookup(at, name.as_bytes())?.inode;
        volume.forget(at, 1);
    }
    Ok(at)
}

fn parent(volume: &Volume, path: &str) -> Result<(u64, Vec<u8>), FsError> {
    let (parent, name) = path
        .rsplit_once('/')
        .ok_or_else(|| FsError::new(FsErrorKind::Invalid, "the root has no parent"))?;
    let inode = resolve(volume, parent)?;
    if volume.getattr(inode)?.kind() != FileKind::Directory {
        return Err(FsError::new(FsErrorKind::NotADirectory, "not a directory"));
    }
    Ok((inode, name.as_bytes().to_vec()))
}
