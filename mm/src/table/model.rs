//! Page tables against a model, with forks of forks that go in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;

use super::check::{Charges, check_table};
use super::*;
use crate::{FrameNumber, PoolConfig};

/// Content of a page in the model: which frame, by what it was filled with and by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bytes {
    Frame { number: FrameNumber, fill: u8 },
    Hole,
    Dedup,
}

/// A page in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Expected {
    bytes: Bytes,
    mark: EntryMark,
    tags: TagSet,
}

type Model = BTreeMap<u64, Expected>;

/// What a case does. Tables are chosen by a number that is taken modulo how many there are.
#[derive(Debug, Clone)]
enum Step {
    InsertFrame(u8, u64, u8),
    InsertZeros(u8, u64, bool, u8),
    InsertTagged(u8, u64, u8),
    FillZeros(u8, u64, u64, bool),
    Remove(u8, u64),
    RemoveRange(u8, u64, u64),
    ChangeTags(u8, u64, u8, u8),
    SetMark(u8, u64, u8),
    WriteInPlace(u8, u64, u8),
    DedupZero(u8, u64),
    Reserve(u8, u64, u64),
    Fork(u8),
    Drop(u8),
    Clear(u8),
}

/// Indexes that meet often, at places where something changes: the edges of leaves and of levels.
fn index() -> impl Strategy<Value = u64> {
    let edges =
        vec![0, 7, 64, 511, 1024, 1 << 18, (1 << 18) + 600, 1 << 27, 1 << 36, MAX_PAGES - 4];
    prop_oneof![
        8 => (0..12_u64).prop_map(|index| index),
        8 => (select(edges), 0..4_u64).prop_map(|(edge, offset)| edge + offset),
        1 => 0..MAX_PAGES,
    ]
}

fn length() -> impl Strategy<Value = u64> {
    prop_oneof![1..6_u64, Just(512), 500..1100_u64, Just(1 << 18), Just(1 << 40)]
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let t = any::<u8>;
    prop_oneof![
        8 => (t(), index(), 0..3_u8).prop_map(|(t, i, fill)| InsertFrame(t, i, fill)),
        3 => (t(), index(), any::<bool>(), 0..2_u8)
            .prop_map(|(t, i, dedup, mark)| InsertZeros(t, i, dedup, mark)),
        3 => (t(), index(), 0..8_u8).prop_map(|(t, i, tags)| InsertTagged(t, i, tags)),
        1 => (t(), 0..1600_u64, 1..1100_u64, any::<bool>())
            .prop_map(|(t, i, count, dedup)| FillZeros(t, i, count, dedup)),
        4 => (t(), index()).prop_map(|(t, i)| Remove(t, i)),
        2 => (t(), index(), length()).prop_map(|(t, i, n)| RemoveRange(t, i, n)),
        6 => (t(), index(), 0..8_u8, 0..8_u8).prop_map(|(t, i, s, c)| ChangeTags(t, i, s, c)),
        2 => (t(), index(), any::<u8>()).prop_map(|(t, i, m)| SetMark(t, i, m)),
        6 => (t(), index(), 0..3_u8).prop_map(|(t, i, fill)| WriteInPlace(t, i, fill)),
        3 => (t(), index()).prop_map(|(t, i)| DedupZero(t, i)),
        1 => (t(), index(), 1..2000_u64).prop_map(|(t, i, n)| Reserve(t, i, n)),
        4 => t().prop_map(Fork),
        3 => t().prop_map(Drop),
        1 => t().prop_map(Clear),
    ]
}

fn tag_set(bits: u8) -> TagSet {
    Tag::ALL.into_iter().filter(|tag| bits >> *tag as u8 & 1 != 0).collect()
}

/// The tables of a case, each with its model.
struct World {
    pool: Arc<FramePool>,
    tables: Vec<(PageTable, Model)>,
}

impl World {
    fn new() -> Self {
        let mut config = PoolConfig::new(1 << 24);
        config.table_bytes = 1 << 30;
        let pool = FramePool::new(&config).unwrap();
        let tables = vec![(PageTable::new(&pool), Model::new())];
        Self { pool, tables }
    }

    fn pick(&mut self, table: u8) -> &mut (PageTable, Model) {
        let at = usize::from(table) % self.tables.len();
        &mut self.tables[at]
    }

