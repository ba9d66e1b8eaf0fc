//! Names: making, linking, renaming, removing.

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, linkat, makedev, mknodat, renameat_with,
};

use super::words::Words;
use super::{Failure, Machine, Outcome};

pub(super) fn link(machine: &mut Machine, words: &mut Words) -> Outcome {
    use std::os::fd::AsRawFd;
    let new = words.word()?;
    // As those do who may not use AT_EMPTY_PATH.
    let own = format!("/proc/self/fd/{}", machine.handle()?.file.as_raw_fd());
    linkat(CWD, own, CWD, new, AtFlags::SYMLINK_FOLLOW)?;
    Ok(String::new())
}

pub(super) fn link_path(_: &mut Machine, words: &mut Words) -> Outcome {
    let (old, new) = (words.word()?, words.word()?);
    linkat(CWD, old, CWD, new, AtFlags::empty())?;
    Ok(String::new())
}

pub(super) fn symlink(_: &mut Machine, words: &mut Words) -> Outcome {
    let (target, new) = (words.word()?, words.word()?);
    rustix::fs::symlink(target, new)?;
    Ok(String::new())
}

pub(super) fn rename(_: &mut Machine, words: &mut Words) -> Outcome {
    let mut flags = RenameFlags::empty();
    for letter in words.letters().chars() {
        flags |= match letter {
            'n' => RenameFlags::NOREPLACE,
            'x' => RenameFlags::EXCHANGE,
            'w' => RenameFlags::WHITEOUT,
            _ => return Err(Failure::Usage(format!("{letter} is no flag"))),
        };
    }
    let (old, new) = (words.word()?, words.word()?);
    renameat_with(CWD, old, CWD, new, flags)?;
    Ok(String::new())
}

pub(super) fn unlink(_: &mut Machine, words: &mut Words) -> Outcome {
    rustix::fs::unlink(words.word()?)?;
    Ok(String::new())
}

pub(super) fn mkdir(_: &mut Machine, words: &mut Words) -> Outcome {
    let mode = if words.flag("-m") { words.mode()? } else { 0o777 };
    rustix::fs::mkdir(words.word()?, Mode::from_raw_mode(mode))?;
    Ok(String::new())
}

pub(super) fn rmdir(_: &mut Machine, words: &mut Words) -> Outcome {
    rustix::fs::rmdir(words.word()?)?;
    Ok(String::new())
}

pub(super) fn mknod(_: &mut Machine, words: &mut Words) -> Outcome {
    let kind = match words.word()?.as_str() {
        "fifo" => FileType::Fifo,
        "socket" => FileType::Socket,
        "char" => FileType::CharacterDevice,
        "block" => FileType::BlockDevice,
        "file" => FileType::RegularFile,
        other => return Err(Failure::Usage(format!("{other} is no kind of node"))),
    };
    let path = words.word()?;
    let mut part = || {
        let number = if words.left() > 0 { words.number()? } else { 0 };
        u32::try_from(number).map_err(|_| Failure::Usage(format!("{number} is too large")))
    };
    let device = makedev(part()?, part()?);
    mknodat(CWD, path, kind, Mode::from_raw_mode(0o644), device)?;
    Ok(String::new())
}

pub(super) fn make(_: &mut Machine, words: &mut Words) -> Outcome {
    let (count, prefix) = (words.number()?, words.word()?);
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    for number in 0..count {
        rustix::fs::open(format!("{prefix}{number}"), flags, Mode::from_raw_mode(0o644))?;
    }
    Ok(String::new())
}

pub(super) fn drop_all(_: &mut Machine, words: &mut Words) -> Outcome {
    let (count, prefix) = (words.number()?, words.word()?);
    for number in 0..count {
        rustix::fs::unlink(format!("{prefix}{number}"))?;
    }
    Ok(String::new())
}
