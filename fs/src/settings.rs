//! What can be changed while a volume is mounted.
//!
//! Purpose: one type for what is in force, one for a change of it, and the rules both must obey. The
//! options of a mount start them, `braidfs control` and `-o remount` change them; on the way between
//! programs they are JSON with the names of the fields here.
//!
//! A change is made wholly or not at all.

use std::time::Duration;

use braidfs_pagecache::{CacheConfig, WritebackPolicy};
use serde::{Deserialize, Serialize};

use crate::error::{FsError, FsErrorKind, FsResult};
use crate::options::MountOptions;
use crate::size::human;

/// The least that a limit may be: less than the kernel sends at once would only cost speed.
pub const MINIMUM_LIMIT_BYTES: u64 = 1 << 20;

/// The settings in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// What a write does to a page under writeback.
    #[serde(with = "policy_name")]
    pub writeback_policy: WritebackPolicy,
    /// Writers block when this much is not durable yet; they are slowed down from a quarter of it on.
    pub dirty_limit_bytes: u64,
    /// Forks wait when the copies made for writeback take this much.
    pub frozen_limit_bytes: u64,
    /// Turn written pages of zeros into holes.
    pub zero_dedup: bool,
    /// The longest a change stays in memory only, in milliseconds.
    pub commit_interval_ms: u64,
    /// Memory for cached pages; cannot be changed.
    pub cache_bytes: u64,
}

/// What is to be changed; the rest stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SettingsChange {
    /// See [`Settings`], for all of them.
    #[serde(with = "optional_policy_name", skip_serializing_if = "Option::is_none")]
    pub writeback_policy: Option<WritebackPolicy>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dirty_limit_bytes: Option<u64>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen_limit_bytes: Option<u64>,
    /// On or off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_dedup: Option<bool>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_interval_ms: Option<u64>,
}

