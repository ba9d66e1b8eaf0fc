//! Random edits against a map in memory.

use std::collections::BTreeSet;

use braidfs_format::Key;
use proptest::prelude::*;

use super::support::{Model, Volume, assert_same, contents, key, shape, sized_item};
use crate::tree::{EditBound, Tree, TreeEdit, worst_case_nodes};

#[derive(Debug, Clone)]
enum Step {
    /// Puts `count` items from (inode, index) on.
    Put {
        inode: u64,
        index: u64,
        count: u64,
        bytes: usize,
    },
    Delete {
        inode: u64,
        index: u64,
        count: u64,
    },
    DeleteRange {
        from: (u64, u64),
        to: (u64, u64),
    },
    Look {
        inode: u64,
        index: u64,
        count: usize,
    },
    Finish {
        reopen: bool,
    },
}

fn place() -> impl Strategy<Value = (u64, u64)> {
    (1u64..12, 0u64..400)
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![4 => 8usize..200, 1 => 200usize..5000];
    prop_oneof![
        6 => (place(), 1u64..120, size).prop_map(|((inode, index), count, bytes)| Step::Put {
            inode, index, count, bytes
        }),
        3 => (place(), 1u64..150).prop_map(|((inode, index), count)| Step::Delete {
            inode, index, count
        }),
        1 => (place(), place()).prop_map(|(from, to)| Step::DeleteRange { from, to }),
        2 => (place(), 1usize..200).prop_map(|((inode, index), count)| Step::Look {
            inode, index, count
        }),
        2 => any::<bool>().prop_map(|reopen| Step::Finish { reopen }),
    ]
}

/// The volume, the edit that is open, and what the two should hold.
struct Run {
    volume: Volume,
    edit: Option<TreeEdit>,
    model: Model,
    /// The last tree that was finished and what it held.
    before: Option<(Tree, Model)>,
    bound: EditBound,
}

impl Run {
    fn new() -> Self {
        let volume = Volume::new(1 << 20);
        Self { volume, edit: None, model: Model::new(), before: None, bound: EditBound::default() }
    }

    fn edit(&mut self) -> &mut TreeEdit {
        let volume = &self.volume;
        self.edit.get_or_insert_with(|| volume.edit())
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Put { inode, index, count, bytes } => {
                (index..index + count).for_each(|index| self.put(key(inode, index), bytes));
            }
            Step::Delete { inode, index, count } => {
                (index..index + count).for_each(|index| self.delete(key(inode, index)));
            }
            Step::DeleteRange { from, to } => {
                self.delete_range(key(from.0, from.1), key(to.0, to.1))
            }
            Step::Look { inode, index, count } => self.look(key(inode, index), count),
            Step::Finish { reopen } => self.finish(reopen),
        }
    }

    fn put(&mut self, key: Key, bytes: usize) {
        let item = sized_item(bytes);
        self.bound.puts += 1;
        self.bound.put_bytes += item.encoded_bytes() as u64;
        self.edit().put(key, item.clone()).unwrap();
        self.model.insert(key, item);
    }

    fn delete(&mut self, key: Key) {
        self.bound.deletes += 1;
        let deleted = self.edit().delete(&key).unwrap();
        assert_eq!(deleted, self.model.remove(&key));
    }

    fn delete_range(&mut self, from: Key, to: Key) {
        self.bound.deletes += 2;
        let mut visited = Vec::new();
        let mut visit =
            |key: &Key, item: &_| visited.push((*key, braidfs_format::Item::clone(item)));
        self.edit().delete_range(&from, &to, &mut visit).unwrap();
        let gone: Vec<_> = if from < to {
            self.model.range(from..to).map(|(key, item)| (*key, item.clone())).collect()
        } else {
            Vec::new()
        };
        gone.iter().for_each(|(key, _)| drop(self.model.remove(key)));
        assert!(visited == gone, "what was visited is not what was in the range");
    }

    fn look(&mut self, key: Key, count: usize) {
        let edit = self.edit.take().unwrap_or_else(|| self.volume.edit());
        assert_eq!(edit.get(&key).unwrap().as_ref(), self.model.get(&key));
        let floor = self.model.range(..=key).next_back().map(|(key, item)| (*key, item.clone()));
        assert!(edit.last_at_or_before(&key).unwrap() == floor);
        let to = Key { inode: key.inode + 3, ..key };
        let expected: Vec<_> =
            self.model.range(key..to).take(count).map(|(key, item)| (*key, item.clone())).collect();
        assert!(edit.top().range(&key, &to, count).unwrap() == expected);
        self.edit = Some(edit);
    }

    fn finish(&mut self, reopen: bool) {
        let edit = self.edit.take().unwrap_or_else(|| self.volume.edit());
        let old_nodes: BTreeSet<_> =
            self.before.iter().flat_map(|(tree, _)| shape(tree).nodes).collect();
        let commit = self.volume.finish(edit);
        let tree = if reopen { self.volume.reopen(1 << 18) } else { commit.tree.clone() };
        let shape = shape(&tree);
        let new_nodes: BTreeSet<_> = shape.nodes.iter().copied().collect();
        let freed: BTreeSet<_> = commit.freed_nodes.iter().copied().collect();
        assert_eq!(freed.len(), commit.freed_nodes.len(), "a node was freed twice");
        assert_eq!(freed, &old_nodes - &new_nodes, "freed nodes");
        let allocated: BTreeSet<_> = commit.allocated_nodes.iter().copied().collect();
        assert_eq!(allocated, &new_nodes - &old_nodes, "allocated nodes");
        assert_eq!(shape.underfull, 0, "nodes below a quarter");
        assert_eq!(self.volume.node_count, new_nodes.len() as i64);
        assert!(commit.allocated_nodes.len() as u64 <= worst_case_nodes(&self.bound).max(1));
        assert_same(&tree, &self.model);
        if let Some((before, model)) = &self.before {
            assert_same(before, model);
        }
        self.bound = EditBound {
            level: tree.level(),
            node_count: new_nodes.len() as u64,
            ..EditBound::default()
        };
        self.before = Some((tree, self.model.clone()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn edits_do_what_a_map_does(steps in prop::collection::vec(step(), 1..60)) {
        let mut run = Run::new();
        steps.iter().for_each(|step| run.step(step));
        run.finish(true);
        prop_assert_eq!(contents(&run.volume.tree.unwrap()).len(), run.model.len());
    }
}
