//! Names for inodes.
//!
//! Only inodes that a finding is about get a name, so two sweeps over the directories are made when
//! there are findings, and no memory is spent on names otherwise: the first sweep finds the names
//! of the inodes that are wanted, the second those of the directories above them.

use std::collections::{BTreeMap, BTreeSet};

use braidfs_format::{InodeNumber, Item, Key, ROOT_INODE};

use super::inodes::InodeTable;
use super::leaves::Kinds;
use super::merged::{Merged, Source, Visitor};
use crate::error::Halt;
use crate::text::printable;

/// Names of one inode that are kept.
const NAME_LIMIT: usize = 8;
/// Directories of a path that are shown; more are left out at its beginning.
const DEPTH_LIMIT: usize = 128;

/// The paths of the `wanted` inodes, as far as they have any.
pub(crate) fn find_paths(
    merged: &Merged<'_>,
    table: &InodeTable,
    wanted: BTreeSet<InodeNumber>,
) -> Result<BTreeMap<InodeNumber, Vec<String>>, Halt> {
    let mut names = NameSweep::new(wanted);
    merged.walk(Kinds::DIRENTS, &mut names)?;
    let parents = names.found.values().flatten().map(|(parent, _)| *parent);
    let mut directories = NameSweep::new(ancestors(table, parents.collect()));
    merged.walk(Kinds::DIRENTS, &mut directories)?;
    let mut paths = BTreeMap::new();
    if names.wanted.contains(&ROOT_INODE) {
        paths.insert(ROOT_INODE, vec!["/".to_owned()]);
    }
    for (inode, names) in &names.found {
        let full = |(parent, name): &(InodeNumber, String)| {
            format!("{}/{name}", directory_path(table, &directories.found, *parent))
        };
        paths.entry(*inode).or_insert_with(|| names.iter().map(full).collect());
    }
    Ok(paths)
}

/// `directories` and all that are above them.
fn ancestors(table: &InodeTable, directories: BTreeSet<InodeNumber>) -> BTreeSet<InodeNumber> {
    let mut all = BTreeSet::new();
    for directory in directories {
        let mut next = directory;
        while next != ROOT_INODE && all.insert(next) {
            next = match table.directory(next) {
                Some(fact) if fact.named_in != 0 => fact.named_in,
                _ => break,
            };
        }
    }
    all
}

/// The path of a directory, without a slash at its end; what is not reached from the root begins
/// with an inode number.
fn directory_path(
    table: &InodeTable,
    names: &BTreeMap<InodeNumber, Vec<(InodeNumber, String)>>,
    directory: InodeNumber,
) -> String {
    let mut parts = Vec::new();
    let mut next = directory;
    while next != ROOT_INODE {
        let parent = table.directory(next).map_or(0, |fact| fact.named_in);
        let name = names.get(&next).and_then(|names| names.iter().find(|(of, _)| *of == parent));
        let Some((_, name)) = name.filter(|_| parts.len() < DEPTH_LIMIT) else {
            parts.push(format!("<inode {next}>"));
            parts.reverse();
            return parts.join("/");
        };
        parts.push(name.clone());
        next = parent;
    }
    parts.reverse();
    parts.iter().map(|part| format!("/{part}")).collect()
}

/// Collects the names of some inodes.
struct NameSweep {
    wanted: BTreeSet<InodeNumber>,
    /// Directory and name, by inode.
    found: BTreeMap<InodeNumber, Vec<(InodeNumber, String)>>,
}

impl NameSweep {
    fn new(wanted: BTreeSet<InodeNumber>) -> Self {
        Self { wanted, found: BTreeMap::new() }
    }
}

impl Visitor for NameSweep {
    fn item(&mut self, key: Key, item: Item, _source: Source) -> Result<(), Halt> {
        let Item::Dirent(bucket) = item else { return Ok(()) };
        for entry in bucket.entries.iter().filter(|entry| self.wanted.contains(&entry.inode)) {
            let names = self.found.entry(entry.inode).or_default();
            if names.len() < NAME_LIMIT {
                names.push((key.inode, printable(&entry.name)));
            }
        }
        Ok(())
    }
}