    /// Does a step to a table and to its model, and compares what both say of it.
    fn apply(&mut self, step: &Step) {
        match *step {
            Step::InsertFrame(table, index, fill) => self.insert_frame(table, index, fill),
            Step::InsertZeros(table, index, dedup, mark) => {
                let (content, bytes) = zeros(dedup);
                let entry = Entry::new(content).with_mark(EntryMark::new(mark, mark.into()));
                self.insert(table, index, entry, bytes);
            }
            Step::InsertTagged(table, index, tags) => {
                self.insert_tagged(table, index, tag_set(tags));
            }
            Step::FillZeros(table, first, count, dedup) => {
                for index in first..first + count {
                    let (content, bytes) = zeros(dedup);
                    self.insert(table, index, content.into(), bytes);
                }
            }
            Step::Remove(table, index) => {
                let (table, model) = self.pick(table);
                let removed = table.remove(index).unwrap();
                assert_eq!(removed.is_some(), model.remove(&index).is_some());
            }
            Step::RemoveRange(table, first, count) => {
                let (table, model) = self.pick(table);
                remove_range(table, model, first..first.saturating_add(count));
            }
            Step::ChangeTags(table, index, set, clear) => {
                self.change_tags(table, index, tag_set(set), tag_set(clear));
            }
            Step::SetMark(table, index, mark) => {
                let mark = EntryMark::new(mark, u64::from(mark) << 16);
                let (table, model) = self.pick(table);
                table.set_mark(index, mark).unwrap();
                model.entry(index).and_modify(|page| page.mark = mark);
            }
            Step::WriteInPlace(table, index, fill) => self.write_in_place(table, index, fill),
            Step::DedupZero(table, index) => self.dedup_zero(table, index),
            Step::Reserve(table, first, count) => {
                let end = (first + count).min(MAX_PAGES);
                self.pick(table).0.reserve(first..end).unwrap();
            }
            Step::Fork(table) => self.fork(table),
            Step::Drop(table) => self.drop_one(table),
            Step::Clear(table) => {
                let (table, model) = self.pick(table);
                table.clear();
                model.clear();
            }
        }
    }

    fn fork(&mut self, table: u8) {
        let (table, model) = self.pick(table);
        let fork = (table.fork(), model.clone());
        self.tables.push(fork);
    }

    fn drop_one(&mut self, table: u8) {
        if self.tables.len() > 1 {
            let at = usize::from(table) % self.tables.len();
            self.tables.swap_remove(at);
        }
    }

    fn insert_frame(&mut self, table: u8, index: u64, fill: u8) {
        let mut frame = self.pool.allocate().unwrap();
        frame.fill(fill);
        let bytes = Bytes::Frame { number: frame.number(), fill };
        self.insert(table, index, Entry::from(frame), bytes);
    }

    fn insert_tagged(&mut self, table: u8, index: u64, tags: TagSet) {
        let (table, model) = self.pick(table);
        table.insert_tagged(index, Content::DedupZero, tags).unwrap();
        let mark = EntryMark::default();
        model.insert(index, Expected { bytes: Bytes::Dedup, mark, tags });
    }

    fn change_tags(&mut self, table: u8, index: u64, set: TagSet, clear: TagSet) {
        let (table, model) = self.pick(table);
        let before = table.change_tags(index, set, clear).unwrap();
        let expected = model.get_mut(&index);
        assert_eq!(before, expected.as_ref().map_or(TagSet::EMPTY, |page| page.tags));
        if let Some(page) = expected {
            page.tags = (page.tags - clear) | set;
        }
    }

    fn dedup_zero(&mut self, table: u8, index: u64) {
        let (table, model) = self.pick(table);
        let page = model.get_mut(&index);
        let due = page.filter(|page| matches!(page.bytes, Bytes::Frame { fill: 0, .. }));
        assert_eq!(table.dedup_zero(index).unwrap(), due.is_some());
        if let Some(page) = due {
            page.bytes = Bytes::Dedup;
        }
    }

    fn insert(&mut self, table: u8, index: u64, entry: Entry, bytes: Bytes) {
        let (table, model) = self.pick(table);
        let mark = entry.mark;
        let removed = table.insert(index, entry).unwrap();
        let before = model.get(&index).copied();
        let tags = before.map_or(TagSet::EMPTY, |page| page.tags);
        model.insert(index, Expected { bytes, mark, tags });
        assert_eq!(
            removed.map(|entry| bytes_of(entry.content.as_ref())),
            before.map(|page| page.bytes)
        );
    }

    /// A page can be written in place if and only if no other table sees its frame.
    fn write_in_place(&mut self, table: u8, index: u64, fill: u8) {
        let at = usize::from(table) % self.tables.len();
        let seen_in =
            |(_, model): &(PageTable, Model)| match model.get(&index).map(|page| page.bytes) {
                Some(Bytes::Frame { number, .. }) => Some(number),
                _ => None,
            };
        let number = seen_in(&self.tables[at]);
        let sharers = self.tables.iter().filter(|table| seen_in(table) == number).count();
        let (table, model) = &mut self.tables[at];
        let page = table.page_mut(index);
        assert_eq!(page.is_some(), number.is_some() && sharers == 1);
        if let (Some(mut page), Some(number)) = (page, number) {
            page.fill(fill);
            model.entry(index).and_modify(|page| page.bytes = Bytes::Frame { number, fill });
        }
    }

    /// Checks all tables whole, and that no frame and no byte of table memory is lost or counted
    /// twice.
    fn check(&self) {
        let (mut frames, mut charges) = (BTreeSet::new(), Charges::new());
        for (table, model) in &self.tables {
            compare(table, model);
            check_table(table, &mut charges);
            frames.extend(model.values().filter_map(|page| match page.bytes {
                Bytes::Frame { number, .. } => Some(number),
                Bytes::Hole | Bytes::Dedup => None,
            }));
        }
        assert_eq!(self.pool.frames() - self.pool.free_frames(), frames.len());
        let reserved = self.tables.iter().map(|(table, _)| table.reserved_bytes()).sum::<usize>();
        let charged = charges.values().sum::<usize>();
        assert_eq!(self.pool.counters().table_bytes, charged + reserved);
    }
}

