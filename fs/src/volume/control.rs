//! Looking at the settings of a mounted volume, and changing them.

use std::sync::atomic::Ordering;

use super::Volume;
use crate::error::FsResult;
use crate::settings::{Settings, SettingsChange};

impl Volume {
    /// The settings in force.
    pub fn settings(&self) -> Settings {
        let cache = self.cache.config();
        Settings {
            writeback_policy: cache.policy,
            dirty_limit_bytes: cache.dirty_limit_bytes,
            frozen_limit_bytes: cache.frozen_limit_bytes,
            zero_dedup: cache.dedup_zero,
            commit_interval_ms: self.commit_interval_ms.load(Ordering::Relaxed),
            cache_bytes: cache.pool_bytes,
        }
    }

    /// Changes settings, wholly or not at all, and returns what is in force then. Operations under
    /// way may still go by the old ones.
    ///
    /// # Errors
    /// `Invalid`, with what is allowed.
    pub fn change_settings(&self, change: &SettingsChange) -> FsResult<Settings> {
        let _one_at_a_time = self.controlling.lock();
        let wanted = self.settings().with(change);
        wanted.check()?;
        self.cache.set_limits(wanted.dirty_limit_bytes, wanted.frozen_limit_bytes)?;
        self.cache.set_policy(wanted.writeback_policy);
        self.cache.set_dedup_zero(wanted.zero_dedup);
        self.commit_interval_ms.store(wanted.commit_interval_ms, Ordering::Relaxed);
        // It sleeps by the interval it knew.
        self.wake_background();
        Ok(self.settings())
    }
}
