//! Names: making, removing and moving them.

use std::collections::BTreeMap;

use super::{Inode, Model, ModelResult, Node};

impl Model {
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
            _ => Node::File { live: Vec::new(), staged: Vec::new(), touched: false },
        };
        let links = if kind == 'd' { 2 } else { 1 };
        let mode = if kind == 'l' { 0o777 } else { mode };
        let number = self.next;
        self.next += 1;
        let inode = Inode { node, mode, owner: (0, 0), links, xattrs: BTreeMap::new() };
        self.nodes.insert(number, inode);
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

    /// Renames, unless the new name is taken.
    ///
    /// # Errors
    /// As renameat2(2) with RENAME_NOREPLACE.
    pub fn rename_to_free(&mut self, from: &str, to: &str) -> ModelResult<()> {
        let (from_parent, from_name) = self.parent(from)?;
        let (to_parent, to_name) = self.parent(to)?;
        self.directory(from_parent)?.get(&from_name).ok_or(libc::ENOENT)?;
        match self.directory(to_parent)?.contains_key(&to_name) {
            true => Err(libc::EEXIST),
            false => self.rename(from, to),
        }
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
                self.note_replaced(source);
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
}
