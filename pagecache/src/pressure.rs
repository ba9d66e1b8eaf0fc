//! How much of the cache cannot be given up, and who has to wait for that.
//!
//! Two amounts are kept: *dirty* pages (not durable yet: open or under writeback) and *frozen*
//! copies (frames that only writeback still needs). Three thresholds act on them:
//!
//! * above the *background* threshold, [`Pressure::needs_writeback`] says so, and writers are paced
//!   (see [`crate::pacing`]);
//! * at the *dirty limit*, writers block until writeback made progress;
//! * at the *frozen limit*, forking falls back to waiting (asked by the mapping, see
//!   [`Pressure::frozen_is_full`]).
//!
//! Every change that may end a wait (pages cleaned, frames freed, shutdown) wakes `progress`. After
//! shutdown nobody waits any more: waits end at once and their callers get an error or go on.
//!
//! Locks: those inside the wait queues and the pacer are leaves; nothing else is taken while they
//! are held.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam::utils::CachePadded;

use crate::config::CacheConfig;
use crate::counters::{Counters, Event};
use crate::error::CacheError;
use crate::pacing::Pacer;
use crate::page::PAGE_SIZE;
use crate::wait_queue::WaitQueue;

/// Below this a pause costs more than it slows down; it stays on the account until it is worth it.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// Amounts, thresholds, and those who wait for them.
#[derive(Debug)]
pub(crate) struct Pressure {
    dirty_pages: CachePadded<AtomicU64>,
    frozen_pages: CachePadded<AtomicU64>,
    frozen_pages_peak: AtomicU64,
    frame_waiters: AtomicU64,
    shut_down: AtomicBool,
    /// Whether a page became dirty since the scanner of zero pages last asked.
    dirtied: AtomicBool,
    thresholds: Thresholds,
    pacer: Pacer,
    progress: WaitQueue,
    demand: WaitQueue,
}

/// The limits of the configuration in pages. They may be replaced at any moment, one by one: whoever
/// reads an old one beside a new one decides as if a little earlier.
#[derive(Debug)]
struct Thresholds {
    background: AtomicU64,
    dirty: AtomicU64,
    frozen: AtomicU64,
}

impl Thresholds {
    fn new(config: &CacheConfig) -> Self {
        let thresholds = Self {
            background: AtomicU64::new(0),
            dirty: AtomicU64::new(0),
            frozen: AtomicU64::new(0),
        };
        thresholds.set(config);
        thresholds
    }

    fn set(&self, config: &CacheConfig) {
        let page = PAGE_SIZE as u64;
        self.background.store(config.background_bytes / page, Ordering::Relaxed);
        self.dirty.store((config.dirty_limit_bytes / page).max(1), Ordering::Relaxed);
        self.frozen.store(config.frozen_limit_bytes / page, Ordering::Relaxed);
    }

    fn background(&self) -> u64 {
        self.background.load(Ordering::Relaxed)
    }

    fn dirty(&self) -> u64 {
        self.dirty.load(Ordering::Relaxed)
    }

    fn frozen(&self) -> u64 {
        self.frozen.load(Ordering::Relaxed)
    }
}

impl Pressure {
    pub(crate) fn new(config: &CacheConfig) -> Self {
        Self {
            dirty_pages: CachePadded::default(),
            frozen_pages: CachePadded::default(),
            frozen_pages_peak: AtomicU64::new(0),
            frame_waiters: AtomicU64::new(0),
            shut_down: AtomicBool::new(false),
            dirtied: AtomicBool::new(false),
            thresholds: Thresholds::new(config),
            pacer: Pacer::new(),
            progress: WaitQueue::default(),
            demand: WaitQueue::default(),
        }
    }

    /// Replaces the limits by those of this configuration. Whoever waits looks again.
    pub(crate) fn set_limits(&self, config: &CacheConfig) {
        self.thresholds.set(config);
        self.progress.wake_all();
        self.demand.wake_all();
    }

    /// The configuration with the limits in force.
    pub(crate) fn with_limits_in_force(&self, config: CacheConfig) -> CacheConfig {
        let page = PAGE_SIZE as u64;
        CacheConfig {
            background_bytes: self.thresholds.background() * page,
            dirty_limit_bytes: self.thresholds.dirty() * page,
            frozen_limit_bytes: self.thresholds.frozen() * page,
            ..config
        }
    }

    pub(crate) fn dirty_bytes(&self) -> u64 {
        self.dirty_pages() * PAGE_SIZE as u64
    }

    pub(crate) fn frozen_bytes(&self) -> u64 {
        self.frozen_pages.load(Ordering::Relaxed) * PAGE_SIZE as u64
    }

    pub(crate) fn frozen_bytes_peak(&self) -> u64 {
        self.frozen_pages_peak.load(Ordering::Relaxed) * PAGE_SIZE as u64
    }

