//! The FUSE adapter: answers each request of the kernel with one call of the core.
//!
//! Purpose: everything that knows the protocol, and nothing else. The core is driven
//! without this module by the tests.
//!
//! | module | what |
//! |---|---|
//! | `adapter` | the table of operations, one line each |
//! | `entries` | names: lookup, create, link, unlink, rename, ... |
//! | `directory` | reading directories |
//! | `inode` | attributes, link targets, durability |
//! | `data` | reading, writing, allocating, copying |
//! | `seek` | finding data and holes |
//! | `xattr` | extended attributes |
//! | `ioctl` | ioctls: shutting down |
//! | `caller` | who asks: groups, capabilities, memory |
//! | `privileges` | taking setuid and setgid away |
//! | `control` | attributes that are not stored: sync, trim, settings, statistics |
//! | `protocol` | the protocol itself: requests, replies, the threads that serve |
//! | `reply` | results to replies, errors to the log and to an errno |
//! | `negotiate` | what is agreed with the kernel at the start |
//! | `session` | a mount's life: mount, serve, end |
//! | `connect` | mount(2), and `fusermount3` where that is not allowed |
//! | `fusermount` | that helper |
//! | `disconnect` | unmounting |
//! | `mount_table` | what is mounted where |
//! | `tuning` | what root can set for a mount that the protocol has no word for |
//!
//! Invariants:
//! - One request, one call, one reply, on the thread that read the request: a hand-off to another
//!   thread costs more than most operations. (`seek` says why it is the exception.)
//! - Nothing is kept here. The kernel keeps names, attributes, directories and pages for as long as
//!   it likes, because every change of the volume passes through this one kernel.
//! - An open file has no state of its own: OPEN, OPENDIR and FLUSH are declined once, after which
//!   the kernel does not send them (nor RELEASE) any more. A file without a name lives on until the
//!   kernel forgets it, which it does not while the file is open.
//!
//! Lock order: no lock is held here while the core is called.

mod adapter;
mod caller;
mod connect;
mod control;
mod data;
mod directory;
mod disconnect;
mod entries;
mod error;
mod fusermount;
mod inode;
mod ioctl;
mod mount_table;
mod negotiate;
mod privileges;
mod protocol;
mod reply;
mod seek;
mod session;
mod tuning;
mod xattr;

pub use connect::{bind, check_device, remount};
pub use control::{
    FSYNC_ATTRIBUTE, HISTOGRAM_ATTRIBUTE, MountReport, RESET, SETTINGS_ATTRIBUTE,
    SHUTDOWN_ATTRIBUTE, STATISTICS_ATTRIBUTE, SYNC_ATTRIBUTE, TRIM_ATTRIBUTE,
};
pub use disconnect::{UnmountMode, unmount};
pub use error::FuseError;
pub use mount_table::{MountEntry, mounts};
pub use session::{FuseOptions, FuseSession, KernelOptions};

/// The type of the filesystem: mounts show it as `fuse.braidfs`.
pub const FSTYPE: &str = "braidfs";
