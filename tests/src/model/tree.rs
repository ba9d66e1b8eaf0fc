//! The tree as readers see it, for comparing.

use std::collections::BTreeMap;

use super::{Inode, Model, Node};

/// What a path holds: kind, permissions, owner, links, content, attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `f`, `d` or `l`.
    pub kind: char,
    /// Permission bits.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// Link count.
    pub links: u32,
    /// Content or target; empty for a directory.
    pub content: Vec<u8>,
    /// Extended attributes.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A whole tree by path.
pub type Tree = BTreeMap<String, Seen>;

/// How two trees differ, in a few lines; empty if they do not.
pub fn differences(expected: &Tree, found: &Tree) -> String {
    let mut lines = Vec::new();
    for (path, seen) in expected {
        match found.get(path) {
            None => lines.push(format!("{path:?} is missing ({})", summary(seen))),
            Some(other) if other != seen => lines.push(difference(path, seen, other)),
            Some(_) => {}
        }
    }
    let extra = found.keys().filter(|path| !expected.contains_key(*path));
    lines.extend(extra.map(|path| format!("{path:?} should not be there")));
    lines.join("\n")
}

fn summary(seen: &Seen) -> String {
    let Seen { kind, mode, owner, links, content, xattrs } = seen;
    let xattrs: Vec<_> = xattrs
        .iter()
        .map(|(name, value)| format!("{}={} bytes", String::from_utf8_lossy(name), value.len()))
        .collect();
    format!("{kind} {mode:o} {owner:?}, {links} links, {} bytes, {xattrs:?}", content.len())
}

fn difference(path: &str, expected: &Seen, found: &Seen) -> String {
    let mut text = format!("{path:?}: expected {}, found {}", summary(expected), summary(found));
    let differs = |(left, right): (&u8, &u8)| left != right;
    if let Some(at) = expected.content.iter().zip(&found.content).position(differs) {
        let (left, right) = (expected.content[at], found.content[at]);
        text.push_str(&format!("; first byte that differs: {at} ({left} expected, {right} found)"));
    }
    text
}

impl Model {
    /// The tree as a reader sees it now.
    pub fn live_tree(&self) -> Tree {
        self.tree(|live, _| live.to_vec())
    }

    /// The tree as a crash after the last delta leaves it.
    pub fn staged_tree(&self) -> Tree {
        self.tree(|_, staged| staged.to_vec())
    }

    /// The paths of everything of a kind, the root among the directories.
    pub fn paths(&self, kind: char) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths(1, String::new(), kind, &mut paths);
        paths
    }

    fn collect_paths(&self, number: u64, path: String, kind: char, paths: &mut Vec<String>) {
        let node = self.nodes.get(&number).map(|inode| &inode.node);
        let (found, entries) = match node {
            Some(Node::Directory(entries)) => ('d', Some(entries)),
            Some(Node::File { .. }) => ('f', None),
            Some(Node::Symlink(_)) => ('l', None),
            None => return,
        };
        for (name, child) in entries.into_iter().flatten() {
            let below = format!("{path}/{}", String::from_utf8_lossy(name));
            self.collect_paths(*child, below, kind, paths);
        }
        if found == kind {
            paths.push(path);
        }
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
            Node::File { live, staged, .. } => ('f', pick(live, staged)),
            Node::Directory(_) => ('d', Vec::new()),
            Node::Symlink(target) => ('l', target.clone()),
        };
        let Inode { mode, owner, links, ref xattrs, .. } = *inode;
        let xattrs = xattrs.clone();
        tree.insert(path.to_owned(), Seen { kind, mode, owner, links, content, xattrs });
        if let Node::Directory(entries) = &inode.node {
            for (name, child) in entries {
                let path = format!("{path}/{}", String::from_utf8_lossy(name));
                self.walk(*child, &path, pick, tree);
            }
        }
    }
}
