//! The FUSE protocol: requests of the kernel as values, replies as bytes.
//!
//! Purpose: all of the protocol that a filesystem on Linux needs, from the words of
//! `linux/fuse.h` (7.45, Linux 6.18), and nothing about what a request means. It stands here because
//! the crates for it leave out what POSIX needs of the protocol: that a SETATTR takes setuid away and
//! a SETXATTR setgid, TMPFILE, STATX (birth times), SYNCFS, the address in an ioctl, and a DESTROY
//! that is answered when everything is durable, not before.
//!
//! | module | what |
//! |---|---|
//! | `bytes` | numbers and names out of a request, numbers into a reply |
//! | `request` | a request: header and operation |
//! | `operation` | what is asked, decoded |
//! | `change` | the SETATTR request, which has most fields |
//! | `reply` | the answer to one request; an answer is sent exactly once |
//! | `layout` | the structures in replies |
//! | `entries` | the entries of a directory, packed as the kernel wants them |
//! | `init` | the first request: what both sides can do |
//! | `device` | `/dev/fuse`: reading requests, sending replies and notices |
//! | `serve` | the threads that answer |
//!
//! Invariants:
//! - Nothing in a request is trusted: each field is read with its length checked, and a request that
//!   makes no sense is answered with EIO.
//! - Every request that wants an answer gets one: [`Reply`] answers EIO when it is dropped.

mod bytes;
mod change;
mod device;
mod entries;
mod init;
mod layout;
mod operation;
mod reply;
mod request;
mod serve;

pub(super) use change::{AttributeChange, TimeToSet};
pub(super) use device::{Device, Notifier};
pub(super) use entries::Entries;
pub(super) use init::{Agreement, Capabilities, Offer, handshake};
pub(super) use operation::{Dialect, Operation};
pub(super) use reply::Reply;
pub(super) use request::{Header, Request};
pub(super) use serve::serve;
