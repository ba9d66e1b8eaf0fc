//! Opening and closing.

use std::fs::File;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, open as open_file};

use super::words::Words;
use super::{Failure, Machine, Outcome, SharedMap};

/// An open file.
pub(super) struct Handle {
    pub(super) file: File,
    /// The mapping of it, if there is one, and where it begins.
    pub(super) map: Option<SharedMap>,
}

pub(super) fn open(machine: &mut Machine, words: &mut Words) -> Outcome {
    let flags = if words.flag("-f") { flags(&words.word()?)? } else { OFlags::RDWR };
    let mode = if words.flag("-m") { words.mode()? } else { 0o644 };
    let path = PathBuf::from(words.word()?);
    let fd = open_file(&path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(mode))?;
    machine.handles.push(Some(Handle { file: File::from(fd), map: None }));
    machine.present = machine.handles.len() - 1;
    Ok(String::new())
}

pub(super) fn choose(machine: &mut Machine, words: &mut Words) -> Outcome {
    let number = words.number()?;
    machine.handle_of(number)?;
    machine.present = usize::try_from(number).unwrap_or(usize::MAX);
    Ok(String::new())
}

pub(super) fn close(machine: &mut Machine, _: &mut Words) -> Outcome {
    machine.handle()?;
    if let Some(handle) = machine.handles.get_mut(machine.present).and_then(Option::take) {
        drop(handle.map);
        // A drop would swallow the error of a close, which is where FUSE flushes.
        nix::unistd::close(handle.file)
            .map_err(|errno| rustix::io::Errno::from_raw_os_error(errno as i32))?;
    }
    Ok(String::new())
}

pub(super) fn set_flags(machine: &mut Machine, words: &mut Words) -> Outcome {
    let wanted = flags(&words.word()?)?;
    let handle = machine.handle()?;
    let settable = OFlags::APPEND | OFlags::DIRECT;
    let present = rustix::fs::fcntl_getfl(&handle.file)?;
    rustix::fs::fcntl_setfl(&handle.file, (present - settable) | (wanted & settable))?;
    Ok(String::new())
}

/// The flags that letters stand for.
fn flags(letters: &str) -> Result<OFlags, Failure> {
    let access = match (letters.contains('r'), letters.contains('w')) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    };
    letters.chars().try_fold(access, |flags, letter| {
        Ok(flags
            | match letter {
                'r' | 'w' => OFlags::empty(),
                'c' => OFlags::CREATE,
                'x' => OFlags::EXCL,
                't' => OFlags::TRUNC,
                'a' => OFlags::APPEND,
                'd' => OFlags::DIRECT,
                's' => OFlags::SYNC,
                'y' => OFlags::DSYNC,
                'n' => OFlags::NOFOLLOW,
                'p' => OFlags::PATH,
                'D' => OFlags::DIRECTORY,
                'T' => OFlags::TMPFILE,
                'A' => OFlags::NOATIME,
                _ => return Err(Failure::Usage(format!("{letter} is no flag"))),
            })
    })
}
