//! Facts about inodes, kept for all of them at once and therefore kept small.

use braidfs_format::{FileKind, InodeNumber};

/// What the later passes need to know about an inode.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InodeFact {
    pub(crate) inode: InodeNumber,
    /// The link count of its record.
    pub(crate) links: u32,
    /// Names that were seen to point to it.
    pub(crate) names: u32,
    pub(crate) kind: FileKind,
    /// Whether it has an orphan record.
    pub(crate) orphan: bool,
}

/// What they need to know about a directory beyond that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DirectoryFact {
    pub(crate) inode: InodeNumber,
    /// The parent that its record names.
    pub(crate) parent: InodeNumber,
    /// The directory in which its first name was seen; 0 if none was.
    pub(crate) named_in: InodeNumber,
    /// The number of entries that its record gives as its size.
    pub(crate) size: u64,
    /// Entries that were seen in it.
    pub(crate) entries: u64,
    /// How many of them name a directory.
    pub(crate) subdirectories: u32,
}

/// All inodes of a volume, in ascending order.
#[derive(Debug, Default)]
pub(crate) struct InodeTable {
    inodes: Vec<InodeFact>,
    directories: Vec<DirectoryFact>,
}

impl InodeTable {
    /// Adds an inode; numbers must ascend.
    pub(crate) fn push(&mut self, fact: InodeFact) {
        self.inodes.push(fact);
    }

    /// Adds what is to be known of a directory; numbers must ascend.
    pub(crate) fn push_directory(&mut self, fact: DirectoryFact) {
        self.directories.push(fact);
    }

    pub(crate) fn inodes(&self) -> &[InodeFact] {
        &self.inodes
    }

    pub(crate) fn directories(&self) -> &[DirectoryFact] {
        &self.directories
    }

    pub(crate) fn get(&self, inode: InodeNumber) -> Option<&InodeFact> {
        let index = self.inodes.binary_search_by_key(&inode, |fact| fact.inode).ok()?;
        self.inodes.get(index)
    }

    pub(crate) fn get_mut(&mut self, inode: InodeNumber) -> Option<&mut InodeFact> {
        let index = self.inodes.binary_search_by_key(&inode, |fact| fact.inode).ok()?;
        self.inodes.get_mut(index)
    }

    /// The place of a directory in [`InodeTable::directories`].
    pub(crate) fn directory_index(&self, inode: InodeNumber) -> Option<usize> {
        self.directories.binary_search_by_key(&inode, |fact| fact.inode).ok()
    }

    pub(crate) fn directory(&self, inode: InodeNumber) -> Option<&DirectoryFact> {
        self.directories.get(self.directory_index(inode)?)
    }

    pub(crate) fn directory_mut(&mut self, inode: InodeNumber) -> Option<&mut DirectoryFact> {
        let index = self.directory_index(inode)?;
        self.directories.get_mut(index)
    }

    /// The highest number.
    pub(crate) fn highest(&self) -> Option<InodeNumber> {
        self.inodes.last().map(|fact| fact.inode)
    }
}
