//! Bytes: reading, writing, mapping, copying, cutting.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;

use rustix::fs::{copy_file_range, ftruncate, ioctl_ficlone};

use super::buffer::Buffer;
use super::words::Words;
use super::{Failure, Machine, Outcome, SharedMap};

/// Bytes that are written or read at a time.
const CHUNK: usize = 1 << 20;

/// What is written.
enum Pattern {
    /// The same byte everywhere.
    Byte(u8),
    /// A byte that depends on the seed and on its place in the file.
    Random(u64),
}

impl Pattern {
    fn of(words: &mut Words) -> Result<Self, Failure> {
        if words.flag("-r") {
            return Ok(Self::Random(words.number()?));
        }
        if words.flag("-b") {
            let word = words.word()?;
            let byte = u8::from_str_radix(&word, 16);
            return byte.map(Self::Byte).map_err(|_| Failure::Usage(format!("{word} is no byte")));
        }
        Ok(Self::Byte(0xcd))
    }

    fn byte(&self, offset: u64) -> u8 {
        match self {
            Self::Byte(byte) => *byte,
            Self::Random(seed) => {
                let mixed =
                    ((offset / 8) ^ seed.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed.to_le_bytes()[usize::try_from(offset % 8).unwrap_or(0)]
            }
        }
    }
}

/// The length of the next chunk.
fn chunk(length: u64) -> usize {
    usize::try_from(length).unwrap_or(CHUNK).min(CHUNK)
}

pub(super) fn pwrite(machine: &mut Machine, words: &mut Words) -> Outcome {
    let pattern = Pattern::of(words)?;
    let (mut offset, mut length) = (words.number()?, words.number()?);
    let file = &machine.handle()?.file;
    while length > 0 {
        let mut buffer = Buffer::new(chunk(length));
        for (at, byte) in (offset..).zip(buffer.slice()) {
            *byte = pattern.byte(at);
        }
        let written = u64::try_from(file.write_at(buffer.slice(), offset)?).unwrap_or(0);
        if written == 0 {
            return Err(Failure::Wrong(format!("nothing was written at {offset}")));
        }
        offset += written;
        length -= written;
    }
    Ok(String::new())
}

pub(super) fn write(machine: &mut Machine, words: &mut Words) -> Outcome {
    let pattern = Pattern::of(words)?;
    let length = words.number()?;
    let mut buffer = Buffer::new(usize::try_from(length).unwrap_or(0));
    for (at, byte) in (0..).zip(buffer.slice()) {
        *byte = pattern.byte(at);
    }
    let written = machine.handle()?.file.write(buffer.slice())?;
    if u64::try_from(written) == Ok(length) {
        return Ok(String::new());
    }
    Err(Failure::Wrong(format!("only {written} bytes were written")))
}

/// Reads a part of a file; less if it ends.
fn read_part(machine: &mut Machine, offset: u64, length: u64) -> Result<Vec<u8>, Failure> {
    let file = &machine.handle()?.file;
    let mut content = Vec::new();
    let mut left = length;
    while left > 0 {
        let mut buffer = Buffer::new(chunk(left));
        let place = offset + u64::try_from(content.len()).unwrap_or(0);
        let read = file.read_at(buffer.slice(), place)?;
        if read == 0 {
            break;
        }
        content.extend_from_slice(&buffer.slice()[..read]);
        left -= u64::try_from(read).unwrap_or(left);
    }
    Ok(content)
}

pub(super) fn pread(machine: &mut Machine, words: &mut Words) -> Outcome {
    let (offset, length) = (words.number()?, words.number()?);
    let content = read_part(machine, offset, length)?;
    Ok(runs(offset, length, &content))
}

pub(super) fn read(machine: &mut Machine, words: &mut Words) -> Outcome {
    let length = words.number()?;
    let mut buffer = Buffer::new(usize::try_from(length).unwrap_or(0));
    let read = machine.handle()?.file.read(buffer.slice())?;
    Ok(runs(0, length, &buffer.slice()[..read]))
}

/// Runs of equal bytes, and where the file ended if that was too early.
fn runs(offset: u64, wanted: u64, content: &[u8]) -> String {
    let mut text = String::new();
    let mut place = offset;
    for run in content.chunk_by(|left, right| left == right) {
        let end = place + u64::try_from(run.len()).unwrap_or(0);
        // Writing to a String does not fail.
        let _ = writeln!(text, "{place}..{end} {:02x}", run[0]);
        place = end;
    }
    if place < offset + wanted {
        let _ = writeln!(text, "end at {place}");
    }
    text
}

pub(super) fn verify(machine: &mut Machine, words: &mut Words) -> Outcome {
    let pattern = Pattern::of(words)?;
    let (offset, length) = (words.number()?, words.number()?);
    let content = read_part(machine, offset, length)?;
    let places = (offset..).zip(&content);
    if let Some((at, byte)) = places.into_iter().find(|(at, byte)| pattern.byte(*at) != **byte) {
        let wanted = pattern.byte(at);
        return Err(Failure::Wrong(format!("at {at}: {byte:02x} instead of {wanted:02x}")));
    }
    match u64::try_from(content.len()) {
        Ok(read) if read == length => Ok(String::new()),
        _ => Err(Failure::Wrong(format!("it ends after {} bytes", content.len()))),
    }
}

pub(super) fn hash(machine: &mut Machine, _: &mut Words) -> Outcome {
    let length = machine.handle()?.file.metadata()?.len();
    let content = read_part(machine, 0, length)?;
    // FNV-1a, over the size and all bytes.
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = length.to_le_bytes().iter().chain(&content).fold(0xcbf2_9ce4_8422_2325, step);
    Ok(format!("{hash:016x}\n"))
}

pub(super) fn truncate(machine: &mut Machine, words: &mut Words) -> Outcome {
    let length = words.number()?;
    ftruncate(&machine.handle()?.file, length)?;
    Ok(String::new())
}

pub(super) fn copy_range(machine: &mut Machine, words: &mut Words) -> Outcome {
    let (from, mut offset) = (words.number()?, words.number()?);
    let (length, mut to_offset) = (words.number()?, words.number()?);
    let from = machine.handle_of(from)?.file.try_clone()?;
    let to = &machine.handle()?.file;
    let mut left = length;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(1 << 30);
        let copied = copy_file_range(&from, Some(&mut offset), to, Some(&mut to_offset), part)?;
        if copied == 0 {
            return Ok(format!("copied {}\n", length - left));
        }
        left -= u64::try_from(copied).unwrap_or(left);
    }
    Ok(String::new())
}

