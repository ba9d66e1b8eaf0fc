//! Pass 4: inodes, extended attributes and extents, in one sweep over the merged view.
//!
//! What a decoder checks already is not checked again: types, times and flags of records, the order
//! of extents within a leaf, their lengths, names of attributes.

mod blocks;
mod current;
mod owners;
mod record;

pub(crate) use record::kind_name;

use braidfs_format::{
    Extent, FileKind, InodeNumber, InodeRecord, Item, Key, NameHasher, ROOT_INODE, Superblock,
    XattrBucket,
};

use super::Known;
use super::log::LogFacts;
use super::tree::TreeFacts;
use crate::error::Halt;
use crate::finding::Finding;
use crate::problem::{ITEMS_WITHOUT_INODE, ROOT_MISSING, ROOT_NOT_DIRECTORY, XATTR_HASH};
use crate::volume::inodes::{DirectoryFact, InodeFact, InodeTable};
use crate::volume::leaves::Kinds;
use crate::volume::merged::{Source, Visitor};
use crate::volume::scope::Scope;
use blocks::LogClaims;
use current::Current;

/// Runs the pass.
pub(crate) fn run(scope: &Scope<'_>, known: &mut Known) -> Result<(), Halt> {
    let (Some(merged), Some(tree), Some(log)) =
        (known.view(scope), known.tree.as_ref(), known.log.as_ref())
    else {
        return Ok(());
    };
    let mut sweep = Sweep::new(scope, merged.superblock, tree, log);
    merged.walk(Kinds::INODES, &mut sweep)?;
    sweep.finish_inode();
    let Sweep { table, orphans, mapped_blocks, claims, .. } = sweep;
    let log_blocks = claims.own_blocks();
    owners::report_conflicts(&merged, tree, claims.into_conflicts())?;
    check_root(scope, &table);
    known.inodes = table;
    known.orphans = orphans;
    known.mapped_blocks = mapped_blocks;
    known.log_blocks = log_blocks;
    Ok(())
}

fn check_root(scope: &Scope<'_>, table: &InodeTable) {
    match table.get(ROOT_INODE) {
        None => scope.report(Finding::new(&ROOT_MISSING)),
        Some(root) if root.kind != FileKind::Directory => {
            scope.report(Finding::new(&ROOT_NOT_DIRECTORY).inode(ROOT_INODE));
        }
        Some(_) => {}
    }
}

/// The sweep: what it collects, and the inode that it is at.
struct Sweep<'a> {
    scope: &'a Scope<'a>,
    superblock: &'a Superblock,
    log: &'a LogFacts,
    hasher: NameHasher,
    claims: LogClaims<'a>,
    table: InodeTable,
    orphans: Vec<InodeNumber>,
    mapped_blocks: u64,
    current: Current,
}

impl<'a> Sweep<'a> {
    fn new(
        scope: &'a Scope<'a>,
        superblock: &'a Superblock,
        tree: &'a TreeFacts,
        log: &'a LogFacts,
    ) -> Self {
        Self {
            scope,
            superblock,
            log,
            hasher: NameHasher::new(superblock.hash_key),
            claims: LogClaims::new(&tree.claims),
            table: InodeTable::default(),
            orphans: Vec::new(),
            mapped_blocks: 0,
            current: Current::default(),
        }
    }

    /// Makes `inode` the current one.
    fn enter(&mut self, inode: InodeNumber) {
        if self.current.inode != inode {
            self.finish_inode();
            self.current = Current::new(inode);
            self.claims.enter(self.log.overlay.holds_blocks_of(inode));
        }
    }

    /// Judges what was seen of the current inode as a whole, and keeps the facts.
    fn finish_inode(&mut self) {
        let current = std::mem::take(&mut self.current);
        self.claims.finish_inode(self.scope, current.inode);
        self.mapped_blocks = self.mapped_blocks.saturating_add(current.mapped_blocks);
        if let Some(record) = &current.record {
            current.finish(self.scope, record);
            self.keep(current.inode, record);
        }
    }

    fn keep(&mut self, inode: InodeNumber, record: &InodeRecord) {
        let kind = record.kind();
        let orphan = self.orphans.binary_search(&inode).is_ok();
        self.table.push(InodeFact { inode, links: record.links, names: 0, kind, orphan });
        if kind == FileKind::Directory {
            self.table.push_directory(DirectoryFact {
                inode,
                parent: record.parent,
                named_in: 0,
                size: record.size,
                entries: 0,
                subdirectories: 0,
            });
        }
    }

    /// Reports, once an inode, that there are items of it and no record.
    fn check_has_record(&mut self) {
        if self.current.record.is_none() && !std::mem::replace(&mut self.current.reported, true) {
            self.scope.report(Finding::new(&ITEMS_WITHOUT_INODE).inode(self.current.inode));
        }
    }

    fn check_xattrs(&self, key: Key, bucket: &XattrBucket) {
        for entry in &bucket.entries {
            let hash = self.hasher.hash(&entry.name);
            if hash != key.offset {
                let finding = Finding::new(&XATTR_HASH).inode(key.inode).name(&entry.name);
                self.scope.report(finding.expected(hash).found(key.offset));
            }
        }
    }

    fn extent(&mut self, key: Key, extent: &Extent, source: Source) {
        self.check_has_record();
        match source {
            Source::Tree => self.claims.see_visible(extent),
            Source::Log(delta) => {
                blocks::check_birth(self.scope, key, extent, delta);
                self.claims.claim(key.offset, extent, delta);
            }
        }
        self.current.add_extent(self.scope, key.offset, extent);
    }
}

impl Visitor for Sweep<'_> {
    fn tree_extent(&mut self, inode: InodeNumber, start: u64, extent: &Extent) -> Result<(), Halt> {
        self.enter(inode);
        let key = Key::extent(inode, start);
        blocks::check_place(self.scope, &self.superblock.geometry, key, extent);
        blocks::check_birth(self.scope, key, extent, self.superblock.unified_through);
        self.current.check_overlap(self.scope, start, extent);
        self.claims.see_in_tree(extent);
        Ok(())
    }

    fn item(&mut self, key: Key, item: Item, source: Source) -> Result<(), Halt> {
        if let Item::Orphan = item {
            self.orphans.push(key.offset);
            return Ok(());
        }
        if let Item::Shared(_) = item {
            return Ok(());
        }
        self.enter(key.inode);
        match item {
            Item::Inode(record) => {
                record::check(self.scope, key.inode, &record);
                self.current.record = Some(record);
            }
            Item::Xattr(bucket) => {
                self.check_has_record();
                self.check_xattrs(key, &bucket);
            }
            Item::Extent(extent) => self.extent(key, &extent, source),
            Item::Dirent(_) | Item::Orphan | Item::Shared(_) => {}
        }
        Ok(())
    }
}
