//! The reference model: what a volume must look like, in the simplest code that says it.
//!
//! Purpose: every operation is applied to the volume and to this; afterwards both must look alike.
//! The model also knows which states a crash may leave: the namespace at a delta, with the content of
//! each file as last staged.

use std::collections::{BTreeMap, BTreeSet};

/// A file of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A regular file: live content, and content as last staged.
    File {
        /// What a reader sees.
        live: Vec<u8>,
        /// What a delta that does not take this file's data shows.
        staged: Vec<u8>,
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
}

/// What a path holds, for comparing: kind, permissions, links, content, attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `f`, `d` or `l`.
    pub kind: char,
    /// Permission bits.
    pub mode: u32,
    /// Link count.
    pub links: u32,
    /// Content or target; empty for a directory.
    pub content: Vec<u8>,
    /// Extended attributes.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A whole tree by path.
pub type Tree = BTreeMap<String, Seen>;

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
            links: 2,
            xattrs: BTreeMap::new(),
        };
        Self { nodes: BTreeMap::from([(1, root)]), next: 2, replaced: BTreeSet::new() }
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

    /// Makes a file, a directory (`kind` 'd') or a link to `target` ('l').
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EEXIST.
    pub fn create(&mut self, path: &str, kind: char, mode: u32, target: &[u8]) -> ModelResult<()> {
        let (parent, name) = self.parent(path)?;
        if self.directory(parent)?.contains_key(&name) {
            return Err(libc::EEXIST);
        }
        let node = match kind {
            'd' => Node::Directory(BTreeMap::new()),
            'l' => Node::Symlink(target.to_vec()),
            _ => Node::File { live: Vec::new(), staged: Vec::new() },
        };
        let links = if kind == 'd' { 2 } else { 1 };
        let mode = if kind == 'l' { 0o777 } else { mode };
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, Inode { node, mode, links, xattrs: BTreeMap::new() });
        self.directory_mut(parent)?.insert(name, number);
        if kind == 'd' {
            self.inode_mut(parent)?.links += 1;
        }
        Ok(())
    }

    /// Makes a further name for a file.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EEXIST, EPERM for directories.
    pub fn link(&mut self, path: &str, new: &str) -> ModelResult<()> {
        let number = self.resolve(path)?;
        let (parent, name) = self.parent(new)?;
        if self.is_directory(number) {
            return Err(libc::EPERM);
        }
        if self.directory(parent)?.contains_key(&name) {
            return Err(libc::EEXIST);
        }
        self.directory_mut(parent)?.insert(name, number);
        self.inode_mut(number)?.links += 1;
        Ok(())
    }

    /// Removes a name of a file.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EISDIR.
    pub fn unlink(&mut self, path: &str) -> ModelResult<()> {
        let (parent, name) = self.parent(path)?;
        let number = *self.directory(parent)?.get(&name).ok_or(libc::ENOENT)?;
        if self.is_directory(number) {
            return Err(libc::EISDIR);
        }
        self.directory_mut(parent)?.remove(&name);
        self.drop_link(number)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, ENOTEMPTY.
    pub fn rmdir(&mut self, path: &str) -> ModelResult<()> {
        let (parent, name) = self.parent(path)?;
        let number = *self.directory(parent)?.get(&name).ok_or(libc::ENOENT)?;
        if !self.directory(number)?.is_empty() {
            return Err(libc::ENOTEMPTY);
        }
        self.directory_mut(parent)?.remove(&name);
        self.nodes.remove(&number);
        self.inode_mut(parent)?.links -= 1;
        Ok(())
    }

    /// Renames, replacing what is there.
    ///
    /// # Errors
    /// As rename(2).
    pub fn rename(&mut self, from: &str, to: &str) -> ModelResult<()> {
        let (from_parent, from_name) = self.parent(from)?;
        let (to_parent, to_name) = self.parent(to)?;
        let source = *self.directory(from_parent)?.get(&from_name).ok_or(libc::ENOENT)?;
        let target = self.directory(to_parent)?.get(&to_name).copied();
        if target == Some(source) {
            return Ok(());
        }
        let moves_directory = self.is_directory(source);
        if moves_directory && self.is_below(to_parent, source) {
            return Err(libc::EINVAL);
        }
        if let Some(target) = target {
            match (moves_directory, self.is_directory(target)) {
                (true, false) => return Err(libc::ENOTDIR),
                (false, true) => return Err(libc::EISDIR),
                (true, true) if !self.directory(target)?.is_empty() => return Err(libc::ENOTEMPTY),
                _ => {}
            }
        }
        self.directory_mut(from_parent)?.remove(&from_name);
        if let Some(target) = target {
            if moves_directory {
                self.nodes.remove(&target);
                self.inode_mut(to_parent)?.links -= 1;
            } else {
                self.drop_link(target)?;
                self.replaced.insert(source);
            }
        }
        self.directory_mut(to_parent)?.insert(to_name, source);
        if moves_directory {
            self.inode_mut(from_parent)?.links -= 1;
            self.inode_mut(to_parent)?.links += 1;
        }
        Ok(())
    }

    /// Swaps two names.
    ///
    /// # Errors
    /// As renameat2(2) with RENAME_EXCHANGE.
    pub fn exchange(&mut self, from: &str, to: &str) -> ModelResult<()> {
        let (from_parent, from_name) = self.parent(from)?;
        let (to_parent, to_name) = self.parent(to)?;
        let source = *self.directory(from_parent)?.get(&from_name).ok_or(libc::ENOENT)?;
        let target = *self.directory(to_parent)?.get(&to_name).ok_or(libc::ENOENT)?;
        if source == target {
            return Ok(());
        }
        let loops = |moved, into| self.is_directory(moved) && self.is_below(into, moved);
        if loops(source, to_parent) || loops(target, from_parent) {
            return Err(libc::EINVAL);
        }
        self.directory_mut(from_parent)?.insert(from_name, target);
        self.directory_mut(to_parent)?.insert(to_name, source);
        let leaves = |inode: u64| u32::from(self.is_directory(inode));
        let (left, came) = (leaves(source), leaves(target));
        let from_links = &mut self.inode_mut(from_parent)?.links;
        *from_links = *from_links + came - left;
        let to_links = &mut self.inode_mut(to_parent)?.links;
        *to_links = *to_links + left - came;
        Ok(())
    }

    /// Writes into a file.
    ///
    /// # Errors
    /// ENOENT, EISDIR.
    pub fn write(&mut self, path: &str, offset: usize, data: &[u8]) -> ModelResult<()> {
        let live = self.content_mut(path)?;
        if live.len() < offset + data.len() {
            live.resize(offset + data.len(), 0);
        }
        live[offset..offset + data.len()].copy_from_slice(data);
        Ok(())
    }

    /// Cuts or extends a file.
    ///
    /// # Errors
    /// ENOENT, EISDIR.
    pub fn truncate(&mut self, path: &str, size: usize) -> ModelResult<()> {
        self.content_mut(path)?.resize(size, 0);
        Ok(())
    }

    /// Zeroes a range inside a file.
    ///
    /// # Errors
    /// ENOENT, EISDIR.
    pub fn punch(&mut self, path: &str, offset: usize, length: usize) -> ModelResult<()> {
        let live = self.content_mut(path)?;
        let end = (offset + length).min(live.len());
        if offset < end {
            live[offset..end].fill(0);
        }
        Ok(())
    }

    /// Sets permission bits.
    ///
    /// # Errors
    /// ENOENT.
    pub fn chmod(&mut self, path: &str, mode: u32) -> ModelResult<()> {
        let number = self.resolve(path)?;
        self.inode_mut(number)?.mode = mode;
        Ok(())
    }

    /// Sets, or with `None` removes, an extended attribute.
    ///
    /// # Errors
    /// ENOENT, ENODATA.
    pub fn xattr(&mut self, path: &str, name: &[u8], value: Option<&[u8]>) -> ModelResult<()> {
        let number = self.resolve(path)?;
        let xattrs = &mut self.inode_mut(number)?.xattrs;
        match value {
            Some(value) => drop(xattrs.insert(name.to_vec(), value.to_vec())),
            None => drop(xattrs.remove(name).ok_or(libc::ENODATA)?),
        }
        Ok(())
    }

    /// A delta that takes the data of the file at `path` (and of files put over others).
    pub fn stage_file(&mut self, path: &str) {
        if let Ok(number) = self.resolve(path) {
            self.stage(number);
        }
        self.stage_namespace();
    }

    /// A delta that takes no data but that of files put over others.
    pub fn stage_namespace(&mut self) {
        for number in std::mem::take(&mut self.replaced) {
            self.stage(number);
        }
    }

    /// A delta that takes everything.
    pub fn stage_everything(&mut self) {
        let all: Vec<u64> = self.nodes.keys().copied().collect();
        for number in all {
            self.stage(number);
        }
        self.replaced.clear();
    }

    /// The tree as a reader sees it now.
    pub fn live_tree(&self) -> Tree {
        self.tree(|live, _| live.to_vec())
    }

    /// The tree as a crash after the last delta leaves it.
    pub fn staged_tree(&self) -> Tree {
        self.tree(|_, staged| staged.to_vec())
    }

    /// The paths of all nodes of a kind.
    pub fn paths(&self, kind: char) -> Vec<String> {
        let tree = self.live_tree();
        tree.into_iter().filter(|(_, seen)| seen.kind == kind).map(|(path, _)| path).collect()
    }

    fn tree(&self, pick: impl Fn(&[u8], &[u8]) -> Vec<u8> + Copy) -> Tree {
        let mut tree = Tree::new();
        self.walk(1, "", pick, &mut tree);
        tree
    }

    fn walk(
        &self,
        number: u64,
        path: &str,
        pick: impl Fn(&[u8], &[u8]) -> Vec<u8> + Copy,
        tree: &mut Tree,
    ) {
        let Some(inode) = self.nodes.get(&number) else { return };
        let (kind, content) = match &inode.node {
            Node::File { live, staged } => ('f', pick(live, staged)),
            Node::Directory(_) => ('d', Vec::new()),
            Node::Symlink(target) => ('l', target.clone()),
        };
        let Inode { mode, links, xattrs, .. } = inode;
        let seen = Seen { kind, mode: *mode, links: *links, content, xattrs: xattrs.clone() };
        tree.insert(path.to_owned(), seen);
        if let Node::Directory(entries) = &inode.node {
            for (name, child) in entries {
                let path = format!("{path}/{}", String::from_utf8_lossy(name));
                self.walk(*child, &path, pick, tree);
            }
        }
    }

    fn stage(&mut self, number: u64) {
        if let Some(Inode { node: Node::File { live, staged }, .. }) = self.nodes.get_mut(&number) {
            staged.clone_from(live);
        }
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

    fn content_mut(&mut self, path: &str) -> ModelResult<&mut Vec<u8>> {
        let number = self.resolve(path)?;
        match &mut self.inode_mut(number)?.node {
            Node::File { live, .. } => Ok(live),
            Node::Directory(_) => Err(libc::EISDIR),
            Node::Symlink(_) => Err(libc::EINVAL),
        }
    }

    fn drop_link(&mut self, number: u64) -> ModelResult<()> {
        let inode = self.inode_mut(number)?;
        inode.links -= 1;
        if inode.links == 0 {
            self.nodes.remove(&number);
        }
        Ok(())
    }
}
