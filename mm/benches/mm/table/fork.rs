//! Forking a table against fork(2) of a process with as many touched pages.

use std::sync::Arc;

use braidfs_measure::{Figure, Report, interleave, time_ns};
use braidfs_mm::{FramePool, PAGE_SIZE, PageTable, PoolConfig};

use crate::fork_anchor::ForkAnchor;

/// Forks timed together on our side: one is too short for the clock.
const BATCH: usize = 256;
/// Frames a table shares at most: a bigger one names each of them more than once. What a page of
/// it costs to fork does not depend on it, and the machine has not the memory for more.
const MOST_FRAMES: u64 = 1 << 18;

/// Measures forks, and what they cost afterwards.
pub fn run(report: &mut Report) {
    forks(report);
    memory_of_a_fork(report);
    first_writes(report);
}

/// What a fork takes, by size.
fn forks(report: &mut Report) {
    let sizes: &[(usize, f64)] =
        if report.is_quick() { &[(64, 1.0)] } else { &[(512, 16.0), (1024, 65.0), (8192, 65.0)] };
    let Some(mut floor) = ForkAnchor::start(1) else {
        return report.remark("fork: too little memory is available");
    };
    let mut first = None;
    for &(mebibytes, goal) in sizes {
        let Some(mut anchor) = ForkAnchor::start(mebibytes) else {
            report.remark(&format!("fork of {mebibytes} MiB: too little memory is available"));
            continue;
        };
        let table = table_of((mebibytes as u64) << 8);
        let rounds = report.choose(21, 3);
        let [ours, theirs, floor] = interleave(
            rounds,
            [&mut || fork_ns(&table), &mut || anchor.fork_ns(), &mut || floor.fork_ns()],
        );
        let name = format!("fork of {mebibytes} MiB");
        let beside = "fork(2) less that of 1 MiB";
        report.add(
            Figure::less_is_better(name, ours.median(), "ns")
                .against(beside, theirs.less(floor.median()).median())
                .goal_times(goal)
                .note("ours: fork and drop of a table in user space; theirs: a whole process, less the fork of one of 1 MiB, without its exit"),
        );
        let smallest = *first.get_or_insert(ours.min());
        report.add(
            Figure::less_is_better(format!("fork of {mebibytes} MiB, least"), ours.min(), "ns")
                .against("the smallest size", smallest)
                .goal_times(1.0 / 1.2),
        );
    }
}

/// New table memory that a fork of 1 GiB takes.
fn memory_of_a_fork(report: &mut Report) {
    let mebibytes = report.choose(1024, 64);
    let Some(mut anchor) = ForkAnchor::start(mebibytes) else {
        return report.remark("memory of a fork: too little memory is available");
    };
    let theirs = anchor.child_table_kib();
    let mut table = table_of((mebibytes as u64) << 8);
    let used_kib = |table: &PageTable| table.pool().counters().table_bytes as f64 / 1024.0;
    let before = used_kib(&table);
    let _fork = table.fork();
    let forked = used_kib(&table);
    let page = table.pool().allocate().expect("a frame");
    table.insert(0, page).expect("table memory");
    let written = used_kib(&table);
    let name = format!("table memory of a fork of {mebibytes} MiB");
    let note =
        "accounted node bytes; the second after one page was written through the fork's parent";
    for (name, kib) in
        [(name.clone(), forked - before), (format!("{name}, then a write"), written - before)]
    {
        report.add(
            Figure::less_is_better(name, kib, "kB")
                .against("VmPTE of a forked child", theirs)
                .goal_at_most(44.0)
                .note(note),
        );
    }
}

/// The first write to each page after a fork, in order, while the fork lives.
fn first_writes(report: &mut Report) {
    let mebibytes = report.choose(512, 32);
    let Some(mut anchor) = ForkAnchor::start(mebibytes) else {
        return report.remark("first writes: too little memory is available");
    };
    let mut table = table_of((mebibytes as u64) << 8);
    let rounds = report.choose(7, 2);
    let [ours, theirs] = interleave(
        rounds,
        [&mut || write_after_fork_ns(&mut table), &mut || anchor.write_after_fork_ns_per_page()],
    );
    report.add(
        Figure::less_is_better("first write to a page after a fork", ours.median(), "ns")
            .against("the kernel's copy fault", theirs.median())
            .goal_times(1.0)
            .note("ours: a call that breaks the nodes, takes a frame and copies 4 KiB; theirs: the same by a page fault, which finds the way by hardware"),
    );
}

/// Nanoseconds a page to write one byte of each page of a table that was just forked.
fn write_after_fork_ns(table: &mut PageTable) -> f64 {
    let fork = table.fork();
    let pages = table.counts().frames;
    let pool = Arc::clone(table.pool());
    let elapsed = time_ns(|| {
        for index in 0..pages {
            if let Some(mut page) = table.page_mut(index) {
                page[0] = 2;
                continue;
            }
            let shared = table.get(index).expect("an entry").frame().expect("a frame");
            let mut copy = pool.allocate_copy(shared.page()).expect("a frame");
            copy[0] = 2;
            table.insert(index, copy).expect("table memory");
        }
    });
    drop(fork);
    elapsed / pages as f64
}

fn fork_ns(table: &PageTable) -> f64 {
    time_ns(|| (0..BATCH).for_each(|_| drop(std::hint::black_box(table.fork())))) / BATCH as f64
}

/// A table of so many pages in frames, of a pool that is twice as big and all touched: the system's
/// faults on memory that was never used are not the subject.
fn table_of(pages: u64) -> PageTable {
    let frames = pages.min(MOST_FRAMES);
    let pool: Arc<FramePool> =
        FramePool::new(&PoolConfig::new(2 * frames * PAGE_SIZE as u64)).expect("a pool");
    let mut table = PageTable::new(&pool);
    let touched: Vec<_> =
        (0..2 * frames).map(|_| pool.allocate_zeroed().expect("a frame")).collect();
    drop(touched);
    for index in 0..frames {
        table.insert(index, pool.allocate().expect("a frame")).expect("table memory");
    }
    for index in frames..pages {
        let frame = table.get(index % frames).expect("an entry").frame().expect("a frame");
        let frame = frame.to_frame();
        table.insert(index, frame).expect("table memory");
    }
    table
}
