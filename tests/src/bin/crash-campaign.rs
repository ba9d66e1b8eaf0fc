//! Power losses by the thousand: runs many seeds, goes through the images of each, and reports.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use braidfs_tests::crash::bounded::explore_pairs;
use braidfs_tests::crash::{Effort, Failure, Recorder, Setup, Tally, explore};
use clap::Parser;
use parking_lot::Mutex;

/// Cut recorded runs of a volume at every write, and check what a power loss can leave
#[derive(Parser)]
struct Arguments {
    /// How many runs
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Steps of a run
    #[arg(long, default_value_t = 100)]
    steps: usize,
    /// Subsets of uncertain writes where there are more than 6 of them
    #[arg(long, default_value_t = 30)]
    subsets: usize,
    /// Images with a damaged write at each place
    #[arg(long, default_value_t = 6)]
    damaged: usize,
    /// Every how many images the recovery is cut, too; 0 for never
    #[arg(long, default_value_t = 199)]
    nested_every: usize,
    /// Also all runs of two operations on a small tree
    #[arg(long)]
    pairs: bool,
    /// Threads [default: one for each processor]
    #[arg(long)]
    threads: Option<usize>,
}

impl Arguments {
    /// Every other run has blocks lost one by one, and every third a log that wraps early.
    fn run(&self, seed: u64) -> Tally {
        let log_blocks = if seed.is_multiple_of(3) { 64 } else { 256 };
        let run = Recorder::random(seed, self.steps, &Setup { log_blocks, ..Setup::default() });
        let effort = Effort {
            sampled_subsets: self.subsets,
            damaged: self.damaged,
            use_every: 23,
            nested_every: self.nested_every,
            split_writes: seed.is_multiple_of(2),
        };
        explore(&run, &effort)
    }
}

fn report(failures: &[Failure]) {
    failures.iter().for_each(|failure| eprintln!("FAILED {failure}"));
}

/// All pairs of operations, shared out among the threads.
fn pairs(threads: usize) -> Tally {
    let mut total = Tally::default();
    std::thread::scope(|scope| {
        let shares: Vec<_> = (0..threads)
            .map(|first| {
                scope.spawn(move || {
                    explore_pairs(first, threads, &mut |_, tally| report(&tally.failures))
                })
            })
            .collect();
        for share in shares {
            total.add(share.join().expect("a share"));
        }
    });
    total
}

/// All seeds, taken by the threads one by one.
fn runs(arguments: &Arguments, threads: usize) -> Tally {
    let next = AtomicU64::new(arguments.first);
    let end = arguments.first + arguments.seeds;
    let total = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let tally = arguments.run(seed);
                    report(&tally.failures);
                    total.lock().add(tally);
                }
            });
        }
    });
    total.into_inner()
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let began = Instant::now();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.unwrap_or(processors);
    let mut total = runs(&arguments, threads);
    if arguments.pairs {
        total.add(pairs(threads));
    }
    println!(
        "{} runs of {} steps{}: {} images and {} of cut recoveries in {:.1} s, {} failures",
        arguments.seeds,
        arguments.steps,
        if arguments.pairs { " and all pairs of operations" } else { "" },
        total.images,
        total.nested,
        began.elapsed().as_secs_f64(),
        total.failures.len()
    );
    if total.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