impl SettingsChange {
    /// Changes what `later` changes, too; where both change something, as that says.
    pub fn update(&mut self, later: &Self) {
        *self = Self {
            writeback_policy: later.writeback_policy.or(self.writeback_policy),
            dirty_limit_bytes: later.dirty_limit_bytes.or(self.dirty_limit_bytes),
            frozen_limit_bytes: later.frozen_limit_bytes.or(self.frozen_limit_bytes),
            zero_dedup: later.zero_dedup.or(self.zero_dedup),
            commit_interval_ms: later.commit_interval_ms.or(self.commit_interval_ms),
        };
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Settings {
    /// What the options of a mount ask for.
    pub fn of_mount(options: &MountOptions) -> Self {
        let config =
            CacheConfig::with_pool_bytes(options.cache_bytes.unwrap_or_else(default_cache_bytes))
                .with_limits(options.dirty_limit_bytes, options.frozen_limit_bytes);
        Self {
            writeback_policy: options.policy,
            dirty_limit_bytes: config.dirty_limit_bytes,
            frozen_limit_bytes: config.frozen_limit_bytes,
            zero_dedup: options.dedup_zero,
            commit_interval_ms: milliseconds(options.commit_interval),
            cache_bytes: config.pool_bytes,
        }
    }

    /// These with a change.
    #[must_use]
    pub fn with(self, change: &SettingsChange) -> Self {
        Self {
            writeback_policy: change.writeback_policy.unwrap_or(self.writeback_policy),
            dirty_limit_bytes: change.dirty_limit_bytes.unwrap_or(self.dirty_limit_bytes),
            frozen_limit_bytes: change.frozen_limit_bytes.unwrap_or(self.frozen_limit_bytes),
            zero_dedup: change.zero_dedup.unwrap_or(self.zero_dedup),
            commit_interval_ms: change.commit_interval_ms.unwrap_or(self.commit_interval_ms),
            cache_bytes: self.cache_bytes,
        }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// `Invalid`, with what is allowed.
    pub fn check(&self) -> FsResult<()> {
        let Self { dirty_limit_bytes, frozen_limit_bytes, cache_bytes, .. } = *self;
        let least = MINIMUM_LIMIT_BYTES.min(cache_bytes / 8);
        let refuse = |detail: String| Err(FsError::new(FsErrorKind::Invalid, detail));
        if dirty_limit_bytes.saturating_add(frozen_limit_bytes) >= cache_bytes {
            return refuse(format!(
                "the dirty limit ({}) and the frozen limit ({}) together must be below the size of \
                 the cache ({}): lower one of them, or mount with a larger cache",
                human(dirty_limit_bytes),
                human(frozen_limit_bytes),
                human(cache_bytes)
            ));
        }
        for (name, bytes) in [("dirty", dirty_limit_bytes), ("frozen", frozen_limit_bytes)] {
            if bytes < least {
                let (is, least) = (human(bytes), human(least));
                return refuse(format!("the {name} limit ({is}) must be at least {least}"));
            }
        }
        if self.commit_interval_ms == 0 {
            return refuse("the commit interval must be at least 1 ms".to_owned());
        }
        Ok(self.cache_config().validate()?)
    }

    /// The longest a change stays in memory only.
    pub fn commit_interval(&self) -> Duration {
        Duration::from_millis(self.commit_interval_ms)
    }

    /// A page cache with these settings.
    pub(crate) fn cache_config(&self) -> CacheConfig {
        let config = CacheConfig::with_pool_bytes(self.cache_bytes)
            .with_limits(Some(self.dirty_limit_bytes), Some(self.frozen_limit_bytes));
        CacheConfig { policy: self.writeback_policy, dedup_zero: self.zero_dedup, ..config }
    }
}

/// An eighth of the machine's memory, 64 MiB to 2 GiB: the kernel caches most pages too.
fn default_cache_bytes() -> u64 {
    let system = rustix::system::sysinfo();
    let total = (system.totalram as u64).saturating_mul(u64::from(system.mem_unit));
    (total / 8).clamp(64 << 20, 2 << 30)
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A policy by its name.
mod policy_name {
    use braidfs_pagecache::WritebackPolicy;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(policy: &WritebackPolicy, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(policy.name())
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<WritebackPolicy, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// The same, if there is one.
mod optional_policy_name {
    use braidfs_pagecache::WritebackPolicy;
    use serde::{Deserializer, Serialize, Serializer};

    use super::policy_name;

    pub fn serialize<S: Serializer>(
        policy: &Option<WritebackPolicy>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        policy.map(WritebackPolicy::name).serialize(to)
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(
        from: D,
    ) -> Result<Option<WritebackPolicy>, D::Error> {
        policy_name::deserialize(from).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let options = MountOptions { cache_bytes: Some(64 << 20), ..MountOptions::default() };
        Settings::of_mount(&options)
    }

    #[test]
    fn defaults_are_allowed_for_every_cache() {
        for cache_bytes in [256 << 10, 1 << 20, 64 << 20, 1 << 40] {
            let options =
                MountOptions { cache_bytes: Some(cache_bytes), ..MountOptions::default() };
            assert!(Settings::of_mount(&options).check().is_ok(), "{cache_bytes}");
        }
        assert!(Settings::of_mount(&MountOptions::default()).check().is_ok());
    }

    #[test]
    fn a_change_travels_as_json_with_what_changes_only() {
        let change = SettingsChange {
            writeback_policy: Some(WritebackPolicy::Wait),
            commit_interval_ms: Some(100),
            ..SettingsChange::default()
        };
        let text = serde_json::to_string(&change).unwrap();
        assert_eq!(text, r#"{"writeback_policy":"wait","commit_interval_ms":100}"#);
        assert_eq!(serde_json::from_str::<SettingsChange>(&text).unwrap(), change);
        let changed = settings().with(&change);
        assert_eq!(changed.writeback_policy, WritebackPolicy::Wait);
        assert_eq!(changed.dirty_limit_bytes, settings().dirty_limit_bytes);
        let text = serde_json::to_string(&changed).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), changed);
        for nonsense in [r#"{"writeback_policy":"never"}"#, r#"{"cache_bytes":1}"#, "", "1"] {
            assert!(serde_json::from_str::<SettingsChange>(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_told_with_what_is() {
        let check = |change: SettingsChange| settings().with(&change).check();
        let none = SettingsChange::default();
        for (change, words) in [
            (SettingsChange { dirty_limit_bytes: Some(100), ..none }, "at least 1.0 MiB"),
            (SettingsChange { frozen_limit_bytes: Some(0), ..none }, "at least 1.0 MiB"),
            (SettingsChange { dirty_limit_bytes: Some(u64::MAX), ..none }, "below the size"),
            (SettingsChange { frozen_limit_bytes: Some(32 << 20), ..none }, "64.0 MiB"),
            (SettingsChange { commit_interval_ms: Some(0), ..none }, "1 ms"),
        ] {
            let error = check(change).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(check(none).is_ok());
    }
}
