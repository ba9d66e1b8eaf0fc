//! The file as it is.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use rustix::fs::{
    Advice, FallocateFlags, OFlags, SeekFrom, copy_file_range, fadvise, fallocate, seek,
};
use rustix::io::Errno;
use thiserror::Error;

use super::Plan;
use super::model::{Model, at, pattern};
use super::operation::{How, Operation};
use crate::io::{ALIGNMENT, Buffer, SharedMap, errno_name};

/// What is wrong with the file.
#[derive(Debug, Error)]
pub enum TargetError {
    /// The filesystem does not have the operation.
    #[error("the operation is not there")]
    Unsupported,
    /// An operation failed.
    #[error("{0}: {1}")]
    Failed(&'static str, String),
    /// The content is not what it should be.
    #[error("{how}: at {offset}: {found:02x} instead of {wanted:02x}")]
    Different {
        /// How it was looked at.
        how: &'static str,
        /// Where.
        offset: u64,
        /// What is there.
        found: u8,
        /// What should be.
        wanted: u8,
    },
    /// There is more or less than there should be.
    #[error("{how}: {found} bytes instead of {wanted}")]
    Size {
        /// How it was looked at.
        how: &'static str,
        /// How much there is.
        found: u64,
        /// How much should be.
        wanted: u64,
    },
    /// A byte that is not zero lies in a hole.
    #[error("SEEK_DATA says that {0} is in a hole, which holds {1:02x}")]
    Hole(u64, u8),
}

impl TargetError {
    /// What the system said to an operation.
    pub fn system(what: &'static str, error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::NOTSUP | Errno::NOSYS) => Self::Unsupported,
            Some(errno) => Self::Failed(what, errno_name(errno)),
            None => Self::Failed(what, error.to_string()),
        }
    }
}

/// Names the operation in an error.
fn named<T, E: Into<io::Error>>(what: &'static str, end: Result<T, E>) -> Result<T, TargetError> {
    end.map_err(|error| TargetError::system(what, &error.into()))
}

/// See the module.
pub struct Target {
    path: PathBuf,
    file: File,
    direct: Option<File>,
    with_direct: bool,
}

impl Target {
    /// Makes the file anew.
    pub fn create(plan: &Plan) -> Result<Self, TargetError> {
        named("create", File::create(&plan.file))?;
        let (file, direct) = Self::open(&plan.file, plan.with_direct)?;
        Ok(Self { path: plan.file.clone(), file, direct, with_direct: plan.with_direct })
    }

