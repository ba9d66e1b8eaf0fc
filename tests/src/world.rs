//! A volume and its model, side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use braidfs::{
    Credentials, FallocateMode, FsError, MkfsOptions, MountOptions, ROOT_INODE, RenameMode,
    SetAttributes, Volume, XattrMode,
};
use braidfs_block::BlockDevice;

use crate::model::{Model, Seen, Tree};
use crate::steps::Step;

/// The owner of everything the tests make.
const OWNER: Credentials = Credentials { uid: 0, gid: 0 };
const PERMISSIONS: u32 = 0o7777;
const REGULAR: u32 = 0o100_000;

/// A volume below FUSE, and what it must look like.
pub struct World {
    /// The device under the volume.
    pub device: Arc<dyn BlockDevice>,
    /// The mounted volume.
    pub volume: Arc<Volume>,
    /// What it must look like.
    pub model: Model,
}

/// Mount options under which every step is repeatable.
pub fn repeatable() -> MountOptions {
    MountOptions { background: false, cache_bytes: Some(16 << 20), ..MountOptions::default() }
}

impl World {
    /// A fresh volume on `device`.
    ///
    /// # Panics
    /// If it can't be made or mounted.
    pub fn new(device: Arc<dyn BlockDevice>, options: MountOptions) -> Self {
        let mkfs = MkfsOptions {
            volume_id: Some(uuid::Uuid::from_u128(7)),
            log_blocks: Some(256),
            ..MkfsOptions::default()
        };
        Volume::mkfs(&device, &mkfs, &|_, _| ()).expect("mkfs");
        let volume = Volume::mount(device.clone(), options).expect("mount");
        Self { device, volume, model: Model::new() }
    }

    /// Applies a step to both and checks that both agree on whether it works.
    ///
    /// # Panics
    /// If they do not.
    pub fn apply(&mut self, step: &Step, options: &MountOptions) {
        if let Step::Remount = step {
            self.volume.unmount().expect("unmount");
            self.volume = Volume::mount(self.device.clone(), options.clone()).expect("mount");
            self.model.stage_everything();
            return;
        }
        let expected = apply_to_model(&mut self.model, step);
        let got = apply_to_volume(&self.volume, step).map_err(|error| error.errno());
        assert_eq!(got, expected, "{step:?}");
    }

    /// The volume's tree as a reader sees it.
    ///
    /// # Panics
    /// If anything can't be read.
    pub fn tree(&self) -> Tree {
        read_tree(&self.volume).expect("the tree can be read")
    }
}

/// The whole tree of a volume.
///
/// # Errors
/// The first that reading meets.
pub fn read_tree(volume: &Volume) -> Result<Tree, FsError> {
    let mut tree = Tree::new();
    walk(volume, ROOT_INODE, "", &mut tree)?;
    Ok(tree)
}

fn walk(volume: &Volume, inode: u64, path: &str, tree: &mut Tree) -> Result<(), FsError> {
    let attributes = volume.getattr(inode)?;
    let mut xattrs = BTreeMap::new();
    for name in volume.listxattr(inode)? {
        let value = volume.getxattr(inode, &name)?;
        xattrs.insert(name, value);
    }
    let (kind, content) = match attributes.kind() {
        braidfs_format::FileKind::Directory => ('d', Vec::new()),
        braidfs_format::FileKind::Symlink => ('l', volume.readlink(inode)?),
        _ => {
            let mut content = vec![0; attributes.size as usize];
            let count = volume.read(inode, 0, &mut content)?;
            assert_eq!(count, content.len(), "{path}: a read came short");
            ('f', content)
        }
    };
    let mode = attributes.mode & PERMISSIONS;
    tree.insert(path.to_owned(), Seen { kind, mode, links: attributes.links, content, xattrs });
    if kind == 'd' {
        let mut entries = Vec::new();
        volume.readdir(inode, 0, &mut |entry| {
            entries.push((entry.name.clone(), entry.inode));
            true
        })?;
        for (name, child) in entries.into_iter().filter(|(name, _)| !name.starts_with(b".")) {
            let path = format!("{path}/{}", String::from_utf8_lossy(&name));
            walk(volume, child, &path, tree)?;
        }
    }
    Ok(())
}

