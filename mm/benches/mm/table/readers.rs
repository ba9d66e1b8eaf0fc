//! Readers of one table, with and without a lock, alone and beside a writer.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Instant;

use braidfs_measure::{Figure, Report, Samples, interleave};
use braidfs_mm::{FramePool, PAGE_SIZE, PageTable, PoolConfig, TableReader};

const PAGES: u64 = 8192;
/// Pages the writer puts under one hold of the lock, as a write of 1 MiB does.
const PAGES_A_HOLD: u64 = 256;

/// How pages are looked up.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Reader,
    Lock,
}

/// What readers did.
struct Outcome {
    /// Pages a microsecond, by all readers together.
    rate: f64,
    /// What a read took, in nanoseconds: 99.9 of 100 took less.
    p999_ns: f64,
}

/// A table behind a lock, and a reader that does without it.
struct Scene {
    table: RwLock<PageTable>,
    reader: TableReader,
    pool: Arc<FramePool>,
}

impl Scene {
    fn new() -> Self {
        let pool = FramePool::new(&PoolConfig::new(3 * PAGES * PAGE_SIZE as u64)).expect("a pool");
        let mut table = PageTable::new(&pool);
        for index in 0..PAGES {
            table.insert(index, pool.allocate_zeroed().expect("a frame")).expect("table memory");
        }
        let reader = table.reader();
        Self { table: RwLock::new(table), reader, pool }
    }

    /// Copies a page out.
    fn read(&self, way: Way, index: u64, target: &mut [u8; PAGE_SIZE]) {
        if way == Way::Reader
            && let Some(entry) = self.reader.get(index)
            && let Some(frame) = entry.frame()
        {
            return target.copy_from_slice(&frame[..]);
        }
        let table = self.table.read().expect("the lock");
        if let Some(frame) = table.get(index).and_then(|entry| entry.frame()) {
            target.copy_from_slice(frame.page());
        }
    }

    /// Puts new pages until told to stop, many under each hold of the lock.
    fn write_on(&self, stop: &AtomicBool) {
        let mut first = 0;
        while !stop.load(Ordering::Relaxed) {
            let mut table = self.table.write().expect("the lock");
            for index in first..first + PAGES_A_HOLD {
                let page = self.pool.allocate_zeroed().expect("a frame");
                table.insert(index, page).expect("table memory");
            }
            first = (first + PAGES_A_HOLD) % PAGES;
        }
    }

    /// Lets so many threads read that many pages each.
    fn run(&self, way: Way, threads: u64, reads: u64, with_writer: bool) -> Outcome {
        let stop = AtomicBool::new(false);
        let mut tails = Samples::default();
        let started = Instant::now();
        let mut elapsed = 0.0;
        std::thread::scope(|scope| {
            if with_writer {
                scope.spawn(|| self.write_on(&stop));
            }
            let readers: Vec<_> = (0..threads)
                .map(|seed| scope.spawn(move || self.read_on(way, reads, seed)))
                .collect();
            readers.into_iter().for_each(|reader| tails.push(reader.join().expect("a reader")));
            elapsed = started.elapsed().as_nanos() as f64;
            stop.store(true, Ordering::Relaxed);
        });
        Outcome { rate: (threads * reads) as f64 / elapsed * 1e3, p999_ns: tails.median() }
    }

    /// Reads pages at random; says what the slow ones took.
    fn read_on(&self, way: Way, reads: u64, seed: u64) -> f64 {
        let (mut random, mut target) = (seed, [0; PAGE_SIZE]);
        let times = (0..reads).map(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            let started = Instant::now();
            self.read(way, (random >> 33) % PAGES, black_box(&mut target));
            started.elapsed().as_nanos() as f64
        });
        times.collect::<Samples>().quantile(0.999)
    }
}

/// Measures reads by several threads.
pub fn run(report: &mut Report) {
    let (reads, rounds) = (report.choose(200_000, 5_000), report.choose(7, 2));
    let scene = Scene::new();
    for with_writer in [false, true] {
        for threads in [1, 2, 4] {
            let (mut fast, mut locked) = (Samples::default(), Samples::default());
            let [ours, theirs] = interleave(
                rounds,
                [
                    &mut || measure(&scene, Way::Reader, threads, reads, with_writer, &mut fast),
                    &mut || measure(&scene, Way::Lock, threads, reads, with_writer, &mut locked),
                ],
            );
            let beside = if with_writer { "beside a writer" } else { "alone" };
            report.add(
                Figure::more_is_better(
                    format!("reads by {threads} threads {beside}"),
                    ours.median(),
                    "M/s",
                )
                .against("under a shared lock", theirs.median())
                .note("look-up and copy of 4 KiB, all threads together, the clock included"),
            );
            report.add(
                Figure::less_is_better(
                    format!("99.9% of these take less than, {threads} threads {beside}"),
                    fast.median(),
                    "ns",
                )
                .against("under a shared lock", locked.median())
                .note("with more threads than processors this is the scheduler's doing in part"),
            );
        }
    }
}

/// Pages a microsecond; notes the slow ones.
fn measure(
    scene: &Scene,
    way: Way,
    threads: u64,
    reads: u64,
    with_writer: bool,
    tails: &mut Samples,
) -> f64 {
    let outcome = scene.run(way, threads, reads, with_writer);
    tails.push(outcome.p999_ns);
    outcome.rate
}
