//! Pass 5: directories.
//!
//! Every entry is looked at, and what it names is counted, for the passes after this one. That the
//! names of a bucket differ, are names at all, and have slots of their own, the decoder checks.

use braidfs_format::{DirentBucket, DirentEntry, FileKind, InodeNumber, Item, Key, NameHasher};

use super::Known;
use super::inodes::kind_name;
use crate::error::Halt;
use crate::finding::Finding;
use crate::problem::{
    DIRECTORY_SIZE, ENTRIES_WITHOUT_DIRECTORY, ENTRY_KIND, ENTRY_WITHOUT_INODE, NAME_HASH,
};
use crate::volume::inodes::InodeTable;
use crate::volume::leaves::Kinds;
use crate::volume::merged::{Source, Visitor};
use crate::volume::scope::Scope;

/// Runs the pass.
pub(crate) fn run(scope: &Scope<'_>, known: &mut Known) -> Result<(), Halt> {
    let mut table = std::mem::take(&mut known.inodes);
    let Some(merged) = known.view(scope) else { return Ok(()) };
    let hasher = NameHasher::new(merged.superblock.hash_key);
    let mut sweep = Sweep { scope, hasher, table: &mut table, reported: 0 };
    merged.walk(Kinds::DIRENTS, &mut sweep)?;
    for directory in table.directories() {
        if directory.size != directory.entries {
            let finding = Finding::new(&DIRECTORY_SIZE).inode(directory.inode);
            scope.report(finding.expected(directory.size).found(directory.entries));
        }
    }
    known.inodes = table;
    Ok(())
}

struct Sweep<'a> {
    scope: &'a Scope<'a>,
    hasher: NameHasher,
    table: &'a mut InodeTable,
    /// The last inode of which it was reported that it has entries and is no directory.
    reported: InodeNumber,
}

impl Sweep<'_> {
    fn bucket(&mut self, key: Key, bucket: &DirentBucket) {
        let Some(directory) = self.table.directory_mut(key.inode) else {
            if std::mem::replace(&mut self.reported, key.inode) != key.inode {
                self.scope.report(Finding::new(&ENTRIES_WITHOUT_DIRECTORY).inode(key.inode));
            }
            return;
        };
        directory.entries += bucket.entries.len() as u64;
        for entry in &bucket.entries {
            self.check_hash(key, entry);
            self.entry(key, entry);
        }
    }

    fn check_hash(&self, key: Key, entry: &DirentEntry) {
        let hash = self.hasher.hash(&entry.name);
        if hash != key.offset {
            let finding = Finding::new(&NAME_HASH).inode(key.inode).name(&entry.name);
            self.scope.report(finding.expected(hash).found(key.offset));
        }
    }

    /// Checks what an entry names, and counts the name.
    fn entry(&mut self, key: Key, entry: &DirentEntry) {
        let at =
            |problem| Finding::new(problem).inode(key.inode).other(entry.inode).name(&entry.name);
        let Some(target) = self.table.get_mut(entry.inode) else {
            self.scope.report(at(&ENTRY_WITHOUT_INODE));
            return;
        };
        target.names = target.names.saturating_add(1);
        let kind = target.kind;
        if kind != entry.kind {
            let (is, says) = (kind_name(kind), kind_name(entry.kind));
            let detail = format!("it is a {is}, the entry says {says}");
            self.scope.report(at(&ENTRY_KIND).detail(detail));
        }
        if kind == FileKind::Directory {
            self.name_directory(key.inode, entry.inode);
        }
    }

    fn name_directory(&mut self, parent: InodeNumber, child: InodeNumber) {
        if let Some(parent) = self.table.directory_mut(parent) {
            parent.subdirectories = parent.subdirectories.saturating_add(1);
        }
        if let Some(child) = self.table.directory_mut(child)
            && child.named_in == 0
        {
            child.named_in = parent;
        }
    }
}

impl Visitor for Sweep<'_> {
    fn item(&mut self, key: Key, item: Item, _source: Source) -> Result<(), Halt> {
        if let Item::Dirent(bucket) = item {
            self.bucket(key, &bucket);
        }
        Ok(())
    }
}
