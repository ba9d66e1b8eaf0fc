//! Tables that go away: a sparse range touched and discarded 2 MiB at a time.
//!
//! Freeing cannot be turned off in the product, so the loop without it leaves one entry in each
//! leaf, which takes no frame: no table is ever empty, and none is freed. All else is the same.

use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;

use braidfs_measure::{Figure, Report, interleave, time_ns};
use braidfs_mm::{Content, FramePool, PAGE_SIZE, PageTable, PoolConfig};

/// The argument that makes the program do a part of the loop, for a counter of instructions; whether
/// tables go away, and how many chunks, follow.
const ARGUMENT: &str = "--discard-loop";
/// Pages of a chunk that take a frame; the last one of each 2 MiB does not.
const TOUCHED: u64 = 511;
const CHUNK: u64 = 512;

/// Whether emptied tables go away.
#[derive(Clone, Copy, PartialEq)]
enum Freeing {
    On,
    Off,
}

/// Whether the program is to do a part of the loop.
pub fn is_wanted() -> bool {
    std::env::args().nth(1).is_some_and(|argument| argument == ARGUMENT)
}

/// Does a part of the loop.
pub fn serve() {
    let freeing = match std::env::args().nth(2).as_deref() {
        Some("on") => Freeing::On,
        _ => Freeing::Off,
    };
    let chunks = std::env::args().nth(3).and_then(|text| text.parse().ok()).unwrap_or(1);
    touch_and_discard(&mut PageTable::new(&pool()), chunks, freeing);
}

/// Measures memory, instructions and throughput of the loop.
pub fn run(report: &mut Report) {
    memory(report);
    instructions(report);
    throughput(report);
}

fn pool() -> Arc<FramePool> {
    let config = PoolConfig { table_bytes: 1 << 30, ..PoolConfig::new(16 << 20) };
    FramePool::new(&config).expect("a pool")
}

/// Touches and discards so many chunks, one after the other.
fn touch_and_discard(table: &mut PageTable, chunks: u64, freeing: Freeing) {
    let pool = Arc::clone(table.pool());
    for first in (0..chunks).map(|chunk| chunk * CHUNK) {
        for index in first..first + TOUCHED {
            table.insert(index, pool.allocate().expect("a frame")).expect("table memory");
        }
        table.insert(first + TOUCHED, Content::HoleZero).expect("table memory");
        let end = if freeing == Freeing::On { first + CHUNK } else { first + TOUCHED };
        black_box(table.remove_range(first..end, |_, _| ()).expect("table memory"));
    }
}

/// The most table memory that the loop over 50 GiB takes at once.
fn memory(report: &mut Report) {
    let chunks = report.choose(25_600, 1024);
    let peak_kib = |freeing| {
        let mut table = PageTable::new(&pool());
        touch_and_discard(&mut table, chunks, freeing);
        table.pool().counters().peak_table_bytes as f64 / 1024.0
    };
    let name = format!("table memory, {} GiB touched and discarded", chunks / 512);
    report.add(
        Figure::less_is_better(name, peak_kib(Freeing::On), "kB")
            .against("with an entry left in each table", peak_kib(Freeing::Off))
            .goal_at_most(240.0)
            .note("the most node bytes at once, what is reserved for the next step included"),
    );
}

/// Instructions a page of the loop takes.
fn instructions(report: &mut Report) {
    let (Some(on), Some(off)) = (instructions_a_page("on"), instructions_a_page("off")) else {
        return report.remark("instructions: valgrind is not there, or can't run this");
    };
    report.add(
        Figure::less_is_better("instructions a page touched and discarded", on, "instr.")
            .against("with an entry left in each table", off)
            .goal_within_percent(1.2)
            .note("insert, allocation, removal and freeing, counted by callgrind; the copy or zeroing of the page is left out of both"),
    );
}

/// Instructions for a page, from the difference between a long and a short run.
fn instructions_a_page(freeing: &str) -> Option<f64> {
    let (short, long) = (64, 192);
    let collected = |chunks: u64| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().ok()?)
            .args([ARGUMENT, freeing, &chunks.to_string()])
            .output()
            .ok()?;
        let text = String::from_utf8(output.stderr).ok()?;
        let line = text.lines().find(|line| line.contains("Collected :"))?;
        line.split_whitespace().last()?.parse::<f64>().ok()
    };
    Some((collected(long)? - collected(short)?) / ((long - short) * CHUNK) as f64)
}

/// Pages touched and discarded a second by several threads, each with a table of its own over one
/// pool.
fn throughput(report: &mut Report) {
    let (chunks, rounds) = (report.choose(800, 40), report.choose(9, 3));
    for threads in [1, 2, 8] {
        let rate = |freeing| {
            let pool = pool();
            let chunks = chunks / threads;
            let elapsed = time_ns(|| {
                std::thread::scope(|scope| {
                    for _ in 0..threads {
                        let mut table = PageTable::new(&pool);
                        scope.spawn(move || touch_and_discard(&mut table, chunks, freeing));
                    }
                });
            });
            (chunks * threads * TOUCHED) as f64 / elapsed * 1e3
        };
        let [on, off] = interleave(rounds, [&mut || rate(Freeing::On), &mut || rate(Freeing::Off)]);
        report.add(
            Figure::more_is_better(format!("faults and discards, {threads} threads"), on.median(), "M/s")
                .against("with an entry left in each table", off.median())
                .note(format!("medians of {rounds} rounds in turns; {PAGE_SIZE}-byte pages that are not filled; for a verdict within a percent see the instructions")),
        );
    }
}
