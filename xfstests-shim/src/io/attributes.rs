//! Attributes: modes, owners, times, extended attributes.

use std::fmt::Write as _;

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, Statx, StatxFlags, Timespec, Timestamps, Uid, XattrFlags, fchmod,
    fchown, futimens, lgetxattr, llistxattr, lremovexattr, lsetxattr, statx,
};

use super::words::Words;
use super::{Failure, Machine, Outcome};

const FIELDS: [&str; 15] = [
    "size", "blocks", "links", "mode", "type", "uid", "gid", "atime", "mtime", "ctime", "btime",
    "ino", "major", "minor", "blksize",
];

pub(super) fn stat(machine: &mut Machine, words: &mut Words) -> Outcome {
    let no_follow = if words.flag("-l") { AtFlags::SYMLINK_NOFOLLOW } else { AtFlags::empty() };
    let mut first = words.word()?;
    let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let found = if FIELDS.contains(&first.as_str()) {
        statx(&machine.handle()?.file, "", AtFlags::EMPTY_PATH, mask)?
    } else {
        let found = statx(CWD, first.as_str(), no_follow, mask)?;
        first = words.word()?;
        found
    };
    let mut text = String::new();
    loop {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{first} {}", field(&found, &first)?);
        match words.next() {
            Some(next) => first = next,
            None => return Ok(text),
        }
    }
}

fn field(found: &Statx, name: &str) -> Result<String, Failure> {
    let time = |time: &rustix::fs::StatxTimestamp| format!("{}.{:09}", time.tv_sec, time.tv_nsec);
    Ok(match name {
        "size" => found.stx_size.to_string(),
        "blocks" => found.stx_blocks.to_string(),
        "links" => found.stx_nlink.to_string(),
        "mode" => format!("{:04o}", found.stx_mode & 0o7777),
        "type" => format!("{:06o}", found.stx_mode & 0o170_000),
        "uid" => found.stx_uid.to_string(),
        "gid" => found.stx_gid.to_string(),
        "atime" => time(&found.stx_atime),
        "mtime" => time(&found.stx_mtime),
        "ctime" => time(&found.stx_ctime),
        "btime" => time(&found.stx_btime),
        "ino" => found.stx_ino.to_string(),
        "major" => found.stx_rdev_major.to_string(),
        "minor" => found.stx_rdev_minor.to_string(),
        "blksize" => found.stx_blksize.to_string(),
        _ => return Err(Failure::Usage(format!("{name} is no field"))),
    })
}

pub(super) fn chmod(machine: &mut Machine, words: &mut Words) -> Outcome {
    let mode = Mode::from_raw_mode(words.mode()?);
    fchmod(&machine.handle()?.file, mode)?;
    Ok(String::new())
}

pub(super) fn chown(machine: &mut Machine, words: &mut Words) -> Outcome {
    let mut id = || {
        let number = words.number()?;
        u32::try_from(number).map_err(|_| Failure::Usage(format!("{number} is no id")))
    };
    let (user, group) = (Uid::from_raw(id()?), Gid::from_raw(id()?));
    fchown(&machine.handle()?.file, Some(user), Some(group))?;
    Ok(String::new())
}

pub(super) fn utimes(machine: &mut Machine, words: &mut Words) -> Outcome {
    let times =
        Timestamps { last_access: time(&words.word()?)?, last_modification: time(&words.word()?)? };
    futimens(&machine.handle()?.file, &times)?;
    Ok(String::new())
}

fn time(word: &str) -> Result<Timespec, Failure> {
    let special = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    match word {
        "now" => return Ok(special(rustix::fs::UTIME_NOW)),
        "omit" => return Ok(special(rustix::fs::UTIME_OMIT)),
        _ => {}
    }
    let wrong = || Failure::Usage(format!("{word} is no time"));
    let (seconds, nanoseconds) = word.split_once('.').unwrap_or((word, "0"));
    Ok(Timespec {
        tv_sec: seconds.parse().map_err(|_| wrong())?,
        tv_nsec: nanoseconds.parse().map_err(|_| wrong())?,
    })
}

pub(super) fn set_xattr(_: &mut Machine, words: &mut Words) -> Outcome {
    let mut flags = XattrFlags::empty();
    if words.flag("-c") {
        flags |= XattrFlags::CREATE;
    }
    if words.flag("-r") {
        flags |= XattrFlags::REPLACE;
    }
    // The value is so long then, and all of its first byte.
    let length = if words.flag("-n") { Some(words.number()?) } else { None };
    let (path, name, value) = (words.word()?, words.word()?, words.word()?);
    let mut value = value.into_bytes();
    if let Some(length) = length {
        let byte = value.first().copied().unwrap_or(b'x');
        value = vec![byte; usize::try_from(length).unwrap_or(0)];
    }
    lsetxattr(path, name, &value, flags)?;
    Ok(String::new())
}

pub(super) fn get_xattr(_: &mut Machine, words: &mut Words) -> Outcome {
    let (path, name) = (words.word()?, words.word()?);
    let mut value = vec![0; 1 << 16];
    let length = lgetxattr(path, name, &mut value)?;
    let value = &value[..length];
    let is_long = length > 80 && value.iter().all(|byte| *byte == value[0]);
    Ok(match is_long {
        true => format!("{length} times {:02x}\n", value[0]),
        false => format!("\"{}\"\n", value.escape_ascii()),
    })
}

pub(super) fn list_xattr(_: &mut Machine, words: &mut Words) -> Outcome {
    let path = words.word()?;
    let mut list = vec![0; 1 << 16];
    let length = llistxattr(path, &mut list)?;
    let mut names: Vec<_> = list[..length].split(|byte| *byte == 0).collect();
    names.sort_unstable();
    let mut text = String::new();
    // Those of a security module are not the test's.
    for name in names.iter().filter(|name| !name.is_empty() && **name != b"security.selinux") {
        let _ = writeln!(text, "{}", name.escape_ascii());
    }
    Ok(text)
}

pub(super) fn remove_xattr(_: &mut Machine, words: &mut Words) -> Outcome {
    let (path, name) = (words.word()?, words.word()?);
    lremovexattr(path, name)?;
    Ok(String::new())
}
