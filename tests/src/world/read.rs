//! Reading a volume whole.

use std::collections::BTreeMap;

use braidfs::types::FileKind;
use braidfs::{Attributes, FsError, ROOT_INODE, Volume};

use crate::model::{Seen, Tree};

const PERMISSIONS: u32 = 0o7777;

/// The whole tree of a volume.
///
/// # Errors
/// The first that reading meets.
///
/// # Panics
/// If a read comes short, or a directory's "." and ".." are wrong.
pub fn read_tree(volume: &Volume) -> Result<Tree, FsError> {
    let mut tree = Tree::new();
    let root = Visit { inode: ROOT_INODE, parent: ROOT_INODE };
    walk(volume, root, "", &mut tree)?;
    Ok(tree)
}

/// The attributes of everything on a volume, by path; reads nothing else.
///
/// # Errors
/// The first that reading meets.
pub fn read_attributes(volume: &Volume) -> Result<BTreeMap<String, Attributes>, FsError> {
    let mut found = BTreeMap::new();
    let mut left = vec![(String::new(), Visit { inode: ROOT_INODE, parent: ROOT_INODE })];
    while let Some((path, visit)) = left.pop() {
        let attributes = volume.getattr(visit.inode)?;
        if attributes.kind() == FileKind::Directory {
            for (name, inode) in entries(volume, visit)? {
                let path = format!("{path}/{}", String::from_utf8_lossy(&name));
                left.push((path, Visit { inode, parent: visit.inode }));
            }
        }
        found.insert(path, attributes);
    }
    Ok(found)
}

/// The content of a regular file.
///
/// # Errors
/// Those of reading.
///
/// # Panics
/// If the read comes short.
pub fn read_content(volume: &Volume, inode: u64) -> Result<Vec<u8>, FsError> {
    let size = volume.getattr(inode)?.size as usize;
    let mut content = vec![0; size];
    let count = volume.read(inode, 0, &mut content)?;
    assert_eq!(count, size, "a read of inode {inode} came short");
    Ok(content)
}

/// An inode to look at, and the directory it is in.
#[derive(Clone, Copy)]
struct Visit {
    inode: u64,
    parent: u64,
}

fn walk(volume: &Volume, visit: Visit, path: &str, tree: &mut Tree) -> Result<(), FsError> {
    let inode = visit.inode;
    let attributes = volume.getattr(inode)?;
    let mut xattrs = BTreeMap::new();
    for name in volume.listxattr(inode)? {
        let value = volume.getxattr(inode, &name)?;
        xattrs.insert(name, value);
    }
    let (kind, content) = match attributes.kind() {
        FileKind::Directory => ('d', Vec::new()),
        FileKind::Symlink => ('l', volume.readlink(inode)?),
        _ => ('f', read_content(volume, inode)?),
    };
    let mode = attributes.mode & PERMISSIONS;
    let owner = (attributes.uid, attributes.gid);
    tree.insert(
        path.to_owned(),
        Seen { kind, mode, owner, links: attributes.links, content, xattrs },
    );
    if kind == 'd' {
        for (name, child) in entries(volume, visit)? {
            let path = format!("{path}/{}", String::from_utf8_lossy(&name));
            walk(volume, Visit { inode: child, parent: inode }, &path, tree)?;
        }
    }
    Ok(())
}

/// The entries of a directory but for "." and "..", which are checked.
fn entries(volume: &Volume, directory: Visit) -> Result<Vec<(Vec<u8>, u64)>, FsError> {
    let mut entries = Vec::new();
    volume.readdir(directory.inode, 0, &mut |entry| {
        entries.push((entry.name.clone(), entry.inode));
        true
    })?;
    let dots = [(b".".to_vec(), directory.inode), (b"..".to_vec(), directory.parent)];
    assert_eq!(entries.get(..2), Some(&dots[..]), "inode {}", directory.inode);
    Ok(entries.split_off(2))
}
