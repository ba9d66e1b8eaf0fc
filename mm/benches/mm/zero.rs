//! Zero pages: reading those that were never written, those that were deduplicated, and those that
//! have memory of their own; and what finding them costs, with the kernel's same-page merging (KSM)
//! beside it.

mod ksm;

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;

use braidfs_measure::{Figure, Report, Samples, interleave, time_ns};
use braidfs_mm::{Content, FramePool, PAGE_SIZE, PageTable, PoolConfig, Tag, ZeroPages};

use ksm::Ksm;

/// Bytes between two reads: a cache line.
const LINE_BYTES: usize = 64;
/// Samples that it takes to read all pages of a table.
const WINDOWS: u64 = 32;

/// Measures the group.
pub fn run(report: &mut Report) {
    crate::pin::pin_to_one_processor();
    let pages = report.choose(1 << 16, 1 << 12);
    reads(report, pages);
    dedup(report, pages);
    colours(report, pages);
}

/// A table of so many pages with that content.
fn table_of(
    pages: u64,
    pool_pages: u64,
    content: impl Fn(&Arc<FramePool>) -> Content,
) -> PageTable {
    let config = PoolConfig::new((pool_pages.max(64)) * PAGE_SIZE as u64);
    let pool = FramePool::new(&config).expect("memory for a pool");
    let mut table = PageTable::new(&pool);
    for index in 0..pages {
        table.insert(index, content(&pool)).expect("table memory");
    }
    table
}

fn zeroed(pool: &Arc<FramePool>) -> Content {
    Content::Frame(pool.allocate_zeroed().expect("a frame").share())
}

/// Reads some pages of a table after the other, and all of them in turn.
struct Reader<'a> {
    table: &'a PageTable,
    zero_pages: &'a ZeroPages,
    pages: u64,
    next: u64,
}

impl<'a> Reader<'a> {
    fn new(table: &'a PageTable, pages: u64, zero_pages: &'a ZeroPages) -> Self {
        Self { table, zero_pages, pages, next: 0 }
    }

    /// Reads one word of each cache line of the next pages through the table; nanoseconds a line.
    /// So few pages that a sample is seldom interrupted.
    fn read_ns(&mut self) -> f64 {
        let count = self.pages / WINDOWS;
        let pages = self.next..self.next + count;
        self.next = pages.end % self.pages;
        let read = || assert_eq!(sum_of(self.table, self.zero_pages, pages), 0);
        time_ns(read) / (count * (PAGE_SIZE / LINE_BYTES) as u64) as f64
    }
}

fn sum_of(table: &PageTable, zero_pages: &ZeroPages, pages: Range<u64>) -> u64 {
    let mut sum = 0u64;
    for index in pages {
        let entry = table.get(black_box(index)).expect("an entry");
        let page = entry.content.page(index, zero_pages).expect("a page in memory");
        let lines = page.chunks_exact(LINE_BYTES);
        sum += lines.map(|line| u64::from(black_box(line)[0])).sum::<u64>();
    }
    black_box(sum)
}

fn reads(report: &mut Report, pages: u64) {
    let zero_pages = ZeroPages::default();
    let holes = table_of(pages, 0, |_| Content::HoleZero);
    let distinct = table_of(pages, pages, zeroed);
    // Written, and found by their content.
    let mut found = table_of(pages, pages, zeroed);
    (0..pages).for_each(|index| assert!(found.dedup_zero(index).expect("table memory")));
    assert_eq!(found.pool().free_frames(), found.pool().frames());
    let [mut of_holes, mut of_found, mut of_distinct] =
        [&holes, &found, &distinct].map(|table| Reader::new(table, pages, &zero_pages));
    let [never, deduplicated, with_memory] = interleave(
        report.choose(16, 1) * WINDOWS as usize,
        [&mut || of_holes.read_ns(), &mut || of_found.read_ns(), &mut || of_distinct.read_ns()],
    );
    let name = "reading deduplicated zeros, a cache line";
    let note = format!(
        "{} MiB in order, one word a line, each page looked up in the table",
        (pages as usize * PAGE_SIZE) >> 20
    );
    let against = |anchor, samples: &Samples| {
        let figure = Figure::less_is_better(name, deduplicated.median(), "ns");
        figure.against(anchor, samples.median()).note(&note)
    };
    report.add(against("never written", &never).goal_within_percent(5.0));
    // The few pages of a quick run fit into the cache, where memory costs little.
    let figure = against("pages with memory", &with_memory);
    report.add(if report.is_quick() { figure } else { figure.goal_times(3.0) });
}

