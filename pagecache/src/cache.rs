//! What all files of a mount share: memory, policy, limits, counters.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use braidfs_mm::{FramePool, PoolConfig, ZeroPages};

use crate::clock::Clock;
use crate::config::{CacheConfig, PolicySwitch, WritebackPolicy};
use crate::counters::{CacheCounters, Counters, Event};
use crate::error::CacheError;
use crate::mapping::Mapping;
use crate::pressure::Pressure;
use crate::registry::Registry;
use crate::sync::Mutex;
use crate::wait_queue::Ticket;
use crate::zero_scan::ZeroScanner;

/// How long a writer waits for a frame unless told otherwise.
const DEFAULT_MEMORY_DEADLINE: Duration = Duration::from_secs(1);
/// How often somebody who waits for a frame looks by themselves: frames also become free without
/// writeback.
const FRAME_POLL: Duration = Duration::from_millis(20);
/// Pages evicted by each caller who finds memory low, so that nobody pays for all.
const EVICTION_BATCH: u64 = 128;
/// Times that who must have memory goes round a mapped file; the hand may start within it.
const MAPPED_ROUNDS: u32 = 2;
/// Table memory that is always allowed.
const MINIMUM_TABLE_BYTES: u64 = 1 << 20;

/// The page cache of a mount. Files share it through their [`Mapping`]s.
pub struct PageCache {
    pool: Arc<FramePool>,
    policy: PolicySwitch,
    dedup_zero: AtomicBool,
    pressure: Pressure,
    counters: Counters,
    registry: Registry,
    clock: Clock,
    zero_scanner: ZeroScanner,
    zero_pages: Arc<ZeroPages>,
    /// Files of which something is mapped, or was of late.
    mapped: Mutex<Vec<Weak<Mapping>>>,
    pool_bytes: u64,
    table_bytes_wanted: u64,
    memory_deadline_ms: AtomicU64,
}

impl PageCache {
    /// Sets up a cache. Its memory is taken from the system as it is used.
    pub fn new(config: CacheConfig) -> Result<Arc<Self>, CacheError> {
        config.validate()?;
        let mut pool = PoolConfig::new(config.pool_bytes);
        // Completing a writeback must not fail for want of table memory, so the pool does not limit
        // it. The clock keeps it low.
        pool.table_bytes = usize::MAX;
        let pool = FramePool::new(&pool)
            .map_err(|error| CacheError::Pool { reason: error.to_string() })?;
        Ok(Arc::new(Self {
            pool,
            policy: PolicySwitch::new(config.policy),
            dedup_zero: AtomicBool::new(config.dedup_zero),
            pressure: Pressure::new(&config),
            counters: Counters::default(),
            registry: Registry::default(),
            clock: Clock::default(),
            zero_scanner: ZeroScanner::default(),
            zero_pages: Arc::new(ZeroPages::new(config.zero_colours)),
            mapped: Mutex::default(),
            pool_bytes: config.pool_bytes,
            table_bytes_wanted: (config.pool_bytes / 2).max(MINIMUM_TABLE_BYTES),
            memory_deadline_ms: AtomicU64::new(millis(DEFAULT_MEMORY_DEADLINE)),
        }))
    }

    /// What a write does to a page under writeback.
    pub fn policy(&self) -> WritebackPolicy {
        self.policy.get()
    }

    /// Changes the policy, for all writes and freezes from now on. What is frozen stays as it is.
    pub fn set_policy(&self, policy: WritebackPolicy) {
        self.policy.set(policy);
        // Writers that wait under the old policy look again.
        self.pressure.progress().wake_all();
    }

    /// Whether pages written full of zeros are kept without memory.
    pub fn dedups_zero(&self) -> bool {
        self.dedup_zero.load(Ordering::Relaxed)
    }

    /// The pages of zeros that holes read as where pages are mapped, one for each colour.
    pub fn zero_pages(&self) -> &Arc<ZeroPages> {
        &self.zero_pages
    }

    /// Switches that on or off, for all writes and for the scanner from now on. Pages that are
    /// without memory stay so until they are written.
    pub fn set_dedup_zero(&self, enabled: bool) {
        self.dedup_zero.store(enabled, Ordering::Relaxed);
    }

