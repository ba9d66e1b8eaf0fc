//! The file as it should be.

use std::io;
use std::path::Path;

use super::operation::Operation;

/// A file in memory.
#[derive(Debug, Default)]
pub struct Model {
    content: Vec<u8>,
}

/// An offset or length in memory.
pub fn at(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// The bytes that a write of this pattern writes. None is zero.
pub fn pattern(byte: u8, length: u64) -> Vec<u8> {
    let mut value = byte;
    let mut bytes = Vec::with_capacity(at(length));
    for number in 0..length {
        // Changes by blocks of an odd size, so that a block in the wrong place shows.
        if number % 61 == 0 {
            value = value.wrapping_add(1).max(1);
        }
        bytes.push(value);
    }
    bytes
}

impl Model {
    /// How large it is.
    pub fn size(&self) -> u64 {
        self.content.len() as u64
    }

    /// What a read finds.
    pub fn read(&self, offset: u64, length: u64) -> &[u8] {
        let from = at(offset).min(self.content.len());
        let to = at(offset + length).min(self.content.len());
        &self.content[from..to]
    }

    /// Writes the content to a file, whole or not at all.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        std::fs::write(&new, &self.content)?;
        std::fs::rename(&new, path)
    }

    /// Does an operation.
    pub fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Write { offset, length, byte, .. } => {
                self.put(offset, &pattern(byte, length));
            }
            Operation::Truncate { size } => self.content.resize(at(size), 0),
            Operation::Allocate { offset, length, keeps_size } => {
                self.grow(offset + length, keeps_size);
            }
            Operation::Punch { offset, length } => self.zero(offset, length),
            Operation::Zero { offset, length, keeps_size } => {
                self.grow(offset + length, keeps_size);
                self.zero(offset, length);
            }
            Operation::Collapse { offset, length } => {
                self.content.drain(at(offset)..at(offset + length));
            }
            Operation::Insert { offset, length } => {
                let zeros = std::iter::repeat_n(0, at(length));
                self.content.splice(at(offset)..at(offset), zeros);
            }
            Operation::Copy { from, to, length } => {
                let bytes = self.read(from, length).to_vec();
                self.put(to, &bytes);
            }
            Operation::Read { .. }
            | Operation::Sync { .. }
            | Operation::Forget
            | Operation::Reopen => {}
        }
    }

    fn grow(&mut self, size: u64, keeps_size: bool) {
        if !keeps_size && size > self.size() {
            self.content.resize(at(size), 0);
        }
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) {
        self.grow(offset + bytes.len() as u64, false);
        self.content[at(offset)..at(offset) + bytes.len()].copy_from_slice(bytes);
    }

    fn zero(&mut self, offset: u64, length: u64) {
        let to = at(offset + length).min(self.content.len());
        let from = at(offset).min(to);
        self.content[from..to].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exercise::fsx::operation::How;

    #[test]
    fn the_model_is_a_file() {
        let mut model = Model::default();
        model.apply(&Operation::Write { offset: 2, length: 3, byte: 7, how: How::Plain });
        assert_eq!(model.content, [0, 0, 8, 8, 8]);
        model.apply(&Operation::Insert { offset: 3, length: 1 });
        assert_eq!(model.content, [0, 0, 8, 0, 8, 8]);
        model.apply(&Operation::Collapse { offset: 0, length: 2 });
        assert_eq!(model.content, [8, 0, 8, 8]);
        model.apply(&Operation::Zero { offset: 3, length: 3, keeps_size: true });
        assert_eq!(model.content, [8, 0, 8, 0]);
        model.apply(&Operation::Copy { from: 0, to: 3, length: 3 });
        assert_eq!(model.content, [8, 0, 8, 8, 0, 8]);
        model.apply(&Operation::Allocate { offset: 5, length: 2, keeps_size: false });
        assert_eq!(model.read(5, 100), [8, 0]);
    }
}