fn apply_to_model(model: &mut Model, step: &Step) -> Result<(), i32> {
    match step {
        Step::Create { path, mode } => model.create(path, 'f', *mode, b""),
        Step::Mkdir { path, mode } => model.create(path, 'd', *mode, b""),
        Step::Symlink { path, target } => model.create(path, 'l', 0, target),
        Step::Link { path, new } => model.link(path, new),
        Step::Unlink { path } => model.unlink(path),
        Step::Rmdir { path } => model.rmdir(path),
        Step::Rename { from, to } => model.rename(from, to),
        Step::Exchange { from, to } => model.exchange(from, to),
        Step::Write { path, offset, data } => model.write(path, *offset as usize, data),
        Step::Truncate { path, size } => model.truncate(path, *size as usize),
        Step::Punch { path, offset, length } => {
            model.punch(path, *offset as usize, *length as usize)
        }
        Step::Allocate { path, .. } => model.punch(path, 0, 0),
        Step::Chmod { path, mode } => model.chmod(path, *mode),
        Step::SetXattr { path, name, value } => model.xattr(path, name.as_bytes(), Some(value)),
        Step::RemoveXattr { path, name } => model.xattr(path, name.as_bytes(), None),
        Step::Fsync { path } => model.resolve(path).map(|_| model.stage_file(path)),
        Step::Sync => {
            model.stage_everything();
            Ok(())
        }
        Step::Unify | Step::Remount => Ok(()),
    }
}

fn apply_to_volume(volume: &Volume, step: &Step) -> Result<(), FsError> {
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
            let made = volume.symlink(parent, &name, target, &OWNER)?;
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
        Step::Exchange { from, to } => rename(volume, from, to, RenameMode::Exchange),
        Step::Sync => volume.syncfs(),
        Step::Unify => volume.unify(),
        Step::Remount => Ok(()),
        step => apply_to_file(volume, step),
    }
}

fn apply_to_file(volume: &Volume, step: &Step) -> Result<(), FsError> {
    match step {
        Step::Write { path, offset, data } => {
            volume.write(resolve(volume, path)?, *offset, data, false).map(drop)
        }
        Step::Truncate { path, size } => {
            let wanted = SetAttributes { size: Some(*size), ..SetAttributes::default() };
            volume.setattr(resolve(volume, path)?, &wanted).map(drop)
        }
        Step::Punch { path, offset, length } => {
            let inode = resolve(volume, path)?;
            volume.fallocate(inode, FallocateMode::PunchHole, *offset, *length)
        }
        Step::Allocate { path, offset, length } => {
            let mode = FallocateMode::Allocate { keep_size: true };
            volume.fallocate(resolve(volume, path)?, mode, *offset, *length)
        }
        Step::Chmod { path, mode } => {
            let wanted = SetAttributes { mode: Some(*mode), ..SetAttributes::default() };
            volume.setattr(resolve(volume, path)?, &wanted).map(drop)
        }
        Step::SetXattr { path, name, value } => {
            let inode = resolve(volume, path)?;
            volume.setxattr(inode, name.as_bytes(), value, XattrMode::Set)
        }
        Step::RemoveXattr { path, name } => {
            volume.removexattr(resolve(volume, path)?, name.as_bytes())
        }
        Step::Fsync { path } => volume.fsync(resolve(volume, path)?, false),
        other => unreachable!("{other:?} is not about a file's content"),
    }
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
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let inode = resolve(volume, parent)?;
    if volume.getattr(inode)?.kind() != braidfs_format::FileKind::Directory {
        return Err(FsError::new(braidfs::FsErrorKind::NotADirectory, "not a directory"));
    }
    Ok((inode, name.as_bytes().to_vec()))
}
