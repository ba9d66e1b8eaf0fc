//! The passes, one file each, and what they hand on to each other.

pub(crate) mod bitmaps;
pub(crate) mod connectivity;
pub(crate) mod data;
pub(crate) mod directories;
pub(crate) mod inodes;
pub(crate) mod links;
pub(crate) mod log;
pub(crate) mod orphans;
pub(crate) mod superblock;
pub(crate) mod tree;

use braidfs_format::{InodeNumber, Superblock};

use crate::volume::inodes::InodeTable;
use crate::volume::merged::Merged;
use crate::volume::scope::Scope;
use log::LogFacts;
use tree::TreeFacts;

/// What is known about the volume so far.
#[derive(Default)]
pub(crate) struct Known {
    /// The superblock in force.
    pub(crate) superblock: Option<Superblock>,
    /// Whether the volume is clean and nobody wants more to be checked.
    pub(crate) skips_rest: bool,
    pub(crate) log: Option<LogFacts>,
    pub(crate) tree: Option<TreeFacts>,
    pub(crate) inodes: InodeTable,
    /// The inodes that have an orphan record, in ascending order.
    pub(crate) orphans: Vec<InodeNumber>,
    /// Logical blocks of all files that are mapped.
    pub(crate) mapped_blocks: u64,
    /// Blocks that the log refers to and the tree does not.
    pub(crate) log_blocks: u64,
    /// Blocks that are in use once the log is replayed.
    pub(crate) used_blocks: u64,
    pub(crate) data_blocks_read: u64,
}

impl Known {
    /// Tree and log as one, once both were read.
    pub(crate) fn view<'a>(&'a self, scope: &'a Scope<'a>) -> Option<Merged<'a>> {
        Some(Merged {
            scope,
            superblock: self.superblock.as_ref()?,
            leaves: &self.tree.as_ref()?.leaves,
            overlay: &self.log.as_ref()?.overlay,
        })
    }
}
