//! Locks: of byte ranges, of a process or of a handle; and those of flock(2).

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::words::Words;
use super::{Failure, Machine, Outcome};

/// The lock that words describe: its type, offset and length.
fn wanted(words: &mut Words) -> Result<libc::flock, Failure> {
    let kind = match words.word()?.as_str() {
        "read" => libc::F_RDLCK,
        "write" => libc::F_WRLCK,
        "unlock" => libc::F_UNLCK,
        other => return Err(Failure::Usage(format!("{other} is no lock"))),
    };
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    Ok(libc::flock {
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: number(words.number()?),
        l_len: number(words.number()?),
        l_pid: 0,
    })
}

fn error(errno: nix::errno::Errno) -> Failure {
    Failure::System(Errno::from_raw_os_error(errno as i32))
}

pub(super) fn lock(machine: &mut Machine, words: &mut Words) -> Outcome {
    let waits = words.flag("-w");
    let is_of_handle = words.flag("-o");
    let lock = wanted(words)?;
    let how = match (is_of_handle, waits) {
        (false, false) => FcntlArg::F_SETLK(&lock),
        (false, true) => FcntlArg::F_SETLKW(&lock),
        (true, false) => FcntlArg::F_OFD_SETLK(&lock),
        (true, true) => FcntlArg::F_OFD_SETLKW(&lock),
    };
    fcntl(&machine.handle()?.file, how).map_err(error)?;
    Ok(String::new())
}

pub(super) fn get(machine: &mut Machine, words: &mut Words) -> Outcome {
    let mut lock = wanted(words)?;
    fcntl(&machine.handle()?.file, FcntlArg::F_GETLK(&mut lock)).map_err(error)?;
    let kind = match i32::from(lock.l_type) {
        libc::F_UNLCK => return Ok("free\n".to_owned()),
        libc::F_RDLCK => "read",
        _ => "write",
    };
    Ok(format!("{kind} {} {}\n", lock.l_start, lock.l_len))
}

pub(super) fn flock(machine: &mut Machine, words: &mut Words) -> Outcome {
    let waits = words.flag("-w");
    let how = match (words.word()?.as_str(), waits) {
        ("shared", false) => FlockOperation::NonBlockingLockShared,
        ("shared", true) => FlockOperation::LockShared,
        ("exclusive", false) => FlockOperation::NonBlockingLockExclusive,
        ("exclusive", true) => FlockOperation::LockExclusive,
        ("unlock", _) => FlockOperation::Unlock,
        (other, _) => return Err(Failure::Usage(format!("{other} is no lock"))),
    };
    rustix::fs::flock(&machine.handle()?.file, how)?;
    Ok(String::new())
}
