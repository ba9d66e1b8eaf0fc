//! Primitives that tests are made of: a small machine that does things to files and prints what
//! comes of it, in words that are the same on every run.
//!
//! A machine has open handles, one of which is the present one. A command is a line of words as a
//! shell splits them, for example `pwrite -b 61 0 4k`; numbers are decimal or 0x.., and may end in
//! k, m, g, t, p or e. A command that fails prints `NAME: ERROR`, as `pwrite: ENOSPC`, and the
//! next one is done all the same.
//!
//! [`COMMANDS`] lists them all; `help` prints that list.

mod acl;
mod attributes;
mod buffer;
mod control;
mod data;
mod errno;
mod handles;
mod kernel;
mod locks;
mod names;
mod readdir;
mod space;
mod words;

use std::path::Path;

use rustix::io::Errno;

pub use buffer::{ALIGNMENT, Buffer};
pub use errno::name as errno_name;
use handles::Handle;
pub use kernel::SharedMap;
use words::Words;

/// What a command answers: text of whole lines, and whether it did what it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Lines, each with its end; often none.
    pub text: String,
    /// Whether it succeeded.
    pub is_good: bool,
}

/// Why a command did not do what it was told.
enum Failure {
    /// The system refused.
    System(Errno),
    /// The command makes no sense.
    Usage(String),
    /// It was done, and something is not as it should be.
    Wrong(String),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::System(Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}

type Outcome = Result<String, Failure>;

/// A command: its name, what it takes, what it does.
struct Command {
    name: &'static str,
    usage: &'static str,
    run: fn(&mut Machine, &mut Words) -> Outcome,
}

const fn command(
    name: &'static str,
    usage: &'static str,
    run: fn(&mut Machine, &mut Words) -> Outcome,
) -> Command {
    Command { name, usage, run }
}

const COMMANDS: &[Command] = &[
    command("open", "[-f FLAGS] [-m MODE] FILE: opens it; it is the present handle", handles::open),
    command("use", "N: makes the Nth open the present handle", handles::choose),
    command("close", "closes the present handle", handles::close),
    command("flags", "FLAGS: sets append, direct by F_SETFL", handles::set_flags),
    command("pwrite", "[-b BYTE|-r SEED] OFFSET LENGTH", data::pwrite),
    command("write", "[-b BYTE|-r SEED] LENGTH: at the file's own offset", data::write),
    command("pread", "OFFSET LENGTH: prints runs of equal bytes", data::pread),
    command("read", "LENGTH: from the file's own offset", data::read),
    command("verify", "-r SEED OFFSET LENGTH: compares with what pwrite -r wrote", data::verify),
    command("hash", "prints a number that stands for all content and the size", data::hash),
    command("truncate", "LENGTH: ftruncate", data::truncate),
    command("copy_range", "FROM_HANDLE OFFSET LENGTH TO_OFFSET", data::copy_range),
    command("reflink", "FROM_HANDLE: FICLONE", data::reflink),
    command("mmap", "[-r] OFFSET LENGTH: a shared mapping of the present handle", data::map),
    command("mwrite", "[-b BYTE] OFFSET LENGTH: within the mapping", data::map_write),
    command("mread", "OFFSET LENGTH: within the mapping", data::map_read),
    command("msync", "MS_SYNC of the mapping", data::map_sync),
    command("munmap", "takes the mapping away", data::unmap),
    command("falloc", "[-kpziuc] OFFSET LENGTH: keep size, punch, zero, ...", space::allocate),
    command("seek", "data|hole OFFSET: prints the offset found", space::seek),
    command("extents", "prints data and holes, by SEEK_DATA and SEEK_HOLE", space::extents),
    command("statfs", "[FIELD...]: of the present handle", space::statfs),
    command("fsync", "", control::fsync),
    command("fdatasync", "", control::fdatasync),
    command("syncfs", "", control::syncfs),
    command("dontneed", "drops cached pages: POSIX_FADV_DONTNEED", control::drop_cache),
    command(
        "shutdown",
        "[-f]: FS_IOC_SHUTDOWN, with -f after a flush of the log",
        control::shutdown,
    ),
    command("wait", "FILE: until it exists", control::wait),
    command("touch", "FILE: makes it", control::touch),
    command("sleep", "MILLISECONDS", control::sleep),
    command("echo", "WORD...", control::echo),
    command("stat", "[-l] [PATH] FIELD...: of a path or the present handle", attributes::stat),
    command("chmod", "MODE: fchmod", attributes::chmod),
    command("chown", "USER GROUP: fchown", attributes::chown),
    command("utimes", "ACCESS MODIFICATION: SECONDS.NANOSECONDS, now or omit", attributes::utimes),
    command("setxattr", "[-c|-r] [-n LENGTH] PATH NAME VALUE", attributes::set_xattr),
    command("getxattr", "PATH NAME", attributes::get_xattr),
    command("listxattr", "PATH", attributes::list_xattr),
    command("removexattr", "PATH NAME", attributes::remove_xattr),
    command("setacl", "[-d] PATH ENTRY...: as user::rwx user:7:r-x mask::r--", acl::set),
    command("getacl", "[-d] PATH", acl::get),
    command("link", "NEW: gives the present handle another name", names::link),
    command("linkat", "OLD NEW: linkat, without following OLD", names::link_path),
    command("symlink", "TARGET NEW", names::symlink),
    command("rename", "[-n|-x|-w] OLD NEW: noreplace, exchange, whiteout", names::rename),
    command("unlink", "PATH", names::unlink),
    command("mkdir", "[-m MODE] PATH", names::mkdir),
    command("rmdir", "PATH", names::rmdir),
    command("mknod", "fifo|socket|char|block|file PATH [MAJOR MINOR]", names::mknod),
    command("make", "COUNT PREFIX: makes so many empty files PREFIX0, PREFIX1, ...", names::make),
    command("drop", "COUNT PREFIX: unlinks them", names::drop_all),
    command(
        "readdir",
        "[-n COUNT] DIR: prints how many names, and whether any came twice",
        readdir::count,
    ),
    command("names", "[-s BYTES] DIR: prints all names, sorted", readdir::names),
    command("cookies", "DIR: reads it again from each place, and compares", readdir::cookies),
    command("begin", "DIR: opens it and reads one buffer of names", readdir::begin),
    command("rest", "PREFIX: reads the rest; prints how many names have the prefix", readdir::rest),
    command(
        "lock",
        "[-w] [-o] read|write|unlock OFFSET LENGTH: fcntl; wait; of the handle",
        locks::lock,
    ),
    command("getlock", "read|write OFFSET LENGTH: who would be in the way", locks::get),
    command("flock", "[-w] shared|exclusive|unlock", locks::flock),
];

/// See the module.
#[derive(Default)]
pub struct Machine {
    handles: Vec<Option<Handle>>,
    present: usize,
    listing: Option<readdir::Listing>,
}

/// The command that opens a file with flags.
#[must_use]
pub fn open_command(file: &Path, flags: &str) -> String {
    let path = file.to_string_lossy();
    let quoted = shlex::try_quote(&path).unwrap_or_default();
    format!("open -f {flags} {quoted}")
}

impl Machine {
    /// Does what a line says.
    pub fn obey(&mut self, line: &str) -> Reply {
        let bad = |text: String| Reply { text, is_good: false };
        let Some(mut words) = Words::of(line) else {
            return bad(format!("{line}: not words as a shell has them\n"));
        };
        let Some(name) = words.next() else { return Reply { text: String::new(), is_good: true } };
        if name == "help" {
            let line = |one: &Command| format!("{} {}\n", one.name, one.usage);
            return Reply { text: COMMANDS.iter().map(line).collect(), is_good: true };
        }
        let Some(command) = COMMANDS.iter().find(|one| one.name == name) else {
            return bad(format!("{name}: there is no such command; `help` lists them\n"));
        };
        let end = (command.run)(self, &mut words);
        match end.and_then(|text| words.end().map(|()| text)) {
            Ok(text) => Reply { text, is_good: true },
            Err(Failure::System(errno)) => bad(format!("{name}: {}\n", errno_name(errno))),
            Err(Failure::Wrong(what)) => bad(format!("{name}: {what}\n")),
            Err(Failure::Usage(why)) => {
                bad(format!("{name}: {why}; usage: {name} {}\n", command.usage))
            }
        }
    }

