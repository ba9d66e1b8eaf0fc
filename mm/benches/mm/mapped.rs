//! Mapped pages: faults, and the pause of a snapshot.
//!
//! What is measured is what `mm` does: the fault with the place of the page, and taking back the right
//! to write. What a page cache and a filesystem add (tags, promises of space, the copy for the frozen
//! side) is not in it; the example `heap` of braidfs shows the pause with all of that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use braidfs_measure::{Figure, Report, interleave, time_ns};
use braidfs_mm::{
    Access, Arena, FaultHandler, FaultMechanism, FramePool, LiveRange, MappedMemory, PAGE_SIZE,
    PlacedFrame, PoolConfig, Section, Unresolvable,
};
use memmap2::{Advice, MmapOptions};
use parking_lot::Mutex;

use crate::fork_anchor::ForkAnchor;

/// Memory in which every page is placed at its first fault.
struct Pages {
    arenas: Vec<Arc<Arena>>,
    frames: Mutex<Vec<Option<PlacedFrame>>>,
    /// Whether pages are there before they are touched.
    is_filled: AtomicBool,
}

impl Pages {
    fn place(&self, frames: &mut [Option<PlacedFrame>], page: u64) {
        if let Some(frame @ None) = frames.get_mut(page as usize) {
            let arena = &self.arenas[page as usize / Arena::PAGES];
            *frame = arena.place(page as usize % Arena::PAGES, None).ok();
        }
    }
}

impl FaultHandler for Pages {
    fn resolve(&self, range: &LiveRange, page: u64, access: Access) -> Result<(), Unresolvable> {
        if !self.is_filled.load(Ordering::Relaxed) {
            self.place(&mut self.frames.lock(), page);
        }
        range.show(page..page + 1, access).map_err(|_| Unresolvable)
    }
}

struct Mapped {
    pages: Arc<Pages>,
    memory: MappedMemory,
}

impl Mapped {
    fn new(mebibytes: usize, mechanism: FaultMechanism) -> Self {
        let count = (mebibytes << 20) / PAGE_SIZE;
        let pool = FramePool::new(&PoolConfig::new((mebibytes as u64 + 1) << 20)).unwrap();
        let arenas: Vec<_> =
            (0..count.div_ceil(Arena::PAGES)).map(|_| Arena::new(&pool).unwrap()).collect();
        let section = |(at, arena): (usize, &Arc<Arena>)| Section {
            arena: Arc::clone(arena),
            first: 0,
            pages: (count - at * Arena::PAGES).min(Arena::PAGES),
        };
        let sections = arenas.iter().enumerate().map(section).collect();
        let frames = Mutex::new((0..count).map(|_| None).collect());
        let pages = Arc::new(Pages { arenas, frames, is_filled: AtomicBool::new(false) });
        let memory =
            MappedMemory::new(sections, true, mechanism, pages.clone(), count as u64).unwrap();
        Self { pages, memory }
    }

    /// The same with every page placed and shown to be read.
    fn filled(mebibytes: usize, mechanism: FaultMechanism) -> Self {
        let mapped = Self::new(mebibytes, mechanism);
        {
            let mut frames = mapped.pages.frames.lock();
            (0..mapped.count()).for_each(|page| mapped.pages.place(&mut frames, page));
        }
        mapped.pages.is_filled.store(true, Ordering::Relaxed);
        mapped.memory.range().show(0..mapped.count(), Access::Read).unwrap();
        mapped
    }

    fn count(&self) -> u64 {
        self.memory.range().pages()
    }

    fn store(&self, page: u64) {
        let word = self.memory.word(page as usize * PAGE_SIZE).unwrap();
        word.store(7, Ordering::Relaxed);
    }

    fn protect(&self, pages: &[u64]) {
        self.memory.range().protect(pages.iter().map(|page| *page..page + 1)).unwrap();
    }
}