fn zeros(dedup: bool) -> (Content, Bytes) {
    if dedup { (Content::DedupZero, Bytes::Dedup) } else { (Content::HoleZero, Bytes::Hole) }
}

fn bytes_of(content: ContentRef<'_>) -> Bytes {
    match content {
        ContentRef::HoleZero => Bytes::Hole,
        ContentRef::DedupZero => Bytes::Dedup,
        ContentRef::Placed(_) => unreachable!("the model places nothing"),
        ContentRef::Frame(frame) => {
            let fill = frame.page()[0];
            assert!(frame.page().iter().all(|byte| *byte == fill));
            Bytes::Frame { number: frame.number(), fill }
        }
    }
}

fn expected(entry: EntryRef<'_>) -> Expected {
    Expected { bytes: bytes_of(entry.content), mark: entry.mark, tags: entry.tags }
}

/// Removes a range from both, and compares what the table tells of what goes.
fn remove_range(table: &mut PageTable, model: &mut Model, pages: Range<u64>) {
    let mut told = Model::new();
    let removed = table
        .remove_range(pages.clone(), |pages, entry| {
            assert!(told.last_key_value().is_none_or(|(last, _)| *last < pages.start));
            told.extend(pages.map(|index| (index, expected(entry))));
        })
        .unwrap();
    let gone: Model = model.range(pages).map(|(index, page)| (*index, *page)).collect();
    model.retain(|index, _| !gone.contains_key(index));
    assert_eq!(removed, gone.len() as u64);
    assert_eq!(told, gone);
}

/// Compares all that can be asked of a table with the model.
fn compare(table: &PageTable, model: &Model) {
    assert!(
        table
            .entries(0..u64::MAX)
            .map(|(index, entry)| (index, expected(entry)))
            .eq(model.iter().map(|(index, page)| (*index, *page)))
    );
    let counts = table.counts();
    let count = |wanted: fn(&Bytes) -> bool| {
        model.values().filter(|page| wanted(&page.bytes)).count() as u64
    };
    assert_eq!(counts.frames, count(|bytes| matches!(bytes, Bytes::Frame { .. })));
    assert_eq!(counts.hole_zeros, count(|bytes| *bytes == Bytes::Hole));
    assert_eq!(counts.dedup_zeros, count(|bytes| *bytes == Bytes::Dedup));
    assert_eq!(table.is_empty(), model.is_empty());
    for tag in Tag::ALL {
        let tagged: Vec<u64> = model
            .iter()
            .filter(|(_, page)| page.tags.contains(tag))
            .map(|(index, _)| *index)
            .collect();
        assert_eq!(counts.tagged(tag), tagged.len() as u64);
        assert_eq!(table.any_tagged(tag), !tagged.is_empty());
        assert!(table.tagged(tag, 0..u64::MAX).map(|(index, _)| index).eq(tagged.iter().copied()));
        assert!(table.tagged_runs(tag, 0..u64::MAX).flatten().eq(tagged));
    }
}

/// Compares the searches from one page on.
fn compare_searches(table: &PageTable, model: &Model, from: u64) {
    let next = |wanted: &dyn Fn(&Expected) -> bool| {
        model.range(from..).find(|(_, page)| wanted(page)).map(|(index, _)| *index)
    };
    let without = |wanted: &dyn Fn(&Expected) -> bool| {
        (from..MAX_PAGES).find(|index| !model.get(index).is_some_and(wanted)).unwrap_or(MAX_PAGES)
    };
    assert_eq!(table.next_present(from), next(&|_| true));
    assert_eq!(table.next_gap(from), without(&|_| true));
    assert_eq!(table.get(from).map(expected), model.get(&from).copied());
    for tag in Tag::ALL {
        let has = |page: &Expected| page.tags.contains(tag);
        assert_eq!(table.next_tagged(from, tag), next(&has));
        assert_eq!(table.next_untagged(from, tag), without(&has));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Any steps leave tables, models, pool and table memory in agreement; and in the end nothing
    /// is left over.
    #[test]
    fn tables_do_what_the_model_does(
        steps in prop::collection::vec(step(), 1..120),
        probes in prop::collection::vec(index(), 8),
    ) {
        let mut world = World::new();
        for (at, step) in steps.iter().enumerate() {
            world.apply(step);
            if at % 8 == 7 {
                world.check();
            }
        }
        world.check();
        for (table, model) in &world.tables {
            for from in &probes {
                compare_searches(table, model, *from);
            }
        }
        world.tables.clear();
        prop_assert_eq!(world.pool.free_frames(), world.pool.frames());
        prop_assert_eq!(world.pool.counters().table_bytes, 0);
    }
}
