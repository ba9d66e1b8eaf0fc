//! Readers that take no lock, beside a writer. Each page carries its index and a version, at both
//! ends, so a reader who is given a page that is being written, one that was freed, or one of
//! another table, sees a wrong byte.

// The helpers of tests count as tests here.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use braidfs_mm::{
    Content, EntryMark, FramePool, HeldEntry, PAGE_SIZE, Page, PageTable, PoolConfig, TableReader,
    Tag,
};

const PAGES: u64 = 1100;
/// Makes the tree four levels higher while it is there.
const FAR: u64 = 1 << 40;
const ROUNDS: u64 = if cfg!(miri) { 200 } else { 60_000 };

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn stamp(page: &mut Page, index: u64, version: u64) {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&index.to_le_bytes());
    bytes[8..].copy_from_slice(&version.to_le_bytes());
    page[..16].copy_from_slice(&bytes);
    page[PAGE_SIZE - 16..].copy_from_slice(&bytes);
}

/// The index and the version a page was stamped with.
fn stamped(page: &Page) -> (u64, u64) {
    assert_eq!(page[..16], page[PAGE_SIZE - 16..], "a page that is being written");
    let word = |at: usize| u64::from_le_bytes(page[at..at + 8].try_into().unwrap());
    (word(0), word(8))
}

fn pool(frames: u64) -> Arc<FramePool> {
    FramePool::new(&PoolConfig::new(frames * PAGE_SIZE as u64)).unwrap()
}

/// One change of the table by its writer, at random.
fn change(table: &mut PageTable, forks: &SyncSender<PageTable>, random: &mut Random, version: u64) {
    let index = random.below(PAGES);
    match random.below(100) {
        0 => drop(forks.try_send(table.fork())),
        1 => drop(table.remove_range(index..index + random.below(600), |_, _| ()).unwrap()),
        2..8 => drop(table.remove(index).unwrap()),
        8..12 => drop(table.insert(index, Content::DedupZero).unwrap()),
        12..15 => drop(table.insert(FAR, Content::HoleZero).unwrap()),
        15..18 => drop(table.remove(FAR).unwrap()),
        18..22 => drop(table.change_tags(index, Tag::Dirty, Tag::Writeback).unwrap()),
        22..26 => table.set_mark(index, EntryMark::new(1, version)).unwrap(),
        26 => (512..1024).for_each(|index| drop(table.insert(index, Content::HoleZero).unwrap())),
        27..60 => {
            if let Some(mut page) = table.page_mut(index) {
                stamp(&mut page, index, version);
            }
        }
        _ => {
            let mut frame = table.pool().allocate().unwrap();
            stamp(&mut frame, index, version);
            drop(table.insert(index, frame).unwrap());
        }
    }
}

/// Changes forks in ways that a reader of the table they come from must not see.
fn change_forks(forks: &Receiver<PageTable>) {
    let mut random = Random(77);
    let mut kept: Vec<PageTable> = Vec::new();
    while let Ok(mut fork) = forks.recv() {
        for _ in 0..20 {
            let index = random.below(PAGES);
            match random.below(3) {
                0 => drop(fork.remove(index).unwrap()),
                1 => {
                    if let Some(mut page) = fork.page_mut(index) {
                        stamp(&mut page, index, u64::MAX);
                    }
                }
                _ => {
                    let mut frame = fork.pool().allocate().unwrap();
                    stamp(&mut frame, index, u64::MAX);
                    drop(fork.insert(index, frame).unwrap());
                }
            }
        }
        kept.push(fork);
        if kept.len() > 3 {
            kept.swap_remove(random.below(4) as usize);
        }
    }
}

/// Reads pages until told to stop, and checks that no page goes back to an older version.
fn read_on(reader: &TableReader, stop: &AtomicBool, seed: u64) -> u64 {
    let mut random = Random(seed);
    let (mut seen, mut found) = (vec![0; PAGES as usize], 0);
    while !stop.load(Ordering::Relaxed) {
        let section = reader.enter();
        let first = random.below(PAGES);
        for index in first..(first + 8).min(PAGES) {
            if let Some(HeldEntry::Frame(frame, _)) = section.get(index) {
                let (stamped_index, version) = stamped(&frame);
                assert_eq!(stamped_index, index, "another page");
                assert!(version != u64::MAX, "a page of a fork");
                assert!(version >= seen[index as usize], "an older page");
                seen[index as usize] = version;
                found += 1;
            }
        }
    }
    found
}

#[test]
fn readers_see_pages_of_their_table_whole_and_never_older_ones() {
    let pool = pool(16 * PAGES);
    let mut table = PageTable::new(&pool);
    let (stop, found) = (AtomicBool::new(false), AtomicU64::new(0));
    let (forks, received) = sync_channel(4);
    thread::scope(|scope| {
        for seed in 0..2 {
            let (reader, stop, found) = (table.reader(), &stop, &found);
            scope.spawn(move || {
                found.fetch_add(read_on(&reader, stop, seed), Ordering::Relaxed);
            });
        }
        scope.spawn(move || change_forks(&received));
        let mut random = Random(5);
        (1..ROUNDS).for_each(|version| change(&mut table, &forks, &mut random, version));
        drop(forks);
        stop.store(true, Ordering::Relaxed);
    });
    assert!(found.into_inner() > 0);
    drop(table);
    assert_eq!(pool.free_frames(), pool.frames());
    assert_eq!(pool.counters().table_bytes, 0);
}

