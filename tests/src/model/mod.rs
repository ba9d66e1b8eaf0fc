//! The reference model: what a volume must look like, in the simplest code that says it.
//!
//! Purpose: every operation is applied to the volume and to this; afterwards both must look alike.
//! The model also knows which states a crash may leave: the namespace at a delta, with the content of
//! each file as last staged.
//!
//! Invariant: a node is kept while a name or a holder leads to it, and no longer.

mod content;
mod names;
mod staging;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

pub use tree::{Seen, Tree, differences};

/// A file of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    File {
        /// What a reader sees.
        live: Vec<u8>,
        /// What a delta that does not take this file's data shows.
        staged: Vec<u8>,
        /// Whether the content was touched since it was last staged.
        touched: bool,
    },
    /// A directory: names and node numbers.
    Directory(BTreeMap<Vec<u8>, u64>),
    /// A symbolic link.
    Symlink(Vec<u8>),
}

/// Node with what all kinds have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    /// Kind and content.
    pub node: Node,
    /// Permission bits.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// Names (a directory: 2 and its subdirectories).
    pub links: u32,
    /// Extended attributes.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Why the model refuses an operation, as an errno.
pub type ModelResult<T> = Result<T, i32>;

/// The whole volume. Nodes have numbers of the model's own; 1 is the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    nodes: BTreeMap<u64, Inode>,
    next: u64,
    /// Files that a rename put over another since the last delta.
    replaced: BTreeSet<u64>,
    /// Files that are held open, by the holder's number.
    held: BTreeMap<u8, u64>,
}

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

impl Model {
    /// An empty volume.
    pub fn new() -> Self {
        let root = Inode {
            node: Node::Directory(BTreeMap::new()),
            mode: 0o755,
            owner: (0, 0),
            links: 2,
            xattrs: BTreeMap::new(),
        };
        Self {
            nodes: BTreeMap::from([(1, root)]),
            next: 2,
            replaced: BTreeSet::new(),
            held: BTreeMap::new(),
        }
    }

    /// The node a path leads to. Paths are names joined by '/', the root is empty.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR.
    pub fn resolve(&self, path: &str) -> ModelResult<u64> {
        let mut at = 1;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            at = *self.directory(at)?.get(name.as_bytes()).ok_or(libc::ENOENT)?;
        }
        Ok(at)
    }

    fn parent(&self, path: &str) -> ModelResult<(u64, Vec<u8>)> {
        let (parent, name) = path.rsplit_once('/').ok_or(libc::EINVAL)?;
        let number = self.resolve(parent)?;
        self.directory(number)?;
        Ok((number, name.as_bytes().to_vec()))
    }

    fn is_directory(&self, number: u64) -> bool {
        self.directory(number).is_ok()
    }

    /// Whether `number` is `ancestor` or lies below it.
    fn is_below(&self, number: u64, ancestor: u64) -> bool {
        let below = |child: &u64| self.is_below(number, *child);
        number == ancestor
            || self.directory(ancestor).is_ok_and(|entries| entries.values().any(below))
    }

    fn directory(&self, number: u64) -> ModelResult<&BTreeMap<Vec<u8>, u64>> {
        match self.nodes.get(&number) {
            Some(Inode { node: Node::Directory(entries), .. }) => Ok(entries),
            Some(_) => Err(libc::ENOTDIR),
            None => Err(libc::ENOENT),
        }
    }

    fn directory_mut(&mut self, number: u64) -> ModelResult<&mut BTreeMap<Vec<u8>, u64>> {
        match self.nodes.get_mut(&number) {
            Some(Inode { node: Node::Directory(entries), .. }) => Ok(entries),
            Some(_) => Err(libc::ENOTDIR),
            None => Err(libc::ENOENT),
        }
    }

    fn inode_mut(&mut self, number: u64) -> ModelResult<&mut Inode> {
        self.nodes.get_mut(&number).ok_or(libc::ENOENT)
    }

    /// Takes one link; the node goes with the last, unless somebody holds it.
    fn drop_link(&mut self, number: u64) -> ModelResult<()> {
        let inode = self.inode_mut(number)?;
        inode.links -= 1;
        self.drop_if_unused(number);
        Ok(())
    }

    fn drop_if_unused(&mut self, number: u64) {
        let held = self.held.values().any(|held| *held == number);
        let linked = self.nodes.get(&number).is_some_and(|inode| inode.links > 0);
        if !held && !linked {
            self.nodes.remove(&number);
        }
    }
}
