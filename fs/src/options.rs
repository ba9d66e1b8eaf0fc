//! What a volume is made and mounted with.

use std::time::Duration;

use braidfs_pagecache::WritebackPolicy;
use uuid::Uuid;

/// When a read updates the access time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessTime {
    /// When it is not newer than the modification, or a day old (Linux' default).
    #[default]
    Relative,
    /// Never.
    Never,
    /// Always.
    Strict,
}

/// How a volume is made.
#[derive(Debug, Clone, Default)]
pub struct MkfsOptions {
    /// The label, up to 64 bytes.
    pub label: String,
    /// The volume's id; random if `None`.
    pub volume_id: Option<Uuid>,
    /// Blocks of the log ring; a share of the volume if `None`.
    pub log_blocks: Option<u64>,
    /// Owner of the root directory.
    pub root_uid: u32,
    /// Group of the root directory.
    pub root_gid: u32,
}

/// How a volume is mounted.
#[derive(Debug, Clone)]
pub struct MountOptions {
    /// Refuse every change; nothing is written to the device.
    pub read_only: bool,
    /// What a writer does when it hits a page under writeback.
    pub policy: WritebackPolicy,
    /// Bytes of the page cache; a share of the machine's memory if `None`.
    pub cache_bytes: Option<u64>,
    /// Writers block when this many bytes are not durable yet; half of the cache if `None`.
    pub dirty_limit_bytes: Option<u64>,
    /// Forks wait when the copies for writeback take this many bytes; a quarter of the cache if
    /// `None`.
    pub frozen_limit_bytes: Option<u64>,
    /// The longest a change stays in memory only.
    pub commit_interval: Duration,
    /// Run interval commits, writeback under pressure and unify on a thread of their own. Without
    /// it they run when a caller asks, or in the writer that hits a limit: for tests that need
    /// every step to be repeatable.
    pub background: bool,
    /// When reads update the access time.
    pub access_time: AccessTime,
    /// Turn written pages of zeros into holes.
    pub dedup_zero: bool,
    /// Zero pages of different colours that holes of mapped files read as: a power of two, up to
    /// 128. More than 1 is for processors whose caches are found by virtual address.
    pub zero_colours: usize,
}

impl Default for MountOptions {
    fn default() -> Self {
        Self {
            read_only: false,
            policy: WritebackPolicy::Fork,
            cache_bytes: None,
            dirty_limit_bytes: None,
            frozen_limit_bytes: None,
            commit_interval: Duration::from_secs(5),
            background: true,
            access_time: AccessTime::default(),
            dedup_zero: true,
            zero_colours: 1,
        }
    }
}