    /// What the cache is set up like now.
    pub fn config(&self) -> CacheConfig {
        self.pressure.with_limits_in_force(CacheConfig {
            policy: self.policy(),
            dedup_zero: self.dedups_zero(),
            zero_colours: self.zero_pages.colours(),
            ..CacheConfig::with_pool_bytes(self.pool_bytes)
        })
    }

    /// Changes the limits of dirty pages and frozen copies, in bytes; writeback starts at a quarter
    /// of the first. Writers that wait under the old limits look again.
    ///
    /// # Errors
    /// [`CacheError::Configuration`] if they do not go with the size of the pool; nothing is changed
    /// then.
    pub fn set_limits(&self, dirty_bytes: u64, frozen_bytes: u64) -> Result<(), CacheError> {
        let config = self.config().with_limits(Some(dirty_bytes), Some(frozen_bytes));
        config.validate()?;
        self.pressure.set_limits(&config);
        Ok(())
    }

    /// How long a writer waits for a frame before it gets [`CacheError::OutOfMemory`].
    pub fn set_memory_deadline(&self, deadline: Duration) {
        self.memory_deadline_ms.store(millis(deadline), Ordering::Relaxed);
    }

    /// The counters at this moment. Events counted meanwhile may or may not be included.
    pub fn counters(&self) -> CacheCounters {
        let frames_total = self.pool.frames() as u64;
        CacheCounters {
            forks: self.counters.get(Event::Forks),
            bytes_copied: self.counters.get(Event::BytesCopied),
            frozen_bytes: self.pressure.frozen_bytes(),
            frozen_bytes_peak: self.pressure.frozen_bytes_peak(),
            dirty_bytes: self.pressure.dirty_bytes(),
            waits: self.counters.get(Event::Waits),
            wait_ns: self.counters.get(Event::WaitNanoseconds),
            memory_waits: self.counters.get(Event::MemoryWaits),
            memory_wait_ns: self.counters.get(Event::MemoryWaitNanoseconds),
            throttles: self.counters.get(Event::Throttles),
            throttle_ns: self.counters.get(Event::ThrottleNanoseconds),
            hits: self.counters.get(Event::Hits),
            misses: self.counters.get(Event::Misses),
            evictions: self.counters.get(Event::Evictions),
            zero_dedups: self.counters.get(Event::ZeroDedups),
            pages_read_ahead: self.counters.get(Event::PagesReadAhead),
            zero_scans: self.counters.get(Event::ZeroScans),
            zero_finds: self.counters.get(Event::ZeroFinds),
            zero_unshares: self.counters.get(Event::ZeroUnshares),
            mapped_faults: self.counters.get(Event::MappedFaults),
            mapped_pause_ns: self.counters.get(Event::ProtectNanoseconds),
            frames_used: frames_total.saturating_sub(self.pool.free_frames() as u64),
            frames_total,
            table_bytes: self.pool.counters().table_bytes as u64,
        }
    }

    /// Lets [`CacheCounters::frozen_bytes_peak`] begin anew, at what it is now.
    pub fn reset_peaks(&self) {
        self.pressure.reset_peaks();
    }

    /// Whether writeback should run: more is dirty than the background threshold, or somebody waits
    /// for memory.
    pub fn needs_writeback(&self) -> bool {
        self.pressure.needs_writeback()
    }

    /// Waits until [`needs_writeback`](Self::needs_writeback), for `timeout` at most, and says
    /// whether it does. For the thread that does writeback in the background; ends early at
    /// shutdown.
    pub fn wait_until_writeback_is_needed(&self, timeout: Duration) -> bool {
        self.pressure.wait_for_demand(after(Instant::now(), timeout))
    }

    /// Holds a writer back according to how much is dirty: not at all below the background
    /// threshold, then more and more, and at the limit until writeback made progress. To be called
    /// before a write, with no lock held; somebody else must be doing writeback.
    pub fn throttle(&self) {
        self.pressure.throttle(&self.counters);
    }

    /// Ends all waiting, now and from now on: after an I/O error that stops writeback, or before
    /// unmounting. Writers that would have to wait get [`CacheError::ShutDown`]; everything else
    /// goes on.
    pub fn shut_down(&self) {
        self.pressure.shut_down();
    }

    /// Whether [`shut_down`](Self::shut_down) was called.
    pub fn is_shut_down(&self) -> bool {
        self.pressure.is_shut_down()
    }

    pub(crate) fn pool(&self) -> &Arc<FramePool> {
        &self.pool
    }

    pub(crate) fn pressure(&self) -> &Pressure {
        &self.pressure
    }

