//! Looking at the settings of a mounted volume, and changing them.

use std::sync::atomic::Ordering;

use braidfs_format::BLOCK_SIZE;

use super::Volume;
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::settings::{Settings, SettingsChange};

impl Volume {
    /// Gives free space back to the device: everything that was freed is made durable and fit for
    /// use first. Returns the bytes; none where the device cannot discard.
    ///
    /// # Errors
    /// `ReadOnly`; `Io` if something could not be written, or discarded.
    pub fn trim(&self) -> FsResult<u64> {
        self.check_writable()?;
        let _one_at_a_time = self.reclaiming.lock();
        match self.reclaim_space() {
            Err(error) if error.kind() != FsErrorKind::NoSpace => return Err(error.during("trim")),
            _ => {}
        }
        let blocks = self.store.trim(1).map_err(|error| FsError::from(error).during("trim"))?;
        Ok(blocks.saturating_mul(BLOCK_SIZE as u64))
    }

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
