//! Directories, as getdents64(2) shows them, with the places that telldir(3) is made of.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, RawDir, SeekFrom, open, seek};

use super::words::Words;
use super::{Failure, Machine, Outcome};

/// Bytes of the buffer, if nothing else is asked for: small, so that there are many places.
const BUFFER_BYTES: usize = 1024;

/// A directory in the middle of being read.
pub(super) struct Listing {
    directory: OwnedFd,
    names: Vec<String>,
}

/// A name and the place behind it.
type Entry = (String, u64);

fn open_directory(path: &str) -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}

/// Reads up to `most` buffers of a directory from where it stands.
fn entries(directory: &OwnedFd, bytes: usize, most: usize) -> Result<Vec<Entry>, Failure> {
    let mut buffer = vec![MaybeUninit::uninit(); bytes];
    let mut found = Vec::new();
    let mut buffers = 0;
    let mut listing = RawDir::new(directory, &mut buffer);
    loop {
        if listing.is_buffer_empty() {
            buffers += 1;
            if buffers > most {
                return Ok(found);
            }
        }
        let Some(entry) = listing.next() else { return Ok(found) };
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        found.push((name, entry.next_entry_cookie()));
    }
}

fn all(path: &str, bytes: usize) -> Result<Vec<Entry>, Failure> {
    entries(&open_directory(path)?, bytes, usize::MAX)
}

pub(super) fn count(_: &mut Machine, words: &mut Words) -> Outcome {
    let wanted = if words.flag("-n") { Some(words.number()?) } else { None };
    let found = all(&words.word()?, BUFFER_BYTES)?;
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, _) in &found {
        *seen.entry(name).or_default() += 1;
    }
    let twice: Vec<_> =
        seen.iter().filter(|(_, times)| **times > 1).map(|(name, _)| name).collect();
    if let Some(name) = twice.first() {
        return Err(Failure::Wrong(format!(
            "{} names came more than once, as {name}",
            twice.len()
        )));
    }
    let own = [".", ".."].iter().filter(|name| seen.contains_key(**name)).count();
    let count = found.len() - own;
    match wanted {
        Some(wanted) if u64::try_from(count) != Ok(wanted) => {
            Err(Failure::Wrong(format!("{count} names instead of {wanted}")))
        }
        Some(_) => Ok(String::new()),
        None => Ok(format!("{count}\n")),
    }
}

pub(super) fn names(_: &mut Machine, words: &mut Words) -> Outcome {
    let bytes = if words.flag("-s") { words.number()? } else { 1 << 15 };
    let found = all(&words.word()?, usize::try_from(bytes).unwrap_or(BUFFER_BYTES))?;
    let mut names: Vec<String> = found.into_iter().map(|(name, _)| name).collect();
    names.sort();
    let mut text = String::new();
    for name in names.iter().filter(|name| *name != "." && *name != "..") {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{name}");
    }
    Ok(text)
}

pub(super) fn cookies(_: &mut Machine, words: &mut Words) -> Outcome {
    let path = words.word()?;
    let whole = all(&path, BUFFER_BYTES)?;
    let directory = open_directory(&path)?;
    for (at, (name, place)) in whole.iter().enumerate() {
        seek(&directory, SeekFrom::Start(*place))?;
        let rest = entries(&directory, BUFFER_BYTES, usize::MAX)?;
        if rest != whole[at + 1..] {
            return Err(Failure::Wrong(format!(
                "behind {name} (entry {at} of {}) are {} entries",
                whole.len(),
                rest.len()
            )));
        }
    }
    Ok(String::new())
}

pub(super) fn begin(machine: &mut Machine, words: &mut Words) -> Outcome {
    let directory = open_directory(&words.word()?)?;
    let first = entries(&directory, BUFFER_BYTES, 1)?;
    let names = first.into_iter().map(|(name, _)| name).collect();
    machine.listing = Some(Listing { directory, names });
    Ok(String::new())
}

pub(super) fn rest(machine: &mut Machine, words: &mut Words) -> Outcome {
    let prefix = words.word()?;
    let Some(mut listing) = machine.listing.take() else {
        return Err(Failure::Usage("no directory is being read".to_owned()));
    };
    let rest = entries(&listing.directory, BUFFER_BYTES, usize::MAX)?;
    listing.names.extend(rest.into_iter().map(|(name, _)| name));
    let mut ours: Vec<_> = listing.names.iter().filter(|name| name.starts_with(&prefix)).collect();
    let count = ours.len();
    ours.sort();
    ours.dedup();
    if ours.len() < count {
        return Err(Failure::Wrong(format!("{} names came twice", count - ours.len())));
    }
    Ok(format!("{count}\n"))
}
