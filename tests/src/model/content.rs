//! Content and attributes of files, by path and by holder.

use super::{Inode, Model, ModelResult, Node};

impl Model {
    /// Writes into a file; nothing at all changes nothing.
    ///
    /// # Errors
    /// ENOENT, EISDIR, EINVAL for links.
    pub fn write(&mut self, path: &str, offset: usize, data: &[u8]) -> ModelResult<()> {
        let number = self.resolve(path)?;
        self.write_node(number, offset, data)
    }

    /// Cuts or extends a file.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn truncate(&mut self, path: &str, size: usize) -> ModelResult<()> {
        let number = self.resolve(path)?;
        self.touch(number)?.resize(size, 0);
        Ok(())
    }

    /// Zeroes a range inside a file.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn punch(&mut self, path: &str, offset: usize, length: usize) -> ModelResult<()> {
        let number = self.resolve(path)?;
        let live = self.touch(number)?;
        let end = (offset + length).min(live.len());
        if offset < end {
            live[offset..end].fill(0);
        }
        Ok(())
    }

    /// Zeroes a range of a file, which grows to hold it.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn zero(&mut self, path: &str, offset: usize, length: usize) -> ModelResult<()> {
        self.punch(path, offset, length)?;
        let number = self.resolve(path)?;
        let live = self.touch(number)?;
        if live.len() < offset + length {
            live.resize(offset + length, 0);
        }
        Ok(())
    }

    /// Copies bytes from one file to another, as far as there are any.
    ///
    /// # Errors
    /// As [`Self::write`]; EINVAL for ranges of one file that overlap.
    pub fn copy(
        &mut self,
        (from, from_offset): (&str, usize),
        (to, to_offset): (&str, usize),
        length: usize,
    ) -> ModelResult<()> {
        let (source, target) = (self.resolve(from)?, self.resolve(to)?);
        let content = self.content(source)?;
        let start = from_offset.min(content.len());
        let data = content[start..(start + length).min(content.len())].to_vec();
        if source == target && from_offset.abs_diff(to_offset) < data.len() {
            return Err(libc::EINVAL);
        }
        // Like the volume, it does not look at the target if there is nothing to copy.
        if data.is_empty() { Ok(()) } else { self.write_node(target, to_offset, &data) }
    }

    /// Holds a file open, in place of what the holder held before.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn hold(&mut self, holder: u8, path: &str) -> ModelResult<()> {
        let number = self.resolve(path)?;
        self.content(number)?;
        self.release(holder);
        self.held.insert(holder, number);
        Ok(())
    }

    /// Writes into the file that a holder holds.
    ///
    /// # Errors
    /// ENODATA if it holds none.
    pub fn write_held(&mut self, holder: u8, offset: usize, data: &[u8]) -> ModelResult<()> {
        let number = *self.held.get(&holder).ok_or(libc::ENODATA)?;
        self.write_node(number, offset, data)
    }

    /// Lets go what a holder holds.
    pub fn release(&mut self, holder: u8) {
        if let Some(number) = self.held.remove(&holder) {
            self.drop_if_unused(number);
        }
    }

    /// What the holders read.
    ///
    /// # Errors
    /// ENOENT, if the model is wrong.
    pub fn held_contents(&self) -> ModelResult<Vec<(u8, Vec<u8>)>> {
        let content = |(holder, number): (&u8, &u64)| Ok((*holder, self.content(*number)?.clone()));
        self.held.iter().map(content).collect()
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

    /// Sets user and group.
    ///
    /// # Errors
    /// ENOENT.
    pub fn chown(&mut self, path: &str, owner: (u32, u32)) -> ModelResult<()> {
        let number = self.resolve(path)?;
        self.inode_mut(number)?.owner = owner;
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

    fn write_node(&mut self, number: u64, offset: usize, data: &[u8]) -> ModelResult<()> {
        if data.is_empty() {
            return self.content(number).map(drop);
        }
        let live = self.touch(number)?;
        if live.len() < offset + data.len() {
            live.resize(offset + data.len(), 0);
        }
        live[offset..offset + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn content(&self, number: u64) -> ModelResult<&Vec<u8>> {
        match self.nodes.get(&number) {
            Some(Inode { node: Node::File { live, .. }, .. }) => Ok(live),
            Some(Inode { node: Node::Directory(_), .. }) => Err(libc::EISDIR),
            Some(Inode { node: Node::Symlink(_), .. }) => Err(libc::EINVAL),
            None => Err(libc::ENOENT),
        }
    }

    /// The content of a file, to be changed.
    fn touch(&mut self, number: u64) -> ModelResult<&mut Vec<u8>> {
        match &mut self.inode_mut(number)?.node {
            Node::File { live, touched, .. } => {
                *touched = true;
                Ok(live)
            }
            Node::Directory(_) => Err(libc::EISDIR),
            Node::Symlink(_) => Err(libc::EINVAL),
        }
    }
}
