//! What is compared: our regions, a sorted array, a map of the standard library.

use std::collections::BTreeMap;

use braidfs_mm::{Regions, Uniform};

use super::traces::Layout;

/// A range with a value, as an array holds it.
#[derive(Clone, Copy)]
pub struct Slot {
    start: u64,
    end: u64,
    value: u64,
}

/// The regions, added in random order.
pub fn regions_of(layout: &Layout) -> Regions<Uniform<u64>> {
    let mut regions = Regions::new();
    for (range, value) in layout.shuffled() {
        regions.insert(range, Uniform(value)).expect("ranges that do not overlap");
    }
    regions
}

/// A sorted array.
pub fn sorted_array(layout: &Layout) -> Vec<Slot> {
    let mut slots: Vec<Slot> =
        layout.shuffled().map(|(range, value)| slot(&range, value)).collect();
    slots.sort_by_key(|slot| slot.start);
    slots
}

/// A sorted array that is copied for each region that is added, so that readers need no lock.
pub fn copied_array(layout: &Layout) -> Vec<Slot> {
    layout.shuffled().fold(Vec::new(), |slots, (range, value)| {
        let at = slots.partition_point(|slot: &Slot| slot.start <= range.start);
        let mut copy = Vec::with_capacity(slots.len() + 1);
        copy.extend_from_slice(&slots[..at]);
        copy.push(slot(&range, value));
        copy.extend_from_slice(&slots[at..]);
        copy
    })
}

/// A map from starts.
pub fn ordered_map(layout: &Layout) -> BTreeMap<u64, (u64, u64)> {
    layout.shuffled().map(|(range, value)| (range.start, (range.end, value))).collect()
}

/// The value at an address, 0 if there is none.
pub fn search_array(slots: &[Slot], at: u64) -> u64 {
    let before = slots.partition_point(|slot| slot.start <= at);
    let found = before.checked_sub(1).map(|before| slots[before]);
    found.filter(|slot| at < slot.end).map_or(0, |slot| slot.value)
}

/// The same.
pub fn search_map(map: &BTreeMap<u64, (u64, u64)>, at: u64) -> u64 {
    let before = map.range(..=at).next_back();
    before.filter(|(_, (end, _))| at < *end).map_or(0, |(_, (_, value))| *value)
}

fn slot(range: &std::ops::Range<u64>, value: u64) -> Slot {
    Slot { start: range.start, end: range.end, value }
}