pub(super) fn reflink(machine: &mut Machine, words: &mut Words) -> Outcome {
    let from = words.number()?;
    let from = machine.handle_of(from)?.file.try_clone()?;
    ioctl_ficlone(&machine.handle()?.file, &from)?;
    Ok(String::new())
}

pub(super) fn map(machine: &mut Machine, words: &mut Words) -> Outcome {
    let read_only = words.flag("-r");
    let (offset, length) = (words.number()?, words.number()?);
    let handle = machine.handle()?;
    let length = usize::try_from(length).unwrap_or(0);
    handle.map = Some(SharedMap::new(&handle.file, offset, length, !read_only)?);
    Ok(String::new())
}

fn mapping(machine: &mut Machine) -> Result<&SharedMap, Failure> {
    let map = machine.handle()?.map.as_ref();
    map.ok_or_else(|| Failure::Usage("nothing is mapped".to_owned()))
}

fn outside() -> Failure {
    Failure::Usage("that is outside of the mapping".to_owned())
}

pub(super) fn map_write(machine: &mut Machine, words: &mut Words) -> Outcome {
    let pattern = Pattern::of(words)?;
    let (offset, length) = (words.number()?, words.number()?);
    let bytes: Vec<u8> = (offset..offset + length).map(|at| pattern.byte(at)).collect();
    let is_done = mapping(machine)?.write(usize::try_from(offset).unwrap_or(0), &bytes);
    if is_done { Ok(String::new()) } else { Err(outside()) }
}

pub(super) fn map_read(machine: &mut Machine, words: &mut Words) -> Outcome {
    let (offset, length) = (words.number()?, words.number()?);
    let (from, bytes) =
        (usize::try_from(offset).unwrap_or(0), usize::try_from(length).unwrap_or(0));
    let content = mapping(machine)?.read(from, bytes).ok_or_else(outside)?;
    Ok(runs(offset, length, &content))
}

pub(super) fn map_sync(machine: &mut Machine, _: &mut Words) -> Outcome {
    mapping(machine)?.sync()?;
    Ok(String::new())
}

pub(super) fn unmap(machine: &mut Machine, _: &mut Words) -> Outcome {
    machine.handle()?.map = None;
    Ok(String::new())
}
