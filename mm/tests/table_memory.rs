//! Table memory: bounded, and spent so that an operation fails before it changes anything, or not
//! at all.

// The helpers of tests count as tests here.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use braidfs_mm::{
    Content, ContentRef, EntryMark, EntryRef, FrameNumber, FramePool, FrameRun, PAGE_SIZE,
    PageTable, PoolConfig, TableError, Tag, TagSet,
};

const POOL_BYTES: u64 = 4 << 20;

fn pool(table_bytes: usize) -> Arc<FramePool> {
    let config = PoolConfig { table_bytes, ..PoolConfig::new(POOL_BYTES) };
    FramePool::new(&config).unwrap()
}

/// Frames, zeros, tags and gaps in three levels; whole leaves of zeros too.
fn filled(pool: &Arc<FramePool>) -> PageTable {
    let mut table = PageTable::new(pool);
    for index in [0, 3, 511, 512, 700, 1 << 18, (1 << 18) + 5, 1 << 27] {
        table.insert_tagged(index, pool.allocate_zeroed().unwrap(), Tag::Dirty).unwrap();
    }
    for index in 1024..2048 {
        table.insert(index, Content::HoleZero).unwrap();
    }
    table
}

/// All that a table says of a page; a frame by its number.
type Said = (u64, Result<FrameNumber, bool>, EntryMark, TagSet);

/// All that a table says of its pages.
fn contents(table: &PageTable) -> Vec<Said> {
    let said = |(index, entry): (u64, EntryRef<'_>)| {
        let content = match entry.content {
            ContentRef::Frame(frame) => Ok(frame.number()),
            ContentRef::Placed(_) => unreachable!("nothing is placed"),
            ContentRef::HoleZero => Err(false),
            ContentRef::DedupZero => Err(true),
        };
        (index, content, entry.mark, entry.tags)
    };
    table.entries(0..u64::MAX).map(said).collect()
}

type Operation = fn(&mut PageTable) -> Result<(), TableError>;

/// One of each operation that can need node memory.
const OPERATIONS: [(&str, Operation); 11] = [
    ("insert a zero", |table| table.insert(3, Content::DedupZero).map(drop)),
    ("insert into a gap", |table| table.insert(90_000, Content::DedupZero).map(drop)),
    ("insert higher up", |table| table.insert(1 << 40, Content::DedupZero).map(drop)),
    ("split zeros", |table| table.insert(1500, Content::DedupZero).map(drop)),
    ("remove", |table| table.remove(700).map(drop)),
    ("remove within zeros", |table| table.remove(1100).map(drop)),
    ("tag", |table| table.set_tag(0, Tag::Writeback).map(drop)),
    ("untag", |table| table.clear_tag(0, Tag::Dirty).map(drop)),
    ("mark", |table| table.set_mark(0, EntryMark::new(1, 1))),
    ("deduplicate", |table| table.dedup_zero(511).map(drop)),
    ("remove a range", |table| table.remove_range(2..(1 << 18) + 3, |_, _| ()).map(drop)),
];

/// A pool with a filled table, and a table that holds back memory which only filling it needed.
fn scene(table_bytes: usize) -> (Arc<FramePool>, PageTable, PageTable) {
    let pool = pool(table_bytes);
    let table = filled(&pool);
    let mut held_back = PageTable::new(&pool);
    held_back.reserve(0..20 * 512).unwrap();
    (pool, table, held_back)
}

/// Does the operation with so many bytes left; says whether it succeeded.
fn attempt(name: &str, operation: Operation, table_bytes: usize) -> bool {
    let (pool, mut live, held_back) = scene(table_bytes);
    let frozen = live.fork();
    let before = contents(&live);
    let used = (pool.counters().table_bytes, pool.free_frames());
    let result = operation(&mut live);
    if let Err(error) = result {
        assert!(matches!(error, TableError::OutOfTableMemory { .. }), "{name}: {error}");
        assert!(contents(&live) == before, "{name}");
        assert_eq!((pool.counters().table_bytes, pool.free_frames()), used, "{name}");
    }
    assert!(contents(&frozen) == before, "{name}");
    assert!(pool.counters().peak_table_bytes <= table_bytes, "{name}");
    drop((live, frozen, held_back));
    assert_eq!(pool.counters().table_bytes, 0, "{name}");
    assert_eq!(pool.free_frames(), pool.frames(), "{name}");
    result.is_ok()
}

#[test]
fn an_operation_fails_before_it_changes_anything_or_not_at_all() {
    let base = scene(1 << 30).0.counters().table_bytes;
    for (name, operation) in OPERATIONS {
        let attempts = (0..200_000).step_by(1000);
        let failed = attempts.take_while(|extra| !attempt(name, operation, base + extra)).count();
        assert!((1..200).contains(&failed), "{name}: failed {failed} times");
    }
}

#[test]
fn what_is_reserved_cannot_fail() {
    for range in [0..1_u64, 0..5, 500..2100, 1000..1600, (1 << 18) - 3..(1 << 18) + 600] {
        let pool = pool(40 << 20);
        let mut live = filled(&pool);
        let mut other = PageTable::new(&pool);
        let frozen = live.fork();
        live.reserve(range.clone()).unwrap();
        take_all_table_memory(&mut other);
        for index in range.clone() {
            live.insert_tagged(index, Content::DedupZero, Tag::Dirty).unwrap();
        }
        assert_eq!(live.next_untagged(range.start, Tag::Dirty), range.end);
        drop(frozen);
        live.unreserve();
        drop((live, other));
        assert_eq!(pool.counters().table_bytes, 0);
    }
}

