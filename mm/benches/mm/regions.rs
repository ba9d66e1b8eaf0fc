//! Regions: looking up, hit and miss, against a sorted array and a `BTreeMap`; and setting them up.
//!
//! All contestants answer the same: the value of the region at an address, or nothing. The sorted array
//! is the one KVM had (a binary search over starts); `BTreeMap` is the tree of the standard library.
//! Neither remembers anything: that is what is compared.

mod contestants;
mod traces;

use std::hint::black_box;

use braidfs_measure::{Figure, Report, interleave, time_ns};
use braidfs_mm::{LastLookup, Regions, Uniform};

use contestants::{copied_array, ordered_map, regions_of, search_array, search_map, sorted_array};
use traces::{Layout, Trace};

/// Numbers of regions, as in the proposals and measurements for KVM.
const SIZES: [u64; 4] = [10, 509, 4096, 32_000];

/// Measures the group.
pub fn run(report: &mut Report) {
    crate::pin::pin_to_one_processor();
    cached_misses(report);
    for size in SIZES {
        for trace in Trace::ALL {
            compare(report, size, trace);
        }
    }
    set_up(report);
    report.remark(
        "KVM itself cannot be timed from here: it keeps slots in a red-black tree by guest frame \
         with the last hit beside it, and misses in the page table; its ioctls took 3.8 s to set \
         up 32,000 slots where these figures were planned",
    );
}

/// Nanoseconds that one look-up of a trace takes.
fn per_lookup(trace: &[u64], mut look_up: impl FnMut(u64) -> u64) -> f64 {
    let mut sum = || trace.iter().fold(0u64, |sum, at| sum.wrapping_add(look_up(black_box(*at))));
    time_ns(|| black_box(sum())) / trace.len() as f64
}

fn cached(regions: &Regions<Uniform<u64>>, last: &mut LastLookup<Uniform<u64>>, at: u64) -> u64 {
    regions.lookup(at, last).value().map_or(0, |value| value.0)
}

/// Misses in one gap: what a device that is emulated, or a file that is mostly holes, causes.
fn cached_misses(report: &mut Report) {
    let rounds = report.choose(101, 5);
    let mut at_ten = None;
    for size in SIZES {
        let layout = Layout::of(size);
        let trace = layout.one_gap();
        let (regions, array) = (regions_of(&layout), sorted_array(&layout));
        let mut last = LastLookup::new();
        let [ours, uncached, theirs] = interleave(
            rounds,
            [
                &mut || per_lookup(&trace, |at| cached(&regions, &mut last, at)),
                &mut || per_lookup(&trace, |at| regions.find(at).value().map_or(0, |v| v.0)),
                &mut || per_lookup(&trace, |at| search_array(&array, at)),
            ],
        );
        let name = format!("miss in one gap, {size} regions");
        let note = "one look-up of 16,384 in a loop; the trace itself is in the cache";
        let figure = Figure::less_is_better(&name, ours.median(), "ns")
            .against("sorted array, binary search", theirs.median())
            .note(note);
        report.add(if size == 32_000 { figure.goal_times(9.3) } else { figure });
        report.add(
            Figure::less_is_better(format!("{name}, at most"), ours.median(), "ns")
                .goal_at_most(10.0),
        );
        report.add(Figure::less_is_better(
            format!("{name}, nothing remembered"),
            uncached.median(),
            "ns",
        ));
        let least = *at_ten.get_or_insert(ours.min());
        report.add(
            Figure::less_is_better(format!("{name}, least"), ours.min(), "ns")
                .against("10 regions", least)
                .goal_times(1.0 / 1.2),
        );
    }
}

/// One trace at one size.
fn compare(report: &mut Report, size: u64, trace: Trace) {
    let layout = Layout::of(size);
    let addresses = layout.trace(trace);
    let (regions, array, map) = (regions_of(&layout), sorted_array(&layout), ordered_map(&layout));
    let mut last = LastLookup::new();
    let rounds = report.choose(101, 5);
    let [ours, sorted, tree] = interleave(
        rounds,
        [
            &mut || per_lookup(&addresses, |at| cached(&regions, &mut last, at)),
            &mut || per_lookup(&addresses, |at| search_array(&array, at)),
            &mut || per_lookup(&addresses, |at| search_map(&map, at)),
        ],
    );
    let name = format!("{}, {size} regions", trace.name());
    let figure = Figure::less_is_better(&name, ours.median(), "ns")
        .against("sorted array", sorted.median())
        .note(trace.note());
    report.add(if trace.has_goal() { figure.goal_within_percent(5.0) } else { figure });
    report
        .add(Figure::less_is_better(name, ours.median(), "ns").against("BTreeMap", tree.median()));
}

/// Adding one region after the other, in any order.
fn set_up(report: &mut Report) {
    let size = report.choose(32_000, 2_000);
    let layout = Layout::of(size);
    let rounds = report.choose(5, 3);
    let [ours, copying, map] = interleave(
        rounds,
        [
            &mut || time_ns(|| regions_of(&layout)) / 1e6,
            &mut || time_ns(|| copied_array(&layout)) / 1e6,
            &mut || time_ns(|| ordered_map(&layout)) / 1e6,
        ],
    );
    let name = format!("set-up of {size} regions in random order");
    let figure = Figure::less_is_better(&name, ours.median(), "ms")
        .against("an array copied for each, as KVM's was", copying.median())
        .note("ours checks for overlaps; the array is searched, copied with one more, and dropped");
    // What copying costs grows with the square of the size.
    report.add(if report.is_quick() { figure } else { figure.goal_times(27.0) });
    report.add(Figure::less_is_better(name, ours.median(), "ms").against("BTreeMap", map.median()));
}
