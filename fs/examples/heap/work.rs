//! Writers and snapshots, side by side.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Outcome;
use super::heap::{Heap, PAGE};
use super::options::Options;

/// What one snapshot was like.
struct Snapshot {
    /// How long stores could be kept waiting.
    pause: Duration,
    /// How long it took to become durable.
    took: Duration,
    /// The longest that any transfer took since the snapshot before.
    longest_transfer: Duration,
}

/// A generator of numbers that are random enough to spread the writes.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }
}

/// Runs the writers, and takes snapshots, until the time is over.
pub fn run(heap: &Heap, options: &Options) -> Outcome<()> {
    let (ends, failed) = (AtomicBool::new(false), AtomicBool::new(false));
    let longest_ns = AtomicU64::new(0);
    // Transfers until the next snapshot, if they are limited.
    let budget = AtomicU64::new(0);
    let mut snapshots = Vec::new();
    let outcome = std::thread::scope(|scope| {
        for thread in 0..options.threads {
            let (ends, failed, longest_ns, budget) = (&ends, &failed, &longest_ns, &budget);
            scope.spawn(move || {
                let done = write(heap, options, thread, ends, longest_ns, budget);
                failed.fetch_or(done.is_err(), Ordering::Relaxed);
            });
        }
        let outcome = take_snapshots(heap, options, &longest_ns, &budget, &mut snapshots);
        ends.store(true, Ordering::Relaxed);
        outcome
    });
    outcome?;
    if failed.load(Ordering::Relaxed) {
        return Err("a writer failed".into());
    }
    report(heap, options, &snapshots)
}

/// Moves money between accounts of one thread until the end.
fn write(
    heap: &Heap,
    options: &Options,
    thread: usize,
    ends: &AtomicBool,
    longest_ns: &AtomicU64,
    budget: &AtomicU64,
) -> Outcome<()> {
    let mut numbers = Numbers(0x1234_5678_9abc_def1 + thread as u64);
    let (threads, thread_key) = (options.threads as u64, thread as u64);
    let own = heap.records() / threads;
    while !ends.load(Ordering::Relaxed) {
        if options.dirty_percent.is_some()
            && budget
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_err()
        {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        // Each account belongs to one thread.
        let [one, other] = [(); 2].map(|()| numbers.below(own) * threads + thread_key + 1);
        if one != other {
            let started = Instant::now();
            heap.transfer(thread, [one, other], numbers.below(50))?;
            let took = started.elapsed().as_nanos() as u64;
            longest_ns.fetch_max(took, Ordering::Relaxed);
        }
    }
    Ok(())
}

fn take_snapshots(
    heap: &Heap,
    options: &Options,
    longest_ns: &AtomicU64,
    budget: &AtomicU64,
    snapshots: &mut Vec<Snapshot>,
) -> Outcome<()> {
    let pages = heap.mebibytes() as f64 * (1 << 20) as f64 / PAGE as f64;
    // A transfer writes two pages, seldom the same ones.
    let transfers = options.dirty_percent.map(|percent| (pages * percent / 200.0) as u64);
    let ends = Instant::now() + options.duration;
    while Instant::now() < ends {
        budget.store(transfers.unwrap_or(0), Ordering::Relaxed);
        std::thread::sleep(options.interval);
        let (before, started) = (heap.pause_ns(), Instant::now());
        heap.sync()?;
        let snapshot = Snapshot {
            pause: Duration::from_nanos(heap.pause_ns() - before),
            took: started.elapsed(),
            longest_transfer: Duration::from_nanos(longest_ns.swap(0, Ordering::Relaxed)),
        };
        println!(
            "snapshot: {:.3} ms pause, durable after {:.1} ms, longest transfer {:.3} ms",
            milliseconds(snapshot.pause),
            milliseconds(snapshot.took),
            milliseconds(snapshot.longest_transfer)
        );
        snapshots.push(snapshot);
    }
    Ok(())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn median(snapshots: &[Snapshot], what: impl Fn(&Snapshot) -> Duration) -> f64 {
    let mut values: Vec<f64> = snapshots.iter().map(|one| milliseconds(what(one))).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn report(heap: &Heap, options: &Options, snapshots: &[Snapshot]) -> Outcome<()> {
    let (forks, faults) = heap.forks_and_faults();
    let pause = median(snapshots, |one| one.pause);
    let took = median(snapshots, |one| one.took);
    let longest = median(snapshots, |one| one.longest_transfer);
    println!(
        "{} snapshots, medians: pause {pause:.3} ms, durable after {took:.1} ms, longest transfer \
         {longest:.3} ms; {} transfers, {faults} faults, {forks} forks",
        snapshots.len(),
        heap.transfers()
    );
    if let Some(path) = &options.figures {
        let figures = serde_json::json!({
            "mapped_mib": heap.mebibytes(),
            "mechanism": heap.mechanism().name(),
            "dirty_percent": options.dirty_percent,
            "snapshots": snapshots.len(),
            "pause_ms_median": pause,
            "durable_after_ms_median": took,
            "longest_transfer_ms_median": longest,
        });
        std::fs::write(path, serde_json::to_string_pretty(&figures)?)?;
    }
    Ok(())
}
