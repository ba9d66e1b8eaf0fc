//! Operations as values, and a source of random ones: the same for the same seed.
//!
//! A failing run prints its steps as they stand here, so that they can be pasted into a regression
//! test.

use std::fmt;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use crate::model::Model;

/// Names where there are few of them.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "long-name-that-goes-on"];
const XATTRS: [&str; 3] = ["user.one", "user.two", "trusted.three"];
/// Files that can be held at once.
const HOLDERS: u8 = 3;

/// Bytes to write, by how they are made: short to print.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Data {
    /// How many.
    pub length: u64,
    /// What they are made from; 0 makes zeros.
    pub seed: u64,
}

impl Data {
    /// The bytes.
    pub fn bytes(self) -> Vec<u8> {
        let mut bytes = vec![0; self.length as usize];
        if self.seed != 0 {
            Xoshiro256PlusPlus::seed_from_u64(self.seed).fill_bytes(&mut bytes);
        }
        bytes
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data {{ length: {}, seed: {} }}", self.length, self.seed)
    }
}

/// One operation on paths; `/` separates names, the root is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // The fields are what the operation takes, under the names it has for them.
pub enum Step {
    /// Make a regular file.
    Create { path: String, mode: u32 },
    /// Make a directory.
    Mkdir { path: String, mode: u32 },
    /// Make a symbolic link.
    Symlink { path: String, target: String },
    /// Make a further name.
    Link { path: String, new: String },
    /// Remove a file's name.
    Unlink { path: String },
    /// Remove a directory.
    Rmdir { path: String },
    /// Rename, replacing.
    Rename { from: String, to: String },
    /// Rename, if the new name is free.
    RenameToFree { from: String, to: String },
    /// Swap two names.
    Exchange { from: String, to: String },
    /// Write bytes.
    Write { path: String, offset: u64, data: Data },
    /// Set the size.
    Truncate { path: String, size: u64 },
    /// Make a hole.
    Punch { path: String, offset: u64, length: u64 },
    /// Preallocate without changing what is read.
    Allocate { path: String, offset: u64, length: u64 },
    /// Make a range read as zeros, and the file long enough for it.
    Zero { path: String, offset: u64, length: u64 },
    /// Copy bytes within or between files.
    Copy { from: String, from_offset: u64, to: String, to_offset: u64, length: u64 },
    /// Hold a file open, in place of what the holder held.
    Hold { holder: u8, path: String },
    /// Write into the file that is held, whether it still has a name or not.
    WriteHeld { holder: u8, offset: u64, data: Data },
    /// Let go what the holder holds.
    Release { holder: u8 },
    /// Set permission bits.
    Chmod { path: String, mode: u32 },
    /// Set user and group.
    Chown { path: String, owner: (u32, u32) },
    /// Set an extended attribute.
    SetXattr { path: String, name: String, value: Data },
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

impl Step {
    /// Whether the step is there to make something durable, or ends up doing so.
    pub fn is_commit(&self) -> bool {
        matches!(self, Step::Fsync { .. } | Step::Sync | Step::Remount)
    }
}

/// How large a world the steps make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Few names and short files, so that operations meet.
    Small,
    /// Hundreds of names, so that there is more than one node of everything.
    Wide,
    /// Files of megabytes, so that extents are cut and joined.
    Large,
}

impl Scale {
    fn names(self) -> u64 {
        if self == Scale::Wide { 400 } else { NAMES.len() as u64 }
    }

    /// Files stay near this.
    fn file_bytes(self) -> u64 {
        if self == Scale::Large { 24 << 20 } else { 160 << 10 }
    }

    /// The longest writes and holes.
    fn write_bytes(self) -> u64 {
        if self == Scale::Large { 3 << 20 } else { 20_000 }
    }
}

/// A source of steps.
pub struct Steps {
    random: Xoshiro256PlusPlus,
    remounts: bool,
    scale: Scale,
}

impl Steps {
    /// The steps of `seed`; `remounts` says whether [`Step::Remount`] may come.
    pub fn new(seed: u64, remounts: bool) -> Self {
        Self::scaled(seed, remounts, Scale::Small)
    }

    /// The steps of `seed` in a world of some scale.
    pub fn scaled(seed: u64, remounts: bool, scale: Scale) -> Self {
        Self { random: Xoshiro256PlusPlus::seed_from_u64(seed), remounts, scale }
    }

