//! The tree against a plain list, its balance, and what readers remember.

use std::sync::RwLock;

use proptest::prelude::*;

use super::node::{DELTA, LEAF_REGIONS, Node};
use super::*;

/// A value that differs in each address of its region, as offsets into a file do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offset(u64);

impl RegionValue for Offset {
    fn part(&self, skip: u64, _length: u64) -> Self {
        Self(self.0 + skip)
    }

    fn join(&self, length: u64, next: &Self) -> Option<Self> {
        (self.0 + length == next.0).then_some(*self)
    }
}

/// Checks every invariant of the tree; returns its regions.
fn check<V: Clone>(regions: &Regions<V>) -> Vec<Range<u64>> {
    let mut found = Vec::new();
    if let Some(root) = &regions.root {
        check_node(root, 0..u64::MAX, &mut found);
    }
    assert_eq!(found.len(), regions.len());
    assert!(found.is_sorted_by(|one, next| one.end <= next.start));
    let listed: Vec<_> = regions.iter(0..u64::MAX).map(|(range, _)| range).collect();
    assert_eq!(listed, found);
    found
}

fn check_node<V>(node: &Node<V>, starts: Range<u64>, found: &mut Vec<Range<u64>>) -> u64 {
    match node {
        Node::Leaf(leaf) => {
            assert!((1..=LEAF_REGIONS).contains(&leaf.regions().len()));
            for (at, region) in leaf.regions().iter().enumerate() {
                assert!(starts.contains(&region.start) && region.start < region.end);
                assert_eq!(leaf.rank(region.start), at + 1);
                found.push(region.start..region.end);
            }
            1
        }
        Node::Branch(branch) => {
            let left = check_node(&branch.sides[0], starts.start..branch.split, found);
            let right = check_node(&branch.sides[1], branch.split..starts.end, found);
            assert_eq!(left + right, branch.leaves);
            assert!(left <= DELTA * right && right <= DELTA * left, "{left} and {right} leaves");
            left + right
        }
    }
}

/// What a list of one slot an address says.
const ADDRESSES: u64 = 400;

struct Model([Option<u64>; ADDRESSES as usize]);

impl Model {
    fn slots(&mut self, range: &Range<u64>) -> &mut [Option<u64>] {
        &mut self.0[range.start as usize..range.end as usize]
    }

    fn is_free(&mut self, range: &Range<u64>) -> bool {
        self.slots(range).iter().all(Option::is_none)
    }

    fn put(&mut self, range: &Range<u64>, offset: u64) {
        let first = range.start;
        for (at, slot) in (first..).zip(self.slots(range)) {
            *slot = Some(offset + at - first);
        }
    }

    fn gap(&self, at: u64) -> Range<u64> {
        let used = |at: &u64| self.0[*at as usize].is_some();
        let start = (0..at).rev().find(used).map_or(0, |at| at + 1);
        start..(at..ADDRESSES).find(used).unwrap_or(u64::MAX)
    }
}