    /// Forgets the highest amount of frozen copies so far.
    pub(crate) fn reset_peaks(&self) {
        self.frozen_pages_peak.store(self.frozen_pages.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    pub(crate) fn dirty_pages(&self) -> u64 {
        self.dirty_pages.load(Ordering::Relaxed)
    }

    /// Accounts pages that became dirty.
    pub(crate) fn add_dirty(&self, pages: u64) {
        if pages == 0 {
            return;
        }
        let before = self.dirty_pages.fetch_add(pages, Ordering::Relaxed);
        if !self.dirtied.load(Ordering::Relaxed) {
            self.dirtied.store(true, Ordering::Relaxed);
        }
        let background = self.thresholds.background();
        if before + pages > background {
            self.pacer.note_dirtied(pages);
            if before <= background {
                self.demand.wake_all();
            }
        }
    }

    /// Whether any page became dirty since this was last asked, be it durable by now.
    pub(crate) fn take_dirtied(&self) -> bool {
        self.dirtied.swap(false, Ordering::Relaxed)
    }

    /// Accounts dirty pages that were dropped with their file or range, without writeback.
    pub(crate) fn remove_dirty(&self, pages: u64) {
        if pages > 0 {
            self.dirty_pages.fetch_sub(pages, Ordering::Relaxed);
        }
    }

    /// Accounts copies that only writeback needs.
    pub(crate) fn add_frozen(&self, pages: u64) {
        if pages > 0 {
            let now = self.frozen_pages.fetch_add(pages, Ordering::Relaxed) + pages;
            self.frozen_pages_peak.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// Accounts such copies that were released.
    pub(crate) fn remove_frozen(&self, pages: u64) {
        if pages > 0 {
            self.frozen_pages.fetch_sub(pages, Ordering::Relaxed);
        }
    }

    /// How many more copies the limit allows.
    pub(crate) fn frozen_allowance(&self) -> u64 {
        let frozen = self.frozen_pages.load(Ordering::Relaxed);
        self.thresholds.frozen().saturating_sub(frozen)
    }

    /// Whether one more forked copy would exceed the limit.
    pub(crate) fn frozen_is_full(&self) -> bool {
        self.frozen_allowance() == 0
    }

    /// Tells the pacer how fast writeback is: `pages` became durable since `started`.
    pub(crate) fn note_written(&self, pages: u64, started: Instant) {
        self.pacer.note_written(pages, started, Instant::now());
    }

    /// Where changes are announced that may end a wait for memory or for the limit.
    pub(crate) fn progress(&self) -> &WaitQueue {
        &self.progress
    }

    /// Whether writeback should run: much is dirty, or somebody waits for memory that writeback can
    /// free.
    pub(crate) fn needs_writeback(&self) -> bool {
        let dirty = self.dirty_pages();
        dirty > self.thresholds.background()
            || (dirty > 0 && self.frame_waiters.load(Ordering::Relaxed) > 0)
    }

    /// Waits until [`Self::needs_writeback`], shutdown, or the deadline. Says whether writeback is
    /// needed.
    pub(crate) fn wait_for_demand(&self, deadline: Instant) -> bool {
        loop {
            let ticket = self.demand.ticket();
            if self.needs_writeback() {
                return true;
            }
            if self.is_shut_down() || !self.demand.wait_until(ticket, deadline) {
                return false;
            }
        }
    }

    /// Registers somebody who waits for memory, which asks for writeback.
    pub(crate) fn enter_frame_wait(&self) -> FrameWait<'_> {
        self.frame_waiters.fetch_add(1, Ordering::Relaxed);
        self.demand.wake_all();
        FrameWait { pressure: self }
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.shut_down.load(Ordering::Acquire)
    }

    /// Ends all waits, now and from now on.
    pub(crate) fn shut_down(&self) {
        self.shut_down.store(true, Ordering::Release);
        self.progress.wake_all();
        self.demand.wake_all();
    }

    /// The error for those who cannot go on after shutdown.
    pub(crate) fn check_running(&self) -> Result<(), CacheError> {
        if self.is_shut_down() { Err(CacheError::ShutDown) } else { Ok(()) }
    }

    /// Holds a writer back: a pause that grows from the background threshold on, and a stop at the
    /// limit.
    pub(crate) fn throttle(&self, counters: &Counters) {
        if self.dirty_pages() <= self.thresholds.background() {
            return;
        }
        let started = Instant::now();
        let held_back = self.pause(started) | self.wait_below_limit();
        if held_back {
            counters.add(Event::Throttles, 1);
            counters.add_duration(Event::ThrottleNanoseconds, started.elapsed());
        }
    }

    /// How far the dirty pages are from the background threshold (0) to the limit (1).
    fn fullness(&self) -> f64 {
        let (background, dirty) = (self.thresholds.background(), self.thresholds.dirty());
        let above = self.dirty_pages().saturating_sub(background) as f64;
        (above / dirty.saturating_sub(background).max(1) as f64).min(1.0)
    }

    /// Pauses for what was dirtied; ends early when the pressure is gone. Says whether it paused.
    fn pause(&self, now: Instant) -> bool {
        let until = self.pacer.charge(self.fullness(), now);
        if until.saturating_duration_since(now) < SHORTEST_PAUSE {
            return false;
        }
        loop {
            let ticket = self.progress.ticket();
            let relieved = self.dirty_pages() <= self.thresholds.background();
            if relieved || self.is_shut_down() || !self.progress.wait_until(ticket, until) {
                return true;
            }
        }
    }

    /// Blocks while the limit is reached. Says whether it did.
    fn wait_below_limit(&self) -> bool {
        let mut waited = false;
        loop {
            let ticket = self.progress.ticket();
            if self.dirty_pages() < self.thresholds.dirty() || self.is_shut_down() {
                return waited;
            }
            self.progress.wait(ticket);
            waited = true;
        }
    }
}

/// Somebody waits for memory, until this is dropped.
#[derive(Debug)]
pub(crate) struct FrameWait<'a> {
    pressure: &'a Pressure,
}

impl Drop for FrameWait<'_> {
    fn drop(&mut self) {
        self.pressure.frame_waiters.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    const PAGE: u64 = PAGE_SIZE as u64;

    fn pressure() -> Arc<Pressure> {
        Arc::new(Pressure::new(&CacheConfig {
            pool_bytes: 1000 * PAGE,
            dirty_limit_bytes: 200 * PAGE,
            background_bytes: 100 * PAGE,
            frozen_limit_bytes: 10 * PAGE,
            ..CacheConfig::default()
        }))
    }

    #[test]
    fn below_the_background_threshold_nobody_is_held_back() {
        let (pressure, counters) = (pressure(), Counters::default());
        pressure.add_dirty(100);
        assert!(!pressure.needs_writeback());
        pressure.throttle(&counters);
        assert_eq!(counters.get(Event::ThrottleNanoseconds), 0);
        pressure.add_dirty(1);
        assert!(pressure.needs_writeback());
    }

    #[test]
    fn at_the_limit_a_writer_blocks_until_progress() {
        let (pressure, counters) = (pressure(), Counters::default());
        pressure.add_dirty(200);
        thread::scope(|scope| {
            let writer = scope.spawn(|| pressure.throttle(&counters));
            thread::sleep(Duration::from_millis(150));
            assert!(!writer.is_finished());
            pressure.remove_dirty(150);
            pressure.progress().wake_all();
        });
        assert!(counters.get(Event::ThrottleNanoseconds) >= 100_000_000);
    }

    #[test]
    fn a_raised_limit_lets_a_blocked_writer_go_on() {
        let (pressure, counters) = (pressure(), Counters::default());
        let config = CacheConfig::with_pool_bytes(1000 * PAGE);
        pressure.add_dirty(200);
        thread::scope(|scope| {
            let writer = scope.spawn(|| pressure.throttle(&counters));
            thread::sleep(Duration::from_millis(150));
            assert!(!writer.is_finished());
            pressure.set_limits(&config.clone().with_limits(Some(800 * PAGE), None));
        });
        let config = pressure.with_limits_in_force(config);
        let limits = (config.background_bytes, config.dirty_limit_bytes, config.frozen_limit_bytes);
        assert_eq!(limits, (200 * PAGE, 800 * PAGE, 100 * PAGE));
        assert!(!pressure.needs_writeback());
    }

    #[test]
    fn shutdown_frees_a_writer_blocked_at_the_limit() {
        let (pressure, counters) = (pressure(), Counters::default());
        pressure.add_dirty(500);
        thread::scope(|scope| {
            scope.spawn(|| pressure.throttle(&counters));
            thread::sleep(Duration::from_millis(20));
            pressure.shut_down();
        });
        pressure.throttle(&counters);
        assert_eq!(pressure.check_running(), Err(CacheError::ShutDown));
        assert!(!pressure.wait_for_demand(Instant::now()) || pressure.needs_writeback());
    }

    #[test]
    fn demand_wakes_whoever_does_writeback() {
        let pressure = pressure();
        thread::scope(|scope| {
            let backend =
                scope.spawn(|| pressure.wait_for_demand(Instant::now() + Duration::from_secs(60)));
            pressure.add_dirty(101);
            assert!(backend.join().unwrap());
        });
        pressure.remove_dirty(100);
        assert!(!pressure.wait_for_demand(Instant::now() + Duration::from_millis(1)));
        thread::scope(|scope| {
            let backend =
                scope.spawn(|| pressure.wait_for_demand(Instant::now() + Duration::from_secs(60)));
            thread::sleep(Duration::from_millis(20));
            let _waiting = pressure.enter_frame_wait();
            assert!(backend.join().unwrap(), "who waits for memory asks for writeback");
        });
    }

    #[test]
    fn the_frozen_peak_stays() {
        let pressure = pressure();
        pressure.add_frozen(10);
        assert!(pressure.frozen_is_full());
        pressure.remove_frozen(7);
        assert!(!pressure.frozen_is_full());
        assert_eq!(pressure.frozen_bytes(), 3 * PAGE);
        assert_eq!(pressure.frozen_bytes_peak(), 10 * PAGE);
        pressure.reset_peaks();
        assert_eq!(pressure.frozen_bytes_peak(), 3 * PAGE);
    }
}
