//! Space: preallocation, holes, how much there is.

use std::fmt::Write as _;

use rustix::fs::{FallocateFlags, SeekFrom, fallocate, fstatvfs, seek as seek_file};
use rustix::io::Errno;

use super::words::Words;
use super::{Failure, Machine, Outcome};

pub(super) fn allocate(machine: &mut Machine, words: &mut Words) -> Outcome {
    let letters = words.letters();
    let (offset, length) = (words.number()?, words.number()?);
    let flags = letters.chars().try_fold(FallocateFlags::empty(), |flags, letter| {
        Ok(flags
            | match letter {
                'k' => FallocateFlags::KEEP_SIZE,
                // A hole is punched without changing the size, always.
                'p' => FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
                'z' => FallocateFlags::ZERO_RANGE,
                'c' => FallocateFlags::COLLAPSE_RANGE,
                'i' => FallocateFlags::INSERT_RANGE,
                'u' => FallocateFlags::UNSHARE_RANGE,
                _ => return Err(Failure::Usage(format!("{letter} is no flag"))),
            })
    })?;
    fallocate(&machine.handle()?.file, flags, offset, length)?;
    Ok(String::new())
}

pub(super) fn seek(machine: &mut Machine, words: &mut Words) -> Outcome {
    let what = words.word()?;
    let offset = words.number()?;
    let from = match what.as_str() {
        "data" => SeekFrom::Data(offset),
        "hole" => SeekFrom::Hole(offset),
        "set" => SeekFrom::Start(offset),
        _ => return Err(Failure::Usage(format!("{what} is neither data nor hole"))),
    };
    let found = seek_file(&machine.handle()?.file, from)?;
    Ok(format!("{found}\n"))
}

pub(super) fn extents(machine: &mut Machine, _: &mut Words) -> Outcome {
    let file = &machine.handle()?.file;
    let size = file.metadata()?.len();
    let mut text = String::new();
    let mut place = 0;
    while place < size {
        let data = match seek_file(file, SeekFrom::Data(place)) {
            Err(Errno::NXIO) => size,
            result => result?,
        };
        // Writing to a String does not fail.
        if data > place {
            let _ = writeln!(text, "{place}..{data} hole");
        }
        if data >= size {
            break;
        }
        place = seek_file(file, SeekFrom::Hole(data))?;
        let _ = writeln!(text, "{data}..{place} data");
    }
    Ok(text)
}

pub(super) fn statfs(machine: &mut Machine, words: &mut Words) -> Outcome {
    let found = fstatvfs(&machine.handle()?.file)?;
    let mut text = String::new();
    while let Some(field) = words.next() {
        let value = match field.as_str() {
            "free" => found.f_bavail * found.f_frsize,
            "total" => found.f_blocks * found.f_frsize,
            "files" => found.f_files,
            "ffree" => found.f_ffree,
            "namemax" => found.f_namemax,
            "bsize" => found.f_bsize,
            _ => return Err(Failure::Usage(format!("{field} is no field"))),
        };
        let _ = writeln!(text, "{field} {value}");
    }
    Ok(text)
}