/// Reserves until nothing is left that any operation could use.
fn take_all_table_memory(table: &mut PageTable) {
    let (mut possible, mut impossible) = (0, 1 << 30);
    while impossible - possible > 1 {
        let leaves = (possible + impossible) / 2;
        match table.reserve(0..leaves * 512) {
            Ok(()) => possible = leaves,
            Err(_) => impossible = leaves,
        }
    }
    assert!(PageTable::new(table.pool()).insert(0, Content::HoleZero).is_err());
}

#[test]
fn a_shared_table_is_emptied_without_any_table_memory() {
    let pool = pool(40 << 20);
    let mut live = filled(&pool);
    let frozen = live.fork();
    let mut other = PageTable::new(&pool);
    take_all_table_memory(&mut other);
    let before = contents(&frozen);
    assert_eq!(live.remove_range(0..u64::MAX, |_, _| ()).unwrap() as usize, before.len());
    assert!(live.is_empty() && contents(&frozen) == before);
}

#[test]
fn a_refused_frame_is_given_back_and_leaves_no_trace() {
    let (pool, other) = (pool(1 << 20), pool(1 << 20));
    let mut table = PageTable::new(&pool);
    let foreign = other.allocate_zeroed().unwrap();
    assert_eq!(table.insert(5, foreign).unwrap_err(), TableError::ForeignFrame);
    assert!(table.is_empty());
    assert_eq!(pool.counters().table_bytes, 0);
    assert_eq!(other.free_frames(), other.frames());
    let index = braidfs_mm::MAX_PAGES;
    let refused = table.insert(index, Content::HoleZero).unwrap_err();
    assert_eq!(refused, TableError::IndexTooLarge { index });
    assert!(table.insert(index - 1, Content::HoleZero).is_ok());
}

#[test]
fn a_fork_of_a_gigabyte_costs_nothing_and_its_first_write_little() {
    let pool = FramePool::new(&PoolConfig::new((1 << 30) + (1 << 20))).unwrap();
    let mut live = PageTable::new(&pool);
    for run in 0..(1 << 18) / FrameRun::MAX_FRAMES as u64 {
        let frames = pool.allocate_run(FrameRun::MAX_FRAMES).unwrap();
        assert_eq!(frames.len(), FrameRun::MAX_FRAMES);
        for (frame, index) in frames.zip(run * FrameRun::MAX_FRAMES as u64..) {
            live.insert(index, frame).unwrap();
        }
    }
    let before = pool.counters().table_bytes;
    let frozen = live.fork();
    assert_eq!(pool.counters().table_bytes, before);
    live.insert(12_345, pool.allocate_zeroed().unwrap()).unwrap();
    assert!(pool.counters().table_bytes - before <= 44_000);
    assert_eq!(frozen.counts(), live.counts());
    drop(frozen);
    assert_eq!(pool.counters().table_bytes, before);
}

#[test]
fn emptied_parts_of_a_sparse_range_take_no_memory() {
    let pool = pool(16 << 20);
    let mut table = PageTable::new(&pool);
    for leaf in 0..25_600 {
        let first = leaf * 512;
        for index in (first..first + 512).step_by(31) {
            table.insert(index, Content::DedupZero).unwrap();
        }
        table.remove_range(first..first + 512, |_, _| ()).unwrap();
    }
    assert!(table.is_empty());
    assert!(pool.counters().peak_table_bytes <= 240_000);
    assert_eq!(pool.counters().table_bytes, 0);
}

#[test]
fn zeros_collapse_and_come_apart_again() {
    let pool = pool(64 << 20);
    let mut table = PageTable::new(&pool);
    let pages = 512 * 512;
    for index in 0..pages {
        table.insert(index, Content::HoleZero).unwrap();
    }
    let collapsed = pool.counters().table_bytes;
    assert!(collapsed < 1000, "{collapsed} bytes for a gigabyte of holes");
    table.insert(777, pool.allocate_copy(&[7; PAGE_SIZE]).unwrap()).unwrap();
    assert_eq!((table.counts().hole_zeros, table.counts().frames), (pages - 1, 1));
    assert_eq!(table.next_gap(0), pages);
    table.insert(777, Content::HoleZero).unwrap();
    assert_eq!(pool.counters().table_bytes, collapsed);
    assert_eq!(table.remove_range(1..pages, |_, _| ()).unwrap(), pages - 1);
    assert!(pool.counters().table_bytes < 5000);
}

#[test]
fn the_table_of_a_small_file_is_small() {
    let pool = pool(1 << 20);
    let mut table = PageTable::new(&pool);
    (0..8).for_each(|index| drop(table.insert(index, Content::DedupZero).unwrap()));
    assert!(pool.counters().table_bytes < 512);
}

/// The kernel's first zero pages were counted like others, until the count overflowed.
#[test]
fn zero_pages_are_counted_by_nobody() {
    let pool = pool(usize::MAX);
    let mut table = PageTable::new(&pool);
    (0..3).for_each(|index| drop(table.insert(index, Content::DedupZero).unwrap()));
    let forks: Vec<PageTable> = (0..100_000).map(|_| table.fork()).collect();
    assert!(forks.iter().all(|fork| fork.counts().dedup_zeros == 3));
    assert_eq!((pool.free_frames(), forks.len()), (pool.frames(), 100_000));
    let dirty = pool.allocate_zeroed().unwrap();
    table.insert(0, dirty).unwrap();
    assert_eq!((table.counts().dedup_zeros, forks[0].counts().dedup_zeros), (2, 3));
}