/// What it costs to find a page of zeros and give back its memory.
fn dedup(report: &mut Report, pages: u64) {
    let rounds = report.choose(5, 1);
    let mebibytes = (pages as usize * PAGE_SIZE) >> 20;
    let mut ksm = Ksm::new();
    let (mut ours, mut theirs, mut processor) =
        (Samples::default(), Samples::default(), Samples::default());
    let (mut merged_reads, mut own_reads) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        ours.push(dedup_ns(pages));
        if let Ok(ksm) = &mut ksm
            && let Some(merged) = ksm.merge(pages as usize)
        {
            theirs.push(merged.wall_ns_a_page);
            processor.push(merged.processor_ns_a_page);
            own_reads.push(merged.read_before_ns);
            merged_reads.push(merged.read_after_ns);
        }
    }
    let figure = Figure::less_is_better("finding a page of zeros", ours.median(), "ns")
        .note(format!("{mebibytes} MiB of dirty pages in frames: compared, taken out, given back"));
    if theirs.count() == 0 {
        let why = ksm.err().unwrap_or_else(|| "it merged nothing within ten seconds".to_owned());
        report.remark(&format!("no KSM beside it: {why}"));
        return report.add(figure.goal_at_most(5400.0));
    }
    report.add(
        figure.clone().against("KSM with use_zero_pages, wall", theirs.median()).goal_times(1.0),
    );
    report.add(
        figure.against("KSM, time of ksmd", processor.median()).note(
            "in hundredths of a second, so rough; KSM scans twice before it merges, and hashes",
        ),
    );
    report.add(
        Figure::less_is_better(
            "KSM: reading merged zeros, a cache line",
            merged_reads.median(),
            "ns",
        )
        .against("before merging", own_reads.median())
        .note("the kernel's own gain, read through the processor's tables"),
    );
}

/// Finds all pages of a table that are full of zeros, as the scanner does; nanoseconds a page.
fn dedup_ns(pages: u64) -> f64 {
    let mut table = table_of(pages, pages, zeroed);
    (0..pages).for_each(|index| assert!(!table.set_tag(index, Tag::Dirty).expect("an entry")));
    let mut find = || (0..pages).all(|index| table.dedup_zero(index) == Ok(true));
    let found = time_ns(|| assert!(find())) / pages as f64;
    assert_eq!(table.counts().dedup_zeros, pages);
    found
}

/// Whether zero pages of several colours are read faster.
fn colours(report: &mut Report, pages: u64) {
    let holes = table_of(pages, 0, |_| Content::HoleZero);
    let sets = [1, 16, 128].map(ZeroPages::new);
    let [mut of_one, mut of_sixteen, mut of_most] =
        [0, 1, 2].map(|set| Reader::new(&holes, pages, &sets[set]));
    let [one, sixteen, most] = interleave(
        report.choose(16, 1) * WINDOWS as usize,
        [&mut || of_one.read_ns(), &mut || of_sixteen.read_ns(), &mut || of_most.read_ns()],
    );
    for (colours, samples) in [(16, sixteen), (128, most)] {
        report.add(
            Figure::less_is_better(format!("reading holes, {colours} colours"), samples.median(), "ns")
                .against("one colour", one.median())
                .note("nothing is promised: caches here are found by physical address, so more colours only take more of the cache"),
        );
    }
}
