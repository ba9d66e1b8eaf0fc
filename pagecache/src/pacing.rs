//! How long a writer pauses when much is dirty, so that it slows down smoothly instead of hitting
//! the limit.
//!
//! With `x` the share of the way from the background threshold to the limit, writers together get
//! the rate
//!
//! ```text
//! rate of writeback * (1 - x) / x
//! ```
//!
//! which is unlimited at the threshold, what writeback can do half-way, and nothing at the limit
//! (the curve ZFS delays its writers by). The account is one for all writers: what was dirtied
//! since the last charge is paid by whoever comes next, and moves the time until which the account
//! is spent. Small pauses add up there until one is worth taking.
//!
//! The rate of writeback is measured where it completes, each sample weighted by its size, so that
//! many small fsyncs do not make the device look slow.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::sync::Mutex;

/// Pages per second assumed before anything was measured: 256 MiB/s.
const INITIAL_RATE: f64 = 65536.0;
/// The slowest rate believed, so that one stuck write does not stop writers for minutes.
const SLOWEST_RATE: f64 = 256.0;
/// Pages (16 MiB) after which a sample replaces what was known before.
const FULL_WEIGHT_PAGES: f64 = 4096.0;
/// The longest pause of one call.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The account of all writers, and the measured rate of writeback.
#[derive(Debug)]
pub(crate) struct Pacer {
    unpaid_pages: AtomicU64,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    rate: f64,
    spent_until: Instant,
    last_written: Instant,
}

impl Pacer {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let account = Account { rate: INITIAL_RATE, spent_until: now, last_written: now };
        Self { unpaid_pages: AtomicU64::new(0), account: Mutex::new(account) }
    }

    /// Puts pages on the account.
    pub(crate) fn note_dirtied(&self, pages: u64) {
        self.unpaid_pages.fetch_add(pages, Ordering::Relaxed);
    }

    /// Learns that `pages` became durable from `started` to `now`.
    pub(crate) fn note_written(&self, pages: u64, started: Instant, now: Instant) {
        if pages == 0 {
            return;
        }
        let mut account = self.account.lock();
        // Copies in flight side by side share the device: count the time since the last one
        // completed.
        let since = started.max(account.last_written);
        let seconds = now.saturating_duration_since(since).as_secs_f64().max(1e-6);
        let sample = (pages as f64 / seconds).max(SLOWEST_RATE);
        let weight = (pages as f64 / FULL_WEIGHT_PAGES).min(1.0);
        account.rate += (sample - account.rate) * weight;
        account.last_written = now;
    }

    /// Charges the caller for what is on the account; it should pause until the time returned.
    pub(crate) fn charge(&self, fullness: f64, now: Instant) -> Instant {
        let pages = self.unpaid_pages.swap(0, Ordering::Relaxed);
        let mut account = self.account.lock();
        let seconds = pages as f64 / account.rate * (fullness / (1.0 - fullness).max(1e-3));
        let pause = Duration::from_secs_f64(seconds.min(LONGEST_PAUSE.as_secs_f64()));
        account.spent_until = (account.spent_until.max(now) + pause).min(now + LONGEST_PAUSE);
        account.spent_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause_for(pacer: &Pacer, pages: u64, fullness: f64) -> Duration {
        pacer.note_dirtied(pages);
        let now = Instant::now() + Duration::from_secs(10);
        pacer.account.lock().spent_until = now;
        pacer.charge(fullness, now) - now
    }

    #[test]
    fn half_way_writers_get_the_rate_of_writeback() {
        let pacer = Pacer::new();
        let pause = pause_for(&pacer, 65, 0.5);
        assert!((0.0009..0.0011).contains(&pause.as_secs_f64()), "{pause:?}");
    }

    #[test]
    fn the_pause_grows_smoothly_and_is_bounded() {
        let pacer = Pacer::new();
        let pauses: Vec<_> =
            [0.0, 0.2, 0.5, 0.8, 1.0].into_iter().map(|x| pause_for(&pacer, 64, x)).collect();
        assert_eq!(pauses[0], Duration::ZERO);
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(pauses[4], LONGEST_PAUSE);
    }

    #[test]
    fn small_samples_hardly_change_the_rate_and_large_ones_replace_it() {
        let pacer = Pacer::new();
        let start = Instant::now();
        pacer.note_written(1, start, start + Duration::from_millis(10));
        assert!(pacer.account.lock().rate > 0.9 * INITIAL_RATE);
        let (from, to) = (start + Duration::from_secs(1), start + Duration::from_secs(2));
        pacer.note_written(10_000, from, to);
        assert!((9_999.0..10_001.0).contains(&pacer.account.lock().rate));
    }

    #[test]
    fn what_one_writer_dirtied_is_charged_once() {
        let pacer = Pacer::new();
        assert!(pause_for(&pacer, 64, 0.5) > Duration::ZERO);
        assert_eq!(pause_for(&pacer, 0, 0.5), Duration::ZERO);
    }

    /// A writer that is faster than the disk, in a time of our own: how long each of its writes waits, and how
    /// many pages were dirty at most. Writes are of 32 pages, and completed 256 at a time.
    fn write_faster_than_the_disk(disk_rate: f64, writes: usize) -> (Vec<Duration>, u64) {
        const BACKGROUND: u64 = 4096;
        const LIMIT: u64 = 16384;
        let (pacer, start) = (Pacer::new(), Instant::now() + Duration::from_secs(1));
        let (mut now, mut completed_at) = (start, start);
        let (mut dirty, mut most, mut waits) = (0, 0, Vec::new());
        for _ in 0..writes {
            let above = dirty.clamp(BACKGROUND, LIMIT) - BACKGROUND;
            let until = pacer.charge(above as f64 / (LIMIT - BACKGROUND) as f64, now);
            let pause = until.saturating_duration_since(now);
            // As `Pressure::pause`: small pauses add up first.
            let pause = if pause < Duration::from_millis(1) { Duration::ZERO } else { pause };
            waits.push(pause);
            now += pause + Duration::from_micros(20);
            while now - completed_at >= Duration::from_secs_f64(256.0 / disk_rate) && dirty >= 256 {
                let since = completed_at;
                completed_at += Duration::from_secs_f64(256.0 / disk_rate);
                dirty -= 256;
                pacer.note_written(256, since, completed_at);
            }
            if dirty < 256 {
                completed_at = now;
            }
            dirty += 32;
            if dirty > BACKGROUND {
                pacer.note_dirtied(32);
            }
            most = most.max(dirty);
        }
        (waits, most)
    }

    #[test]
    fn a_writer_faster_than_the_disk_is_slowed_down_without_a_cliff() {
        for disk_rate in [20_000.0, 100_000.0, 400_000.0] {
            let (waits, most) = write_faster_than_the_disk(disk_rate, 20_000);
            assert!(most < 16384, "the limit is never reached: {most} pages at {disk_rate}");
            // What a write of 32 pages takes at the rate of the disk; nobody waits for much more.
            let fair = Duration::from_secs_f64(32.0 / disk_rate);
            let longest = waits.iter().max().copied().unwrap_or_default();
            let most_allowed = fair.max(Duration::from_millis(1)) * 4;
            assert!(longest <= most_allowed, "{longest:?} of {fair:?} at {disk_rate}");
            let settled: Duration = waits[10_000..].iter().sum();
            let expected = fair * 10_000;
            let ratio = (settled.as_secs_f64() + 0.2) / expected.as_secs_f64();
            assert!((0.8..1.3).contains(&ratio), "writers get what the disk can do: {ratio}");
        }
    }
}
