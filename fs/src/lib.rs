//! braidfs: a log-structured filesystem that forks pages instead of waiting for them.
//!
//! Purpose: the filesystem itself. [`volume::Volume`] is the core, driven by [`fuse`] (a thin
//! adapter) and, without FUSE, by the tests; [`cli`] is the command line.
//!
//! Map: [`volume`] answers operations; [`inode`] holds the state of files in memory; [`delta`]
//! groups changes into deltas, stages and commits them. Below lie `braidfs-pagecache` (cached pages,
//! forking) and `braidfs-store` (log, tree, space).
//!
//! Lock order, outermost first (a thread never takes one to the left of one it holds):
//! space reclaiming; rename lock; commit stage lock; delta gate; directory locks (by number); file
//! I/O locks (by number); inode table shards; inode state; page cache; store.

#![forbid(unsafe_code)]

#[cfg(braidfs_without_fork_check)]
compile_error!("braidfs_without_fork_check is for counting instructions; it must serve no volume");

pub mod acl;
pub mod cli;
pub mod delta;
pub mod error;
pub mod fuse;
pub mod inode;
pub mod options;
pub mod settings;
mod size;
pub mod statistics;
pub mod types;
pub mod volume;

pub use error::{FsError, FsErrorKind};
pub use options::{AccessTime, MkfsOptions, MountOptions};
pub use settings::{Settings, SettingsChange};
pub use types::{
    Attributes, Credentials, DirectoryEntry, FallocateMode, InodeNumber, ROOT_INODE, RenameMode,
    SeekTarget, SetAttributes, SetTime, Statistics, XattrMode,
};
pub use volume::{LiveMapping, MapOptions, Volume};

pub use braidfs_pagecache::{FaultMechanism, MappedMemory};