/// Measures the group.
pub fn run(report: &mut Report) {
    for mechanism in FaultMechanism::ALL {
        if mechanism.is_available() {
            faults(report, mechanism);
            pause(report, mechanism);
        } else {
            report.remark(&format!("{} does not work here", mechanism.name()));
        }
    }
}

/// First touch and first write after a delta, against the kernel's own.
fn faults(report: &mut Report, mechanism: FaultMechanism) {
    let mebibytes = report.choose(64, 4);
    let Some(mut anchor) = ForkAnchor::start(mebibytes) else {
        return report.remark("faults: too little memory is available");
    };
    let count = ((mebibytes << 20) / PAGE_SIZE) as u64;
    let per_page = |nanoseconds: f64| nanoseconds / count as f64;
    let mut first_touch = || {
        let mapped = Mapped::new(mebibytes, mechanism);
        per_page(time_ns(|| (0..count).for_each(|page| mapped.store(page))))
    };
    let mut kernel_touch = || {
        let mut memory = MmapOptions::new().len(mebibytes << 20).map_anon().unwrap();
        memory.advise(Advice::NoHugePage).unwrap();
        per_page(time_ns(|| memory.iter_mut().step_by(PAGE_SIZE).for_each(|byte| *byte = 7)))
    };
    let mapped = Mapped::filled(mebibytes, mechanism);
    let all: Vec<u64> = (0..count).collect();
    let mut rewrite = || {
        mapped.protect(&all);
        per_page(time_ns(|| all.iter().for_each(|page| mapped.store(*page))))
    };
    let mut copy_on_write = || anchor.write_after_fork_ns_per_page();
    let [touched, kernel, rewritten, copied] = interleave(
        report.choose(9, 2),
        [&mut first_touch, &mut kernel_touch, &mut rewrite, &mut copy_on_write],
    );
    let name = mechanism.name();
    report.add(
        Figure::less_is_better(format!("first touch, {name}"), touched.median(), "ns/page")
            .against("the kernel's anonymous fault", kernel.median())
            .note("one fault a page, in order, no fault-around; both zero the page"),
    );
    report.add(
        Figure::less_is_better(format!("first write after a delta, {name}"), rewritten.median(), "ns/page")
            .against("first write after fork(2)", copied.median())
            .note("one fault a page, in order; ours without the copy, which is made only while the delta is being written, theirs with it"),
    );
}

/// Taking back the right to write 1% of the pages, against fork(2).
fn pause(report: &mut Report, mechanism: FaultMechanism) {
    let sizes: &[usize] = if report.is_quick() { &[64] } else { &[1024, 8192] };
    for &mebibytes in sizes {
        // Memory for both.
        let anchor = if crate::fork_anchor::available_mib() > 2 * mebibytes + 4096 {
            ForkAnchor::start(mebibytes)
        } else {
            None
        };
        let Some(mut anchor) = anchor else {
            report.remark(&format!("pause at {mebibytes} MiB: too little memory is available"));
            continue;
        };
        let mapped = Mapped::filled(mebibytes, mechanism);
        let count = mapped.count();
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut ours = || {
            let mut dirty: Vec<u64> = (0..count / 100)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (seed >> 20) % count
                })
                .collect();
            dirty.sort_unstable();
            dirty.dedup();
            dirty.iter().for_each(|page| mapped.store(*page));
            time_ns(|| mapped.protect(&dirty))
        };
        let [paused, forked] =
            interleave(report.choose(15, 3), [&mut ours, &mut || anchor.fork_ns()]);
        let name =
            format!("snapshot pause, {mebibytes} MiB mapped, 1% written, {}", mechanism.name());
        report.add(
            Figure::less_is_better(name, paused.median(), "ns")
                .against("fork(2) of a process of that size", forked.median())
                .note("ours: write-protecting the written pages, at random, one other thread idle; without gathering and tagging them; theirs: the whole fork, without its exit"),
        );
    }
}
