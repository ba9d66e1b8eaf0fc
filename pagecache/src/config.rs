//! What a cache is set up with, and the rules its numbers must obey.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::error::CacheError;
use crate::page::PAGE_SIZE;

/// The smallest pool that lets a reader, a writer and a frozen copy make progress side by side.
const MINIMUM_POOL_PAGES: u64 = 64;

/// What a write does to a page that an earlier delta still has to write back.
///
/// The three exist in one binary so that the cost of each can be measured under the same load; see
/// [`PageCache::set_policy`](crate::PageCache::set_policy).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WritebackPolicy {
    /// Copy the page at that moment; the write goes on in the copy, writeback in the original.
    /// Never waits.
    #[default]
    Fork,
    /// Wait until the page is durable ("stable pages").
    Wait,
    /// Copy every dirty page when the file is frozen, whether or not it will be written again.
    Copy,
}

impl WritebackPolicy {
    /// All policies, in the order in which they are documented.
    pub const ALL: [Self; 3] = [Self::Fork, Self::Wait, Self::Copy];

    /// The name used on command lines and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Wait => "wait",
            Self::Copy => "copy",
        }
    }
}

impl fmt::Display for WritebackPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for WritebackPolicy {
    type Err = CacheError;

    fn from_str(name: &str) -> Result<Self, CacheError> {
        Self::ALL.into_iter().find(|policy| policy.name() == name).ok_or(
            CacheError::Configuration { reason: "the writeback policy is one of fork, wait, copy" },
        )
    }
}

/// A policy that can be read on every write and replaced at any moment.
#[derive(Debug)]
pub(crate) struct PolicySwitch(AtomicU8);

impl PolicySwitch {
    pub(crate) fn new(policy: WritebackPolicy) -> Self {
        Self(AtomicU8::new(policy as u8))
    }

    pub(crate) fn set(&self, policy: WritebackPolicy) {
        self.0.store(policy as u8, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> WritebackPolicy {
        match self.0.load(Ordering::Relaxed) {
            1 => WritebackPolicy::Wait,
            2 => WritebackPolicy::Copy,
            _ => WritebackPolicy::Fork,
        }
    }
}

/// How large a cache may grow and how it behaves under pressure.
///
/// Pages that are dirty and forked copies under writeback cannot be evicted, so the two limits
/// together must leave part of the pool to clean pages; [`CacheConfig::with_pool_bytes`] derives
/// sound values from the pool size alone, [`CacheConfig::with_limits`] from one limit or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    /// Memory for cached pages.
    pub pool_bytes: u64,
    /// What a write does to a page under writeback.
    pub policy: WritebackPolicy,
    /// Writers block when this much is not durable yet.
    pub dirty_limit_bytes: u64,
    /// Forks wait when the copies made so far for writeback take this much.
    pub frozen_limit_bytes: u64,
    /// Writeback is asked for, and writers are slowed down, above this much.
    pub background_bytes: u64,
    /// Whether a page written full of zeros is kept without memory and written back as a hole.
    pub dedup_zero: bool,
    /// Zero pages of different colours that holes read as where pages are mapped, for processors
    /// whose caches need that; rounded up to a power of two, 128 at most.
    pub zero_colours: usize,
}

impl CacheConfig {
    /// Limits that suit a pool of `pool_bytes`: half of it dirty, a quarter frozen, writeback from
    /// an eighth on.
    pub fn with_pool_bytes(pool_bytes: u64) -> Self {
        Self {
            pool_bytes,
            policy: WritebackPolicy::default(),
            dirty_limit_bytes: pool_bytes / 2,
            frozen_limit_bytes: pool_bytes / 4,
            background_bytes: pool_bytes / 8,
            dedup_zero: true,
            zero_colours: 1,
        }
    }