    /// The present handle.
    fn handle(&mut self) -> Result<&mut Handle, Failure> {
        let present = self.handles.get_mut(self.present).and_then(Option::as_mut);
        present.ok_or_else(|| Failure::Wrong("no file is open".to_owned()))
    }

    /// The handle of the Nth open.
    fn handle_of(&self, number: u64) -> Result<&Handle, Failure> {
        let handle = usize::try_from(number).ok().and_then(|at| self.handles.get(at)?.as_ref());
        handle.ok_or_else(|| Failure::Usage(format!("handle {number} is not open")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_does_what_it_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a b");
        let mut machine = Machine::default();
        let mut say = |line: &str| machine.obey(line).text;
        assert_eq!(say("pread 0 1"), "pread: no file is open\n");
        assert_eq!(say(&open_command(&file, "rwc")), "");
        assert_eq!(say("pwrite -b 61 4k 2"), "");
        assert_eq!(say("pread 0 8k"), "0..4096 00\n4096..4098 61\nend at 4098\n");
        assert_eq!(say("pwrite -r 7 0 1000"), "");
        assert_eq!(say("verify -r 7 0 1000"), "");
        assert!(say("verify -r 8 0 1000").starts_with("verify: at 0: "));
        assert_eq!(say("stat size"), "size 4098\n");
        assert_eq!(say("open -f r /nonexistent/file"), "open: ENOENT\n");
        assert_eq!(say("mmap 0 4k"), "");
        assert_eq!(say("mwrite -b 62 10 2"), "");
        assert_eq!(say("mread 9 4").lines().nth(1), Some("10..12 62"));
        assert!(say("frobnicate").contains("no such command"));
    }

    #[test]
    fn names_of_commands_are_there_once() {
        for (at, one) in COMMANDS.iter().enumerate() {
            assert!(COMMANDS[..at].iter().all(|other| other.name != one.name), "{}", one.name);
        }
    }
}
