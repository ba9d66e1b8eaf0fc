//! Frames whose place is fixed: their budget, their memory, and what tables make of them.

// The helpers of tests count as tests here.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use braidfs_mm::{
    Arena, Content, ContentRef, Entry, FramePool, PAGE_SIZE, PageTable, PlacedFrame, PoolConfig,
    PoolError, Tag,
};

fn pool() -> Arc<FramePool> {
    FramePool::new(&PoolConfig::new(1 << 20)).unwrap()
}

fn placed(content: ContentRef<'_>) -> [u8; PAGE_SIZE] {
    match content {
        ContentRef::Placed(frame) => frame.to_page(),
        other => panic!("{other:?} is not placed"),
    }
}

#[test]
fn a_placed_frame_counts_against_the_pool() {
    let pool = pool();
    let arena = Arena::new(&pool).unwrap();
    let frames: Vec<PlacedFrame> =
        (0..pool.frames()).map(|at| arena.place(at * 1000, None).unwrap()).collect();
    assert_eq!(pool.free_frames(), 0);
    assert!(matches!(arena.place(1, None), Err(PoolError::Exhausted { .. })));
    assert!(pool.allocate().is_err(), "there is no memory twice");
    drop(frames);
    assert_eq!(pool.free_frames(), pool.frames());
    assert!((0..pool.frames()).all(|_| pool.allocate().is_ok()));
}

#[test]
fn a_place_holds_one_frame_at_a_time_and_begins_with_zeros() {
    let pool = pool();
    let arena = Arena::new(&pool).unwrap();
    let first = arena.place(7, Some(&[5; PAGE_SIZE])).unwrap();
    assert!(matches!(arena.place(7, None), Err(PoolError::Occupied { index: 7 })));
    let second = first.clone();
    drop(first);
    assert!(arena.is_occupied(7));
    assert_eq!(second.as_ref().to_page(), [5; PAGE_SIZE]);
    drop(second);
    assert!(!arena.is_occupied(7));
    assert_eq!(arena.place(7, None).unwrap().as_ref().to_page(), [0; PAGE_SIZE]);
    assert!(matches!(arena.place(Arena::PAGES, None), Err(PoolError::Occupied { .. })));
}

#[test]
fn frames_outlive_the_handle_of_their_arena() {
    let pool = pool();
    let arena = Arena::new(&pool).unwrap();
    let frame = arena.place(Arena::PAGES - 1, Some(&[3; PAGE_SIZE])).unwrap();
    drop(arena);
    // The slot of the arena must not go to another one meanwhile.
    let other = Arena::new(&pool).unwrap();
    let elsewhere = other.place(Arena::PAGES - 1, Some(&[4; PAGE_SIZE])).unwrap();
    assert_eq!(frame.as_ref().to_page(), [3; PAGE_SIZE]);
    assert_eq!(elsewhere.as_ref().to_page(), [4; PAGE_SIZE]);
}

#[test]
fn a_displaced_page_moves_even_when_nothing_is_free() {
    let pool = pool();
    let arena = Arena::new(&pool).unwrap();
    let frame = arena.place(0, Some(&[9; PAGE_SIZE])).unwrap();
    let others: Vec<_> = (1..pool.frames()).map(|_| pool.allocate().unwrap()).collect();
    assert_eq!(pool.free_frames(), 0);
    let moved = pool.displace(frame).unwrap();
    assert_eq!(*moved, [9; PAGE_SIZE]);
    assert_eq!(pool.free_frames(), 0);
    assert!(!arena.is_occupied(0));
    drop((moved, others));
    assert_eq!(pool.free_frames(), pool.frames());
}

#[test]
fn tables_hold_placed_frames_and_never_lend_their_bytes() {
    let pool = pool();
    let arena = Arena::new(&pool).unwrap();
    let mut table = PageTable::new(&pool);
    let frame = arena.place(1, Some(&[1; PAGE_SIZE])).unwrap();
    table.insert_tagged(5, Entry::new(Content::Placed(frame)), Tag::Dirty).unwrap();
    assert_eq!(table.counts().present(), 1);
    assert!(table.page_mut(5).is_none(), "somebody may be reading it");
    assert!(!table.dedup_zero(5).unwrap());
    let fork = table.fork();
    table.insert(6, pool.allocate_zeroed().unwrap()).unwrap();
    assert_eq!(placed(fork.get(5).unwrap().content), [1; PAGE_SIZE]);
    table.clear();
    assert!(arena.is_occupied(1), "the fork has it still");
    drop(fork);
    assert!(!arena.is_occupied(1));
    assert_eq!(pool.free_frames(), pool.frames());
}

#[test]
fn placing_and_giving_up_race_without_losing_the_budget() {
    let pool = pool();
    let arena = Arena::new(&pool).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let (arena, pool) = (&arena, &pool);
            scope.spawn(move || {
                for round in 0..500 {
                    // All threads want the same few places.
                    let Ok(frame) = arena.place(round % 3, Some(&[thread; PAGE_SIZE])) else {
                        continue;
                    };
                    assert_eq!(frame.as_ref().to_page(), [thread; PAGE_SIZE]);
                    if round % 2 == 0 {
                        assert_eq!(pool.displace(frame).unwrap()[9], thread);
                    }
                }
            });
        }
    });
    assert_eq!(pool.free_frames(), pool.frames());
}
