//! Pool and tables used by many threads at once. Each thread knows what its pages must hold, so a
//! frame that two of them got, or that was reused while somebody still read it, shows as a wrong
//! byte.

// The helpers of tests count as tests here.
#![allow(clippy::unwrap_used)]

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, RwLock};
use std::thread;

use braidfs_mm::{
    Content, Frame, FrameMut, FramePool, PAGE_SIZE, Page, PageTable, PoolConfig, Tag,
};

const THREADS: u64 = 4;
const ROUNDS: u64 = 200_000;

/// A small generator, so that runs can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn stamp(page: &mut Page, value: u64) {
    page[..8].copy_from_slice(&value.to_le_bytes());
    page[PAGE_SIZE - 8..].copy_from_slice(&value.to_le_bytes());
}

fn read_stamp(page: &Page) -> u64 {
    assert_eq!(page[..8], page[PAGE_SIZE - 8..], "a page that was written by two");
    u64::from_le_bytes(page[..8].try_into().unwrap())
}

/// Takes and gives back single frames and runs in any order, in a pool that is always close to
/// exhausted.
fn churn(pool: &Arc<FramePool>, thread: u64) {
    let mut random = Random(thread);
    let mut held: Vec<(FrameMut, u64)> = Vec::new();
    for round in 0..ROUNDS {
        let value = thread << 32 | round;
        let taken: Vec<FrameMut> = match random.below(8) {
            0..4 => pool.allocate().into_iter().collect(),
            4 => pool.allocate_run(random.below(70) as usize).into_iter().flatten().collect(),
            _ => Vec::new(),
        };
        for mut frame in taken {
            stamp(&mut frame, value);
            held.push((frame, value));
        }
        if !held.is_empty() && random.below(2) == 0 {
            let at = random.below(held.len() as u64) as usize;
            let gone = at..(at + random.below(40) as usize).min(held.len());
            held.drain(gone).for_each(|(frame, value)| assert_eq!(read_stamp(&frame), value));
        }
    }
    held.iter().for_each(|(frame, value)| assert_eq!(read_stamp(frame), *value));
}

#[test]
fn no_frame_is_given_to_two() {
    let pool = FramePool::new(&PoolConfig::new(500 * PAGE_SIZE as u64)).unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let pool = &pool;
            scope.spawn(move || churn(pool, thread));
        }
    });
    assert_eq!(pool.free_frames(), pool.frames());
    let all: Vec<_> = (0..pool.frames()).map(|_| pool.allocate().unwrap()).collect();
    assert_eq!(all.len(), 500);
}

/// Passes frames around: each is read by whoever gets it, cloned, and written if it is alone.
fn pass_on(
    inbox: &Receiver<Frame>,
    outbox: &SyncSender<Frame>,
    pool: &Arc<FramePool>,
    thread: u64,
) {
    for round in 0..ROUNDS {
        if let Ok(mut frame) = inbox.try_recv() {
            read_stamp(&frame);
            if let Some(page) = frame.get_mut() {
                stamp(page, round);
            }
            if round % 2 == 0 {
                let _ = outbox.try_send(frame.clone());
            }
            let _ = outbox.try_send(frame);
        } else if let Ok(mut frame) = pool.allocate() {
            stamp(&mut frame, thread);
            let _ = outbox.try_send(frame.share());
        }
    }
}

#[test]
fn shared_frames_are_never_written() {
    let pool = FramePool::new(&PoolConfig::new(64 * PAGE_SIZE as u64)).unwrap();
    let (first_out, second_in) = sync_channel(100);
    let (second_out, first_in) = sync_channel(100);
    thread::scope(|scope| {
        let pool = &pool;
        scope.spawn(move || pass_on(&first_in, &first_out, pool, 1));
        scope.spawn(move || pass_on(&second_in, &second_out, pool, 2));
    });
    assert_eq!(pool.free_frames(), pool.frames());
}

/// Writes a live table behind its lock, as a page cache does: in place where it may, else into a
/// new frame.
fn write_live(
    live: &RwLock<PageTable>,
    pool: &Arc<FramePool>,
    pages: u64,
    version: u64,
    random: &mut Random,
) {
    let mut table = live.write().unwrap();
    let index = random.below(pages);
    if random.below(20) == 0 {
        table.insert(index, Content::DedupZero).unwrap();
    } else if let Some(mut page) = table.page_mut(index) {
        stamp(&mut page, version);
    } else if let Ok(mut frame) = pool.allocate() {
        stamp(&mut frame, version);
        table.insert_tagged(index, frame, Tag::Dirty).unwrap();
    }
}

/// Checks that a frozen table does not change while the live one is written, and drops it.
fn check_frozen(frozen: &PageTable) {
    let read = || -> Vec<(u64, Option<u64>)> {
        let entries = frozen.entries(0..u64::MAX);
        entries
            .map(|(index, entry)| (index, entry.frame().map(|frame| read_stamp(frame.page()))))
            .collect()
    };
    let before = read();
    thread::yield_now();
    assert_eq!(read(), before);
}

#[test]
fn forks_stand_still_while_the_live_table_is_written() {
    const PAGES: u64 = 1200;
    let pool = FramePool::new(&PoolConfig::new(3 * PAGES * PAGE_SIZE as u64)).unwrap();
    let live = RwLock::new(PageTable::new(&pool));
    thread::scope(|scope| {
        let (live, pool) = (&live, &pool);
        for thread in 0..2 {
            scope.spawn(move || {
                let mut random = Random(thread);
                for round in 0..ROUNDS {
                    write_live(live, pool, PAGES, thread << 32 | round, &mut random);
                }
            });
        }
        for thread in 0..2 {
            scope.spawn(move || {
                for _ in 0..300 {
                    let mut frozen = live.read().unwrap().fork();
                    check_frozen(&frozen);
                    // A fork may be changed too, while others read and write what it shares with
                    // them.
                    let first = frozen.next_present(thread * 300).unwrap_or(0);
                    frozen.remove_range(first..first + 100, |_, _| ()).unwrap();
                    check_frozen(&frozen);
                }
            });
        }
    });
    drop(live);
    assert_eq!(pool.free_frames(), pool.frames());
    assert_eq!(pool.counters().table_bytes, 0);
}