    /// The next step; most of the time about something that is there.
    pub fn next(&mut self, model: &Model) -> Step {
        match self.below(20) {
            0..=7 => self.content_step(model),
            8..=15 => self.name_step(model),
            16 => self.held_step(model),
            _ => self.commit_step(model),
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random.next_u64() % limit.max(1)
    }

    /// Any path, most of them of nothing.
    fn path(&mut self) -> String {
        let depth = 1 + self.below(3);
        (0..depth).map(|_| format!("/{}", self.name())).collect()
    }

    fn name(&mut self) -> String {
        let number = self.below(self.scale.names());
        NAMES
            .get(number as usize)
            .map_or_else(|| format!("name-{number}"), |name| (*name).to_owned())
    }

    /// A path of something of this kind, if there is any; now and then any path.
    fn known(&mut self, model: &Model, kind: char) -> String {
        let paths = model.paths(kind);
        if paths.is_empty() || self.below(8) == 0 {
            return self.path();
        }
        paths[self.below(paths.len() as u64) as usize].clone()
    }

    fn known_of_any_kind(&mut self, model: &Model) -> String {
        let kind = ['f', 'f', 'd', 'l'][self.below(4) as usize];
        self.known(model, kind)
    }

    /// A place for a new name, most of the time in a directory that is there.
    fn place(&mut self, model: &Model) -> String {
        let mut directories = model.paths('d');
        directories.retain(|path| path.matches('/').count() < 3);
        let directory = directories[self.below(directories.len() as u64) as usize].clone();
        if self.below(8) == 0 { self.path() } else { format!("{directory}/{}", self.name()) }
    }

    fn mode(&mut self) -> u32 {
        self.below(0o1000) as u32
    }

    /// Page edges and whole pages both come up.
    fn offset(&mut self) -> u64 {
        match self.below(3) {
            0 => self.below(self.scale.file_bytes() / 4096) * 4096,
            1 => self.below(9000),
            _ => self.below(self.scale.file_bytes()),
        }
    }

    fn data(&mut self) -> Data {
        let length = match self.below(4) {
            0 => self.below(64),
            1 => 4096 * (1 + self.below(4)),
            2 => self.below(self.scale.write_bytes()),
            _ => self.below(3000),
        };
        // Zeros are common in real files, and have their own way through the cache.
        let seed = if self.below(6) == 0 { 0 } else { 1 + self.below(1 << 20) };
        Data { length, seed }
    }

    fn content_step(&mut self, model: &Model) -> Step {
        let path = self.known(model, 'f');
        let offset = self.offset();
        match self.below(15) {
            0..=1 => Step::Truncate { path, size: offset },
            2 => Step::Punch { path, offset, length: 1 + self.below(2 * self.scale.write_bytes()) },
            3 => Step::Allocate {
                path,
                offset,
                length: 1 + self.below(2 * self.scale.write_bytes()),
            },
            4 => Step::Zero { path, offset, length: 1 + self.below(self.scale.write_bytes()) },
            5..=6 => self.copy_step(model, path, offset),
            _ => Step::Write { path, offset, data: self.data() },
        }
    }

    /// Half of the copies lie so that blocks can be shared, some of them long.
    fn copy_step(&mut self, model: &Model, from: String, from_offset: u64) -> Step {
        let (to, to_offset) = (self.known(model, 'f'), self.offset());
        let bytes = match self.below(3) {
            0 => self.scale.file_bytes(),
            _ => 2 * self.scale.write_bytes(),
        };
        let length = 1 + self.below(bytes);
        let to_offset = match self.below(2) {
            0 => to_offset,
            _ => to_offset / 4096 * 4096 + from_offset % 4096,
        };
        Step::Copy { from, from_offset, to, to_offset, length }
    }

    fn name_step(&mut self, model: &Model) -> Step {
        match self.below(18) {
            0..=3 => Step::Create { path: self.place(model), mode: self.mode() },
            4..=5 => Step::Mkdir { path: self.place(model), mode: self.mode() },
            6 => Step::Symlink { path: self.place(model), target: self.path() },
            7 => Step::Link { path: self.known(model, 'f'), new: self.place(model) },
            8 => Step::Unlink { path: self.known(model, 'f') },
            9 => Step::Rmdir { path: self.known(model, 'd') },
            10 => self.move_step(model),
            11 => self.move_step(model),
            12 => self.move_step(model),
            13 => Step::Chmod { path: self.known_of_any_kind(model), mode: self.mode() },
            14 => {
                let owner = (self.below(9) as u32, self.below(9) as u32);
                Step::Chown { path: self.known_of_any_kind(model), owner }
            }
            15 => Step::RemoveXattr { path: self.known_of_any_kind(model), name: self.xattr() },
            _ => {
                let (path, name) = (self.known_of_any_kind(model), self.xattr());
                let value = Data { length: self.below(600), seed: 1 + self.below(1 << 20) };
                Step::SetXattr { path, name, value }
            }
        }
    }

    fn move_step(&mut self, model: &Model) -> Step {
        let from = self.known_of_any_kind(model);
        let to = if self.below(2) == 0 { self.place(model) } else { self.known_of_any_kind(model) };
        match self.below(4) {
            0 => Step::Exchange { from, to },
            1 => Step::RenameToFree { from, to },
            _ => Step::Rename { from, to },
        }
    }

    fn xattr(&mut self) -> String {
        XATTRS[self.below(XATTRS.len() as u64) as usize].to_owned()
    }

    fn held_step(&mut self, model: &Model) -> Step {
        let holder = self.below(u64::from(HOLDERS)) as u8;
        match self.below(5) {
            0..=1 => Step::Hold { holder, path: self.known(model, 'f') },
            2..=3 => Step::WriteHeld { holder, offset: self.offset(), data: self.data() },
            _ => Step::Release { holder },
        }
    }

    fn commit_step(&mut self, model: &Model) -> Step {
        match self.below(8) {
            0 => Step::Sync,
            1 => Step::Unify,
            2 if self.remounts => Step::Remount,
            _ => Step::Fsync { path: self.known_of_any_kind(model) },
        }
    }
}