/// What is found at every address, with and without a memory, is what the list says; and what is
/// remembered is exact: whole gaps, and regions that hold the address.
fn compare(regions: &Regions<Offset>, model: &Model, last: &mut LastLookup<Offset>) {
    for at in 0..ADDRESSES {
        let expected = model.0[at as usize];
        for found in [regions.find(at), regions.clone().lookup(at, last)] {
            let range = found.range();
            assert!(range.contains(&at));
            match found.value() {
                Some(value) => assert_eq!(Some(value.part(at - range.start, 1).0), expected),
                None => assert_eq!(expected, None),
            }
        }
        if expected.is_none() {
            assert_eq!(regions.find(at), Found::Gap(model.gap(at)));
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Insert(Range<u64>, u64),
    Remove(Range<u64>),
    Replace(Range<u64>, u64),
    Move(Range<u64>, u64),
    Fork,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let range =
        (0..ADDRESSES, 1..30u64).prop_map(|(start, length)| start..(start + length).min(ADDRESSES));
    // Few offsets, in step with the addresses, so that neighbours often continue each other.
    let offset = (0..3u64).prop_map(|file| file * 10_000);
    let step = prop_oneof![
        6 => (range.clone(), offset.clone()).prop_map(|(range, offset)| {
            let offset = offset + range.start;
            Step::Insert(range, offset)
        }),
        3 => range.clone().prop_map(Step::Remove),
        2 => (range.clone(), offset.clone()).prop_map(|(range, offset)| Step::Replace(range, offset)),
        2 => (range, offset).prop_map(|(range, offset)| Step::Move(range, offset)),
        1 => Just(Step::Fork),
    ];
    prop::collection::vec(step, 1..60)
}

fn run(step: Step, regions: &mut Regions<Offset>, model: &mut Model) {
    match step {
        Step::Insert(range, offset) => {
            let free = model.is_free(&range);
            let inserted = regions.insert(range.clone(), Offset(offset));
            assert_eq!(inserted.is_ok(), free, "{inserted:?}");
            if free {
                model.put(&range, offset);
            }
        }
        Step::Remove(range) => {
            for (part, value) in regions.remove(range.clone()) {
                assert!(range.start <= part.start && part.end <= range.end);
                for (at, slot) in part.clone().zip(model.slots(&part)) {
                    assert_eq!(slot.take(), Some(value.part(at - part.start, 1).0));
                }
            }
            assert!(model.is_free(&range));
        }
        Step::Replace(range, offset) => {
            regions.replace(range.clone(), Offset(offset)).unwrap();
            model.put(&range, offset);
        }
        Step::Move(range, by) => {
            regions.update(range.clone(), |Offset(offset)| Offset(offset + by));
            model.slots(&range).iter_mut().flatten().for_each(|offset| *offset += by);
        }
        Step::Fork => {
            // What goes on is the copy; the original must not notice.
            let original = std::mem::take(regions);
            let before = check(&original);
            *regions = original.clone();
            let _ = regions.clone().remove(0..ADDRESSES);
            assert_eq!(check(&original), before);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn they_equal_a_list(steps in steps()) {
        let (mut regions, mut model) = (Regions::new(), Model([None; ADDRESSES as usize]));
        let mut last = LastLookup::new();
        for step in steps {
            run(step, &mut regions, &mut model);
            check(&regions);
            compare(&regions, &model, &mut last);
        }
    }

    #[test]
    fn the_tree_stays_balanced(seed in any::<u64>(), count in 1..6000u64) {
        let mut regions = Regions::new();
        // Odd, so all addresses below the next power of two come up once.
        let (factor, mask) = (seed | 1, (count.next_power_of_two()) - 1);
        let order = (0..=mask).map(|at| at.wrapping_mul(factor) & mask);
        for at in order.clone() {
            regions.insert(2 * at..2 * at + 1, Uniform(at)).unwrap();
        }
        prop_assert_eq!(check(&regions).len() as u64, mask + 1);
        for (turn, at) in order.enumerate() {
            prop_assert_eq!(regions.remove(2 * at..2 * at + 1).len(), 1);
            if turn % 512 == 0 {
                check(&regions);
            }
        }
        prop_assert!(regions.is_empty() && regions.root.is_none());
    }
}

#[test]
fn regions_in_order_fill_their_leaves() {
    let mut regions = Regions::new();
    for at in 0..32_000u64 {
        regions.insert(2 * at..2 * at + 1, Uniform(at)).unwrap();
    }
    assert_eq!(check(&regions).len(), 32_000);
    let leaves = regions.root.as_ref().map_or(0, |root| root.leaves());
    assert_eq!(leaves, 32_000u64.div_ceil(LEAF_REGIONS as u64));
}

#[test]
fn overlaps_and_empty_ranges_are_refused() {
    let mut regions = Regions::new();
    regions.insert(10..20, Uniform('a')).unwrap();
    for asked in [10..20, 0..11, 19..25, 12..13, 0..30] {
        let refused = RegionError::Overlap { asked: asked.clone(), existing: 10..20 };
        assert_eq!(regions.insert(asked, Uniform('b')), Err(refused));
    }
    assert_eq!(regions.insert(5..5, Uniform('b')), Err(RegionError::Empty { asked: 5..5 }));
    regions.insert(20..21, Uniform('b')).unwrap();
    regions.insert(9..10, Uniform('b')).unwrap();
    assert_eq!(check(&regions), [9..10, 10..20, 20..21]);
}

#[test]
fn neighbours_join_and_parts_are_cut() {
    let mut regions = Regions::new();
    regions.insert(0..10, Uniform('a')).unwrap();
    regions.insert(20..30, Uniform('a')).unwrap();
    regions.insert(10..20, Uniform('a')).unwrap();
    assert_eq!(check(&regions), vec![0..30; 1]);
    assert_eq!(regions.remove(12..15), [(12..15, Uniform('a'))]);
    assert_eq!(check(&regions), [0..12, 15..30]);
    assert_eq!(regions.first_gap(0..30), Some(12..15));
    assert_eq!(regions.first_gap(3..12), None);
    assert_eq!(regions.first_gap(13..14), Some(13..14));
    assert_eq!(regions.first_gap(28..40), Some(30..40));
    regions.update(5..20, |_| Uniform('b'));
    assert_eq!(check(&regions), [0..5, 5..12, 15..20, 20..30]);
    regions.update(0..40, |_| Uniform('c'));
    assert_eq!(check(&regions), [0..12, 15..30]);
}

#[test]
fn an_insert_is_seen_at_once_by_a_cached_miss() {
    let (mut regions, mut last) = (Regions::new(), LastLookup::new());
    regions.insert(100..110, Uniform(1)).unwrap();
    assert_eq!(regions.lookup(50, &mut last), Found::Gap(0..100));
    regions.insert(50..51, Uniform(2)).unwrap();
    let found = regions.lookup(50, &mut last);
    assert_eq!(found, Found::Region { range: 50..51, value: &Uniform(2) });
}

#[test]
fn an_insert_outdates_misses_only_and_a_removal_hits_only() {
    let (mut regions, mut last) = (Regions::new(), LastLookup::new());
    regions.insert(10..20, Uniform(1)).unwrap();
    regions.lookup(15, &mut last);
    regions.lookup(5, &mut last);
    regions.insert(30..40, Uniform(2)).unwrap();
    assert!(last.knows_region(15, &regions.generations));
    assert!(!last.knows_gap(5, &regions.generations));
    regions.lookup(5, &mut last);
    regions.remove(30..40);
    assert!(!last.knows_region(15, &regions.generations));
    assert!(last.knows_gap(5, &regions.generations));
    regions.lookup(15, &mut last);
    regions.update(15..16, |_| Uniform(7));
    assert_eq!(regions.lookup(15, &mut last).value(), Some(&Uniform(7)));
}

#[test]
fn memories_of_other_regions_and_of_copies_are_no_answers() {
    let (mut regions, mut last) = (Regions::new(), LastLookup::new());
    regions.insert(0..10, Uniform(1)).unwrap();
    let mut copy = regions.clone();
    assert_eq!(regions.lookup(0, &mut last).value(), Some(&Uniform(1)));
    assert!(!last.knows_region(0, &copy.generations));
    regions.insert(50..60, Uniform(5)).unwrap();
    assert_eq!(regions.lookup(50, &mut last).value(), Some(&Uniform(5)));
    assert!(copy.lookup(50, &mut last).is_gap(), "added after the copy was made");
    copy.replace(0..10, Uniform(2)).unwrap();
    regions.replace(20..30, Uniform(3)).unwrap();
    assert_eq!(copy.lookup(0, &mut last).value(), Some(&Uniform(2)));
    assert_eq!(regions.lookup(0, &mut last).value(), Some(&Uniform(1)));
    assert!(Regions::<Uniform<i32>>::new().lookup(0, &mut last).is_gap());
}

#[test]
fn the_ends_of_the_address_range_can_be_asked_for() {
    let (mut regions, mut last) = (Regions::new(), LastLookup::new());
    assert_eq!(regions.lookup(u64::MAX, &mut last), Found::Gap(0..u64::MAX));
    regions.insert(u64::MAX - 1..u64::MAX, Uniform(1)).unwrap();
    regions.insert(0..1, Uniform(2)).unwrap();
    assert_eq!(regions.lookup(u64::MAX - 1, &mut last).value(), Some(&Uniform(1)));
    assert!(regions.lookup(u64::MAX, &mut last).is_gap());
    assert_eq!(regions.lookup(0, &mut last).value(), Some(&Uniform(2)));
    regions.clear();
    assert!(regions.lookup(0, &mut last).is_gap());
}

/// Readers, each with a memory of its own, beside a writer that moves a region about. Whoever looks
/// under the lock must see where it is now, and nothing where it was, whatever it remembers.
#[test]
fn readers_with_memories_of_their_own_see_each_change() {
    const MOVES: u64 = 3000;
    let home = |turn: u64| 100 * (turn * 7 % 200)..100 * (turn * 7 % 200) + 10;
    let mut regions = Regions::new();
    for at in 0..200u64 {
        regions.insert(100 * at + 50..100 * at + 60, Uniform(u64::MAX)).unwrap();
    }
    regions.insert(home(1), Uniform(1)).unwrap();
    let regions = RwLock::new((1, regions));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let (mut last, mut turn) = (LastLookup::new(), 0);
                while turn < MOVES {
                    let reading = regions.read().unwrap();
                    turn = reading.0;
                    assert!(reading.1.lookup(home(turn - 1).start, &mut last).is_gap());
                    let found = reading.1.lookup(home(turn).start, &mut last);
                    assert_eq!(found.value(), Some(&Uniform(turn)));
                }
            });
        }
        for turn in 2..=MOVES {
            let mut writing = regions.write().unwrap();
            writing.1.remove(home(turn - 1));
            writing.1.insert(home(turn), Uniform(turn)).unwrap();
            writing.0 = turn;
        }
    });
    let (_, regions) = regions.into_inner().unwrap();
    check(&regions);
}
