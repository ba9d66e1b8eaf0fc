//! What deltas take: which contents are staged, and so survive a crash.

use super::{Inode, Model, Node};

impl Model {
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

    /// What a crash leaves, with nothing of it in memory: contents as staged, nothing held.
    pub fn crash(&mut self) {
        for inode in self.nodes.values_mut() {
            if let Node::File { live, staged, touched } = &mut inode.node {
                live.clone_from(staged);
                *touched = false;
            }
        }
        self.release_everything();
        self.replaced.clear();
    }

    /// Lets go what every holder holds.
    pub fn release_everything(&mut self) {
        for number in std::mem::take(&mut self.held).into_values() {
            self.drop_if_unused(number);
        }
    }

    /// A rename put this file over another one.
    pub(super) fn note_replaced(&mut self, number: u64) {
        let inode = self.nodes.get(&number);
        if let Some(Inode { node: Node::File { touched: true, .. }, .. }) = inode {
            self.replaced.insert(number);
        }
    }

    fn stage(&mut self, number: u64) {
        let inode = self.nodes.get_mut(&number);
        if let Some(Inode { node: Node::File { live, staged, touched }, .. }) = inode {
            staged.clone_from(live);
            *touched = false;
        }
    }
}