    /// The same with other limits. One that is not given becomes smaller than its default if the
    /// other leaves no room for that; writeback starts at a quarter of the dirty limit.
    #[must_use]
    pub fn with_limits(self, dirty_bytes: Option<u64>, frozen_bytes: Option<u64>) -> Self {
        let beside = |other: u64| self.pool_bytes.saturating_sub(other) / 2;
        let dirty_limit_bytes = dirty_bytes
            .unwrap_or_else(|| self.dirty_limit_bytes.min(frozen_bytes.map_or(u64::MAX, beside)));
        let frozen_limit_bytes =
            frozen_bytes.unwrap_or_else(|| self.frozen_limit_bytes.min(beside(dirty_limit_bytes)));
        Self {
            dirty_limit_bytes,
            frozen_limit_bytes,
            background_bytes: background_of(dirty_limit_bytes),
            ..self
        }
    }

    /// Checks the numbers against each other.
    ///
    /// # Errors
    /// [`CacheError::Configuration`], which says what to change.
    pub fn validate(&self) -> Result<(), CacheError> {
        let page = PAGE_SIZE as u64;
        let reason = if self.pool_bytes / page < MINIMUM_POOL_PAGES {
            "the pool must hold at least 256 KiB: make it larger"
        } else if self.background_bytes >= self.dirty_limit_bytes {
            "the background threshold must be below the dirty limit: lower it"
        } else if self.dirty_limit_bytes.saturating_add(self.frozen_limit_bytes) >= self.pool_bytes
        {
            "the dirty and frozen limits together must be below the pool size: lower them"
        } else if self.frozen_limit_bytes < page {
            "the frozen limit must be at least one page: raise it"
        } else {
            return Ok(());
        };
        Err(CacheError::Configuration { reason })
    }
}

/// Where writeback starts, for a dirty limit.
fn background_of(dirty_limit_bytes: u64) -> u64 {
    dirty_limit_bytes / 4
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self::with_pool_bytes(256 << 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_round_trip_through_their_names() {
        for policy in WritebackPolicy::ALL {
            assert_eq!(policy.name().parse::<WritebackPolicy>(), Ok(policy));
            let switch = PolicySwitch::new(WritebackPolicy::Fork);
            switch.set(policy);
            assert_eq!(switch.get(), policy);
        }
        assert!("never".parse::<WritebackPolicy>().is_err());
    }

    #[test]
    fn derived_limits_are_sound_for_every_pool_from_the_minimum_on() {
        for pages in [MINIMUM_POOL_PAGES, 65, 100, 1 << 20] {
            let config = CacheConfig::with_pool_bytes(pages * PAGE_SIZE as u64);
            assert_eq!(config.validate(), Ok(()), "{pages} pages");
        }
    }

    #[test]
    fn a_limit_that_is_not_given_makes_room_for_the_one_that_is() {
        let config = CacheConfig::with_pool_bytes(1 << 20);
        assert_eq!(config.clone().with_limits(None, None), config);
        for (dirty, frozen) in [(Some(900 << 10), None), (None, Some(900 << 10))] {
            let config = config.clone().with_limits(dirty, frozen);
            assert_eq!(config.validate(), Ok(()), "{config:?}");
            assert!(dirty.is_none_or(|dirty| dirty == config.dirty_limit_bytes));
            assert!(frozen.is_none_or(|frozen| frozen == config.frozen_limit_bytes));
        }
        assert!(config.with_limits(Some(600 << 10), Some(600 << 10)).validate().is_err());
    }

    #[test]
    fn contradictions_are_refused_with_what_to_change() {
        let good = CacheConfig::with_pool_bytes(1 << 20);
        let bad = [
            CacheConfig { pool_bytes: 4096, ..good.clone() },
            CacheConfig { background_bytes: good.dirty_limit_bytes, ..good.clone() },
            CacheConfig { dirty_limit_bytes: good.pool_bytes, ..good.clone() },
            CacheConfig { frozen_limit_bytes: 0, ..good.clone() },
        ];
        for config in bad {
            assert!(
                matches!(config.validate(), Err(CacheError::Configuration { .. })),
                "{config:?}"
            );
        }
    }
}
