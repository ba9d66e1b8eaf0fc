//! Random operations, the same for the same seed.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// Names are few, so that operations meet.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "long-name-that-goes-on"];
const XATTRS: [&str; 3] = ["user.one", "user.two", "trusted.three"];
/// Files stay below this, so that comparing is cheap.
const MAX_BYTES: u64 = 160 * 1024;

/// One operation on paths; `/` separates names, the root is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make a regular file.
    Create { path: String, mode: u32 },
    /// Make a directory.
    Mkdir { path: String, mode: u32 },
    /// Make a symbolic link.
    Symlink { path: String, target: Vec<u8> },
    /// Make a further name.
    Link { path: String, new: String },
    /// Remove a file's name.
    Unlink { path: String },
    /// Remove a directory.
    Rmdir { path: String },
    /// Rename, replacing.
    Rename { from: String, to: String },
    /// Swap two names.
    Exchange { from: String, to: String },
    /// Write bytes.
    Write { path: String, offset: u64, data: Vec<u8> },
    /// Set the size.
    Truncate { path: String, size: u64 },
    /// Make a hole.
    Punch { path: String, offset: u64, length: u64 },
    /// Preallocate without changing what is read.
    Allocate { path: String, offset: u64, length: u64 },
    /// Set permission bits.
    Chmod { path: String, mode: u32 },
    /// Set an extended attribute.
    SetXattr { path: String, name: String, value: Vec<u8> },
    /// Remove an extended attribute.
    RemoveXattr { path: String, name: String },
    /// Make a file durable.
    Fsync { path: String },
    /// Make everything durable.
    Sync,
    /// Fold the log into the tree.
    Unify,
    /// Unmount in order and mount again.
    Remount,
}

/// A source of steps.
pub struct Steps {
    random: Xoshiro256PlusPlus,
    remounts: bool,
}

impl Steps {
    /// The steps of `seed`; `remounts` says whether [`Step::Remount`] may come.
    pub fn new(seed: u64, remounts: bool) -> Self {
        Self { random: Xoshiro256PlusPlus::seed_from_u64(seed), remounts }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random.next_u64() % limit.max(1)
    }

    fn path(&mut self) -> String {
        let depth = 1 + self.below(3);
        (0..depth).map(|_| format!("/{}", NAMES[self.below(NAMES.len() as u64) as usize])).collect()
    }

    fn mode(&mut self) -> u32 {
        self.below(0o1000) as u32
    }

    /// Mostly aligned and mostly short, so that page edges and whole pages both come up.
    fn offset(&mut self) -> u64 {
        match self.below(3) {
            0 => self.below(MAX_BYTES / 4096) * 4096,
            1 => self.below(9000),
            _ => self.below(MAX_BYTES),
        }
    }

    fn data(&mut self) -> Vec<u8> {
        let length = match self.below(4) {
            0 => self.below(64),
            1 => 4096 * (1 + self.below(4)),
            2 => self.below(20000),
            _ => self.below(3000),
        };
        // Zeros are common in real files, and have their own way through the cache.
        let zero = self.below(6) == 0;
        let mut data = vec![0; length as usize];
        if !zero {
            self.random.fill_bytes(&mut data);
        }
        data
    }

    fn content_step(&mut self) -> Step {
        let path = self.path();
        let offset = self.offset();
        match self.below(10) {
            0 => Step::Truncate { path, size: offset },
            1 => Step::Punch { path, offset, length: 1 + self.below(40000) },
            2 => Step::Allocate { path, offset, length: 1 + self.below(40000) },
            _ => Step::Write { path, offset, data: self.data() },
        }
    }

    fn name_step(&mut self) -> Step {
        let path = self.path();
        match self.below(14) {
            0..=2 => Step::Create { path, mode: self.mode() },
            3..=4 => Step::Mkdir { path, mode: self.mode() },
            5 => Step::Symlink { path, target: self.path().into_bytes() },
            6 => Step::Link { path, new: self.path() },
            7 => Step::Unlink { path },
            8 => Step::Rmdir { path },
            9 => Step::Exchange { from: path, to: self.path() },
            10 => Step::Chmod { path, mode: self.mode() },
            11 => {
                let name = XATTRS[self.below(3) as usize].to_owned();
                let length = self.below(600) as usize;
                Step::SetXattr { path, name, value: vec![self.below(256) as u8; length] }
            }
            12 => {
                let name = XATTRS[self.below(3) as usize].to_owned();
                Step::RemoveXattr { path, name }
            }
            _ => Step::Rename { from: path, to: self.path() },
        }
    }

    fn durability_step(&mut self) -> Step {
        match self.below(8) {
            0 => Step::Sync,
            1 => Step::Unify,
            2 if self.remounts => Step::Remount,
            _ => Step::Fsync { path: self.path() },
        }
    }
}

impl Iterator for Steps {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        Some(match self.below(20) {
            0..=8 => self.content_step(),
            9..=16 => self.name_step(),
            _ => self.durability_step(),
        })
    }
}