#[test]
fn a_reader_finds_what_was_put_and_misses_what_is_gone() {
    let pool = pool(128);
    let mut table = PageTable::new(&pool);
    let reader = table.reader();
    assert!(reader.get(0).is_none());
    let mark = EntryMark::new(3, 4);
    table.insert(9, Content::HoleZero).unwrap();
    table.insert(700, pool.allocate_copy(&[7; PAGE_SIZE]).unwrap()).unwrap();
    table.set_mark(700, mark).unwrap();
    assert!(matches!(reader.get(9), Some(HeldEntry::HoleZero(_))));
    let held = reader.get(700).unwrap();
    assert_eq!((held.frame().unwrap()[5], held.mark()), (7, mark));
    assert!(reader.get(10).is_none() && reader.get(u64::MAX).is_none());
    drop(held);
    table.clear();
    assert!(reader.get(700).is_none());
    table.insert(1, Content::DedupZero).unwrap();
    assert!(matches!(reader.get(1), Some(HeldEntry::DedupZero(_))));
    drop(table);
    assert!(reader.get(1).is_none(), "a reader may outlive its table");
    assert_eq!(pool.counters().table_bytes, 0);
}

#[test]
fn a_held_page_stays_as_it_was_read() {
    let pool = pool(128);
    let mut table = PageTable::new(&pool);
    let reader = table.reader();
    table.insert(3, pool.allocate_copy(&[1; PAGE_SIZE]).unwrap()).unwrap();
    let held = reader.get(3).unwrap();
    assert!(table.page_mut(3).is_none(), "a page that somebody reads is not written");
    table.insert(3, pool.allocate_copy(&[2; PAGE_SIZE]).unwrap()).unwrap();
    table.remove(3).unwrap();
    let others: Vec<_> = (0..127).map(|_| pool.allocate_zeroed().unwrap()).collect();
    assert!(pool.allocate().is_err(), "the held frame is not given to others");
    assert_eq!(held.frame().unwrap()[..], [1; PAGE_SIZE]);
    drop((held, others));
    assert_eq!(pool.free_frames(), pool.frames());
}

#[test]
fn a_page_that_is_being_written_is_not_given_out() {
    let pool = pool(128);
    let mut table = PageTable::new(&pool);
    let reader = table.reader();
    table.insert(3, pool.allocate_copy(&[1; PAGE_SIZE]).unwrap()).unwrap();
    let mut page = table.page_mut(3).unwrap();
    page[0] = 2;
    assert!(reader.get(3).is_none());
    drop(page);
    assert_eq!(reader.get(3).unwrap().frame().unwrap()[0], 2);
    // One that forgets to end its write costs readers their short cut, and nothing else.
    std::mem::forget(table.page_mut(3).unwrap());
    assert!(reader.get(3).is_none());
    assert_eq!(table.get(3).unwrap().frame().unwrap()[0], 2);
}

#[test]
fn a_reader_of_a_fork_reads_the_fork() {
    let pool = pool(128);
    let mut live = PageTable::new(&pool);
    live.insert(3, pool.allocate_copy(&[1; PAGE_SIZE]).unwrap()).unwrap();
    let mut fork = live.fork();
    let (of_live, of_fork) = (live.reader(), fork.reader());
    live.insert(3, pool.allocate_copy(&[2; PAGE_SIZE]).unwrap()).unwrap();
    let byte = |reader: &TableReader| reader.get(3).unwrap().frame().unwrap()[0];
    assert_eq!((byte(&of_live), byte(&of_fork)), (2, 1));
}

#[test]
fn nodes_wait_for_readers_and_are_freed_after_them() {
    let pool = pool(128);
    let mut table = PageTable::new(&pool);
    let reader = table.reader();
    table.insert(3, Content::HoleZero).unwrap();
    let section = reader.enter();
    table.clear();
    assert_eq!(pool.counters().table_bytes, 0);
    assert!(pool.counters().retired_table_bytes > 0, "freed under a reader");
    drop(section);
    // The collector goes on with each node that is given to it.
    let (mut rounds, least) = (0, if cfg!(miri) { 20 } else { 2000 });
    while pool.counters().retired_table_bytes > 256 << 10 || rounds < least {
        table.insert(3, Content::HoleZero).unwrap();
        table.clear();
        rounds += 1;
        assert!(rounds < 1_000_000, "nothing is ever freed");
    }
    drop(reader);
    let before = pool.counters().retired_table_bytes;
    table.insert(3, Content::HoleZero).unwrap();
    table.clear();
    assert!(pool.counters().retired_table_bytes <= before, "without readers it is freed at once");
}

#[test]
fn readers_of_many_tables_come_and_go() {
    let pool = pool(4096);
    let tables: Vec<Mutex<PageTable>> = (0..8).map(|_| Mutex::new(PageTable::new(&pool))).collect();
    thread::scope(|scope| {
        for seed in 0..3 {
            let (tables, pool) = (&tables, &pool);
            scope.spawn(move || {
                let mut random = Random(seed);
                for version in 1..ROUNDS / 10 {
                    let at = random.below(8) as usize;
                    let mut table = tables[at].lock().unwrap();
                    let reader = table.reader();
                    let mut frame = pool.allocate().unwrap();
                    stamp(&mut frame, 5, version);
                    table.insert(5, frame).unwrap();
                    if random.below(4) == 0 {
                        *table = PageTable::new(pool);
                    }
                    drop(table);
                    if let Some(HeldEntry::Frame(frame, _)) = reader.get(5) {
                        assert_eq!(stamped(&frame).0, 5);
                    }
                }
            });
        }
    });
    drop(tables);
    assert_eq!((pool.free_frames(), pool.counters().table_bytes), (4096, 0));
}
