//! The background thread: interval commits, writeback under pressure, unify, the scan for zero pages.
//!
//! Operations do not wait for it but for room in the page cache; it is woken when the cache or the
//! log asks for work, and by the commit interval.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Volume;
use crate::delta::Scope;

/// A log that nobody adds to is folded after this long.
const IDLE_UNIFY: Duration = Duration::from_secs(10);
/// How often the scanner of zero pages goes a step, while it may find something.
const ZERO_SCAN_INTERVAL: Duration = Duration::from_secs(1);
/// Steps in which it goes round the page cache: a page must be left alone for at least a round, so a
/// minute.
const ZERO_SCAN_STEPS: usize = 60;

/// What wakes the thread.
#[derive(Default)]
struct Signal {
    work: bool,
    stop: bool,
}

/// A running background thread.
pub(super) struct Background {
    signal: Arc<(Mutex<Signal>, Condvar)>,
    thread: JoinHandle<()>,
}

impl Background {
    fn wake(&self) {
        self.signal.0.lock().work = true;
        self.signal.1.notify_one();
    }

    /// Ends the thread and waits for it, unless it is the caller: the last user of a volume may be
    /// the thread itself.
    pub(super) fn stop(self) {
        self.signal.0.lock().stop = true;
        self.signal.1.notify_one();
        if self.thread.thread().id() != std::thread::current().id() {
            // A panic of the thread was reported when it happened.
            let _ = self.thread.join();
        }
    }
}

impl Volume {
    pub(super) fn start_background(self: &Arc<Self>) {
        if !self.options.background {
            return;
        }
        let signal: Arc<(Mutex<Signal>, Condvar)> = Arc::default();
        let volume = Arc::downgrade(self);
        let interval = self.settings().commit_interval();
        let for_thread = signal.clone();
        let thread = std::thread::Builder::new()
            .name("braidfs-backend".into())
            .spawn(move || run(&volume, &for_thread, interval));
        match thread {
            Ok(thread) => *self.background.lock() = Some(Background { signal, thread }),
            // Writers do the work then, as without the option.
            Err(error) => tracing::warn!("no background thread: {error}"),
        }
    }

    /// Has the thread look again at what there is to do, and when.
    pub(super) fn wake_background(&self) {
        if let Some(background) = &*self.background.lock() {
            background.wake();
        }
    }

    /// Waits until the page cache has room for more dirty pages. The caller holds no lock.
    pub(super) fn make_room(&self) {
        if !self.cache.needs_writeback() {
            return;
        }
        let woken = self.background.lock().as_ref().map(Background::wake).is_some();
        if woken {
            self.cache.throttle();
        } else {
            self.work();
        }
    }

    /// Writes back and unifies. Errors stick to the volume and reach whoever syncs next.
    fn work(&self) {
        if let Err(error) = self.committer.commit(Scope::Everything) {
            tracing::error!("writeback failed, the volume is read-only now: {error}");
            return;
        }
        if self.store.needs_unify() {
            self.unify_in_background();
        }
    }

    fn unify_in_background(&self) {
        if let Err(error) = self.store.unify() {
            tracing::error!("unify failed: {error}");
        }
    }

    /// Lets the scanner of zero pages go a step, if it is time. Returns when it is time again; `None`
    /// if there is nothing to find for now.
    fn scan_if_due(&self, due: Option<Instant>) -> Option<Instant> {
        if !self.cache.wants_zero_scan() {
            return None;
        }
        let now = Instant::now();
        let next = due.unwrap_or(now + ZERO_SCAN_INTERVAL);
        if now < next {
            return Some(next);
        }
        let frames = self.cache.counters().frames_total;
        self.cache.scan_for_zeros(usize::try_from(frames).unwrap_or(0).div_ceil(ZERO_SCAN_STEPS));
        Some(now + ZERO_SCAN_INTERVAL)
    }

    /// Has the log folded on the background thread, if it is time: whoever fills it up would have to do
    /// it otherwise.
    pub(super) fn unify_ahead(&self) {
        if !self.options.background || !self.store.needs_unify() {
            return;
        }
        self.wake_background();
    }
}

fn run(volume: &Weak<Volume>, signal: &(Mutex<Signal>, Condvar), mut interval: Duration) {
    let mut last_commit = Instant::now();
    let mut idle_since = Instant::now();
    let mut next_scan = Some(last_commit + ZERO_SCAN_INTERVAL);
    while wait(signal, time_left(last_commit + interval, next_scan)) {
        let Some(volume) = volume.upgrade() else { return };
        interval = volume.settings().commit_interval();
        if volume.committer.failure().is_some() {
            return;
        }
        next_scan = volume.scan_if_due(next_scan);
        if volume.cache.needs_writeback() || last_commit.elapsed() >= interval {
            let before = volume.store.durable_through();
            volume.work();
            last_commit = Instant::now();
            if volume.store.durable_through() != before {
                idle_since = last_commit;
            } else if idle_since.elapsed() >= IDLE_UNIFY && volume.store.has_log() {
                volume.unify_in_background();
            }
        } else if volume.store.needs_unify() {
            volume.unify_in_background();
        }
    }
}

/// How long there is to wait for the first of two.
fn time_left(commit: Instant, scan: Option<Instant>) -> Duration {
    scan.map_or(commit, |scan| scan.min(commit)).saturating_duration_since(Instant::now())
}

/// Waits for work, `interval` at most; false when the thread is to end.
fn wait((lock, condition): &(Mutex<Signal>, Condvar), interval: Duration) -> bool {
    let mut signal = lock.lock();
    if !signal.work && !signal.stop {
        condition.wait_for(&mut signal, interval);
    }
    signal.work = false;
    !signal.stop
}