    fn open(path: &PathBuf, with_direct: bool) -> Result<(File, Option<File>), TargetError> {
        let open = |flags: OFlags| {
            let flags = i32::try_from(flags.bits()).unwrap_or(0);
            OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)
        };
        let file = named("open", open(OFlags::empty()))?;
        let direct = if with_direct { Some(named("open", open(OFlags::DIRECT))?) } else { None };
        Ok((file, direct))
    }

    /// Closes and opens.
    pub fn reopen(&mut self) -> Result<(), TargetError> {
        (self.file, self.direct) = Self::open(&self.path, self.with_direct)?;
        Ok(())
    }

    /// Does an operation; `model` is the file before it.
    pub fn apply(&mut self, operation: &Operation, model: &Model) -> Result<(), TargetError> {
        match *operation {
            Operation::Write { offset, length, byte, how } => {
                self.write(offset, &pattern(byte, length), how, model)
            }
            Operation::Read { offset, length, how } => self.compare(offset, length, how, model),
            Operation::Truncate { size } => named("truncate", self.file.set_len(size)),
            Operation::Allocate { offset, length, keeps_size } => {
                self.allocate("allocate", FallocateFlags::empty(), keeps_size, offset, length)
            }
            Operation::Punch { offset, length } => {
                self.allocate("punch", FallocateFlags::PUNCH_HOLE, true, offset, length)
            }
            Operation::Zero { offset, length, keeps_size } => {
                self.allocate("zero", FallocateFlags::ZERO_RANGE, keeps_size, offset, length)
            }
            Operation::Collapse { offset, length } => {
                self.allocate("collapse", FallocateFlags::COLLAPSE_RANGE, false, offset, length)
            }
            Operation::Insert { offset, length } => {
                self.allocate("insert", FallocateFlags::INSERT_RANGE, false, offset, length)
            }
            Operation::Copy { from, to, length } => self.copy(from, to, length),
            Operation::Sync { data_only: true } => named("fdatasync", self.file.sync_data()),
            Operation::Sync { data_only: false } => named("fsync", self.file.sync_all()),
            Operation::Forget => {
                named("fdatasync", self.file.sync_data())?;
                named("fadvise", fadvise(&self.file, 0, None, Advice::DontNeed))
            }
            Operation::Reopen => self.reopen(),
        }
    }

    fn write(&self, offset: u64, bytes: &[u8], how: How, model: &Model) -> Result<(), TargetError> {
        match how {
            How::Plain => named("write", self.file.write_all_at(bytes, offset)),
            How::Direct => {
                let mut buffer = Buffer::new(bytes.len());
                buffer.slice().copy_from_slice(bytes);
                let file = self.direct.as_ref().unwrap_or(&self.file);
                named("direct write", file.write_all_at(buffer.slice(), offset))
            }
            How::Mapped => {
                // A mapping writes only where there is a file.
                let end = offset + bytes.len() as u64;
                if end > model.size() {
                    named("truncate", self.file.set_len(end))?;
                }
                let map = named("mmap", SharedMap::new(&self.file, 0, at(end), true))?;
                let is_written = map.write(at(offset), bytes);
                debug_assert!(is_written, "the mapping ends where the write ends");
                Ok(())
            }
        }
    }

    fn allocate(
        &self,
        what: &'static str,
        flags: FallocateFlags,
        keeps_size: bool,
        offset: u64,
        length: u64,
    ) -> Result<(), TargetError> {
        let keep = if keeps_size { FallocateFlags::KEEP_SIZE } else { FallocateFlags::empty() };
        named(what, fallocate(&self.file, flags | keep, offset, length))
    }

    fn copy(&self, mut from: u64, mut to: u64, length: u64) -> Result<(), TargetError> {
        let end = from + length;
        while from < end {
            let left = at(end - from);
            let copied =
                copy_file_range(&self.file, Some(&mut from), &self.file, Some(&mut to), left);
            if named("copy_file_range", copied)? == 0 {
                return Err(TargetError::Failed("copy_file_range", "it ends too early".to_owned()));
            }
        }
        Ok(())
    }

    /// Compares a part with the model.
    fn compare(
        &self,
        offset: u64,
        length: u64,
        how: How,
        model: &Model,
    ) -> Result<(), TargetError> {
        let (name, found) = match how {
            How::Plain => ("read", read(&self.file, offset, length)?),
            How::Direct => {
                ("direct read", read(self.direct.as_ref().unwrap_or(&self.file), offset, length)?)
            }
            How::Mapped => {
                let end = at(offset + length);
                let map = named("mmap", SharedMap::new(&self.file, 0, end, false))?;
                ("mapped read", map.read(at(offset), at(length)).unwrap_or_default())
            }
        };
        same(name, offset, &found, model.read(offset, length))
    }

    /// Compares the size with that of the model.
    pub fn compare_size(&self, model: &Model) -> Result<(), TargetError> {
        let found = named("fstat", self.file.metadata())?.len();
        let wanted = model.size();
        if found == wanted {
            return Ok(());
        }
        Err(TargetError::Size { how: "fstat", found, wanted })
    }

    /// Compares everything, in every way there is.
    pub fn compare_all(&self, model: &Model, with_direct: bool) -> Result<(), TargetError> {
        self.compare_size(model)?;
        let size = model.size();
        // A read that asks for more must not find more.
        self.compare(0, size + ALIGNMENT as u64, How::Plain, model)?;
        if size > 0 {
            self.compare(0, size, How::Mapped, model)?;
        }
        if with_direct {
            self.compare(0, size.next_multiple_of(ALIGNMENT as u64), How::Direct, model)?;
        }
        self.compare_holes(model)
    }

    /// Every hole that SEEK_DATA tells of must hold zeros only.
    fn compare_holes(&self, model: &Model) -> Result<(), TargetError> {
        let size = model.size();
        let mut place = 0;
        while place < size {
            let data = match seek(&self.file, SeekFrom::Data(place)) {
                Err(Errno::NXIO) => size,
                end => named("SEEK_DATA", end)?,
            };
            let hole = model.read(place, data - place);
            if let Some((offset, byte)) = (place..).zip(hole).find(|(_, byte)| **byte != 0) {
                return Err(TargetError::Hole(offset, *byte));
            }
            if data >= size {
                break;
            }
            place = named("SEEK_HOLE", seek(&self.file, SeekFrom::Hole(data)))?;
        }
        Ok(())
    }
}

/// Reads a part; less if the file ends.
fn read(file: &File, offset: u64, length: u64) -> Result<Vec<u8>, TargetError> {
    let mut buffer = Buffer::new(at(length));
    let mut done = 0;
    while done < buffer.len() {
        let part = &mut buffer.slice()[done..];
        let count = named("read", file.read_at(part, offset + done as u64))?;
        if count == 0 {
            break;
        }
        done += count;
    }
    Ok(buffer.slice()[..done].to_vec())
}

fn same(how: &'static str, offset: u64, found: &[u8], wanted: &[u8]) -> Result<(), TargetError> {
    let pairs = found.iter().zip(wanted);
    if let Some((at, (found, wanted))) = (offset..).zip(pairs).find(|(_, (one, two))| one != two) {
        return Err(TargetError::Different { how, offset: at, found: *found, wanted: *wanted });
    }
    if found.len() == wanted.len() {
        return Ok(());
    }
    Err(TargetError::Size { how, found: found.len() as u64, wanted: wanted.len() as u64 })
}