    pub(crate) fn events(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn zero_scanner(&self) -> &ZeroScanner {
        &self.zero_scanner
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Evicts something if memory is low. To be called with no lock held.
    pub(crate) fn make_room(&self) {
        if self.pool.is_low() {
            let wanted = (self.pool.shortfall_frames() as u64).min(EVICTION_BATCH);
            self.evict(wanted, false);
        }
        if self.pool.counters().table_bytes as u64 > self.table_bytes_wanted {
            self.clock.shed_table(&self.registry);
        }
    }

    fn evict(&self, wanted: u64, must: bool) -> u64 {
        let mut evicted = self.clock.evict(&self.pool, &self.registry, wanted, must);
        if evicted < wanted {
            evicted += self.evict_mapped(wanted - evicted, must);
        }
        self.counters.add(Event::Evictions, evicted);
        evicted
    }

    /// Frames that nobody has.
    pub(crate) fn free_frames(&self) -> u64 {
        self.pool.free_frames() as u64
    }

    /// Evicts until so many frames are free, if possible. Says whether they are.
    pub(crate) fn find_frames(&self, wanted: u64) -> bool {
        while self.free_frames() < wanted {
            if self.evict(EVICTION_BATCH, true) == 0 {
                return false;
            }
        }
        true
    }

    /// Remembers a file of which something is mapped, to look for memory there.
    pub(crate) fn note_mapped(&self, mapping: &Arc<Mapping>) {
        let mut mapped = self.mapped.lock();
        mapped.retain(|one| one.upgrade().is_some_and(|one| one.is_mapped()));
        if !mapped.iter().any(|one| std::ptr::eq(one.as_ptr(), Arc::as_ptr(mapping))) {
            mapped.push(Arc::downgrade(mapping));
        }
    }

    /// Gives up mapped pages, when nothing else can be: they cost a fault each when they are wanted
    /// again. Who must have something goes round all of them twice, since a first look only hides
    /// what it finds.
    fn evict_mapped(&self, wanted: u64, must: bool) -> u64 {
        let mapped = self.mapped.lock().clone();
        let mut evicted = 0;
        for mapping in mapped.iter().filter_map(Weak::upgrade) {
            let mut rounds = 0;
            loop {
                let (more, is_round) = mapping.evict_placed(wanted - evicted);
                evicted += more;
                rounds += u32::from(is_round);
                if evicted >= wanted {
                    return evicted;
                }
                if !must || rounds > MAPPED_ROUNDS {
                    break;
                }
            }
        }
        evicted
    }

    /// Waits until writeback made progress since the ticket.
    pub(crate) fn wait_for_writeback(&self, ticket: Ticket) -> Result<(), CacheError> {
        let started = Instant::now();
        self.pressure.check_running()?;
        self.pressure.progress().wait(ticket);
        self.counters.add(Event::Waits, 1);
        self.counters.add_duration(Event::WaitNanoseconds, started.elapsed());
        self.pressure.check_running()
    }

    /// Waits until there may be a free frame, evicting if possible. `until` keeps the deadline from
    /// call to call.
    pub(crate) fn wait_for_frame(
        &self,
        ticket: Ticket,
        until: &mut Option<Instant>,
    ) -> Result<(), CacheError> {
        if self.evict(EVICTION_BATCH, true) > 0 && self.pool.free_frames() > 0 {
            return Ok(());
        }
        self.pressure.check_running()?;
        let started = Instant::now();
        let deadline = Duration::from_millis(self.memory_deadline_ms.load(Ordering::Relaxed));
        let until = *until.get_or_insert_with(|| after(started, deadline));
        if started >= until {
            return Err(CacheError::OutOfMemory { waited: deadline });
        }
        let waiting = self.pressure.enter_frame_wait();
        self.pressure.progress().wait_until(ticket, until.min(started + FRAME_POLL));
        drop(waiting);
        self.counters.add(Event::MemoryWaits, 1);
        self.counters.add_duration(Event::MemoryWaitNanoseconds, started.elapsed());
        Ok(())
    }
}

impl fmt::Debug for PageCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PageCache")
            .field("policy", &self.policy())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

/// The time so long after another; a day after, if the clock does not reach that far.
fn after(start: Instant, duration: Duration) -> Instant {
    start.checked_add(duration).unwrap_or_else(|| start + Duration::from_secs(24 * 60 * 60))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
