//! Who makes a request, where the request itself does not say: on a mount with mapped owners only
//! requests that make files name a user, and none says which groups or capabilities a caller has.
//!
//! All of it is read from `/proc` when it is needed, which is seldom. A caller that cannot be looked
//! at (it is in another container, or gone) has no privileges.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use super::protocol::Header;

/// Capabilities, by their numbers.
const CAP_FSETID: u32 = 4;
const CAP_SYS_ADMIN: u32 = 21;
/// What a request has in place of a user that it does not name.
const NOBODY: u32 = u32::MAX;

/// A process that waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pid: u32,
    uid: u32,
    gid: u32,
}

impl Caller {
    /// The one who made a request.
    pub fn of(header: &Header) -> Self {
        Self { pid: header.pid, uid: header.uid, gid: header.gid }
    }

    /// The user, as far as it can be known.
    pub fn uid(&self) -> Option<u32> {
        match self.uid {
            // The last of the four is the one that counts for files.
            NOBODY => self.status()?.numbers("Uid:").last().copied(),
            uid => Some(uid),
        }
    }

    /// Whether it belongs to a group.
    pub fn is_in_group(&self, gid: u32) -> bool {
        if self.gid == gid {
            return true;
        }
        self.status().is_some_and(|status| {
            status.numbers("Groups:").contains(&gid) || status.numbers("Gid:").last() == Some(&gid)
        })
    }

    /// Whether it may keep setuid and setgid on files that it changes.
    pub fn may_keep_privileges(&self) -> bool {
        self.has_capability(CAP_FSETID)
    }

    /// Whether it may administer filesystems.
    pub fn is_administrator(&self) -> bool {
        self.has_capability(CAP_SYS_ADMIN)
    }

    fn has_capability(&self, number: u32) -> bool {
        self.status().is_some_and(|status| status.capabilities() >> number & 1 == 1)
    }

    /// Reads bytes of the caller's memory, as the argument of an ioctl.
    pub fn memory<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let memory = File::open(format!("/proc/{}/mem", self.pid)).ok()?;
        let mut bytes = [0; N];
        memory.read_exact_at(&mut bytes, address).ok()?;
        Some(bytes)
    }

    fn status(&self) -> Option<Status> {
        fs::read_to_string(format!("/proc/{}/status", self.pid)).ok().map(Status)
    }
}

/// The text of `/proc/PID/status`.
struct Status(String);

impl Status {
    fn field(&self, name: &str) -> &str {
        self.0.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
    }

    fn numbers(&self, name: &str) -> Vec<u32> {
        self.field(name).split_whitespace().filter_map(|number| number.parse().ok()).collect()
    }

    /// The capabilities in force.
    fn capabilities(&self) -> u64 {
        u64::from_str_radix(self.field("CapEff:"), 16).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        let text = "Name:\tcat\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t20 30 \n\
                    CapEff:\t0000000000200010\n";
        Status(text.to_owned())
    }

    #[test]
    fn what_proc_says_is_understood() {
        assert_eq!(status().numbers("Uid:"), [1, 2, 3, 4]);
        assert_eq!(status().numbers("Groups:"), [20, 30]);
        assert!(status().numbers("Nothing:").is_empty());
        assert_eq!(status().capabilities(), 1 << CAP_FSETID | 1 << CAP_SYS_ADMIN);
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let header = Header {
            opcode: 0,
            unique: 0,
            inode: 1,
            uid: NOBODY,
            gid: NOBODY,
            pid: std::process::id(),
        };
        let caller = Caller::of(&header);
        assert_eq!(caller.uid(), Some(rustix::process::geteuid().as_raw()));
        assert!(caller.is_in_group(rustix::process::getegid().as_raw()));
        let value = 0x1234_5678u32;
        let address = std::ptr::from_ref(&value).addr() as u64;
        assert_eq!(caller.memory(address), Some(value.to_ne_bytes()));
    }

    #[test]
    fn who_cannot_be_looked_at_has_no_privileges() {
        let header = Header { opcode: 0, unique: 0, inode: 1, uid: 7, gid: 8, pid: 0 };
        let caller = Caller::of(&header);
        assert!(!caller.may_keep_privileges() && !caller.is_administrator());
        assert_eq!((caller.uid(), caller.memory::<4>(0)), (Some(7), None));
        assert!(caller.is_in_group(8) && !caller.is_in_group(9));
    }
}
