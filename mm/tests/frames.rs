//! Frames: who may read and write them, and that each comes back.

// The helpers of tests count as tests here.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use braidfs_mm::{
    Entry, Frame, FramePool, FrameRun, PAGE_SIZE, PageTable, PoolConfig, PoolError, is_zero_page,
};

fn pool(frames: usize) -> Arc<FramePool> {
    FramePool::new(&PoolConfig::new((frames * PAGE_SIZE) as u64)).unwrap()
}

#[test]
fn a_frame_is_written_only_while_it_is_unshared() {
    let pool = pool(64);
    let mut frame = pool.allocate_zeroed().unwrap().share();
    frame.get_mut().unwrap()[0] = 1;
    let second = frame.clone();
    assert!(frame.get_mut().is_none());
    let frame = frame.try_into_mut().unwrap_err();
    assert_eq!((frame[0], second[0]), (1, 1));
    assert!(frame.as_ref().is_same(second.as_ref()));
    drop(frame);
    let mut alone = second.try_into_mut().unwrap();
    alone[1] = 2;
    assert_eq!(alone[..3], [1, 2, 0]);
}

#[test]
fn a_pinned_frame_of_a_table_is_not_written_in_place() {
    let pool = pool(64);
    let mut table = PageTable::new(&pool);
    table.insert(0, pool.allocate_zeroed().unwrap()).unwrap();
    let pin: Frame = table.get(0).unwrap().frame().unwrap().to_frame();
    assert!(table.page_mut(0).is_none());
    drop(pin);
    assert!(table.page_mut(0).is_some());
}

#[test]
fn the_words_of_a_frame_are_its_owners_until_it_is_freed() {
    let pool = pool(64);
    let frame = pool.allocate().unwrap();
    frame.metadata().set_owner(7, 9);
    frame.metadata().set_version(11);
    frame.metadata().mark_referenced();
    let number = frame.number().as_usize();
    let seen = pool.metadata(number).unwrap();
    assert_eq!((seen.owner(), seen.index(), seen.version(), seen.references()), (7, 9, 11, 1));
    assert!(seen.take_referenced() && !seen.take_referenced());
    drop(frame);
    assert_eq!(seen.references(), 0);
    let all: Vec<_> = (0..64).map(|_| pool.allocate().unwrap()).collect();
    assert!(all.iter().all(|frame| frame.metadata().owner() == 0));
    assert!(pool.metadata(64).is_none());
}

#[test]
fn watermarks_say_when_to_evict_and_how_much() {
    let config = PoolConfig {
        low_watermark_frames: 4,
        high_watermark_frames: 10,
        ..PoolConfig::new(64 * PAGE_SIZE as u64)
    };
    let pool = FramePool::new(&config).unwrap();
    let held: Vec<_> = (0..60).map(|_| pool.allocate().unwrap()).collect();
    assert!(!pool.is_low());
    let last = pool.allocate().unwrap();
    assert!(pool.is_low());
    assert_eq!(pool.shortfall_frames(), 7);
    drop((held, last));
    assert_eq!(pool.shortfall_frames(), 0);
    assert_eq!(pool.counters().peak_used_frames, 61);
}

#[test]
fn frames_come_back_from_wherever_they_were() {
    let pool = pool(256);
    let mut table = PageTable::new(&pool);
    let mut forks = Vec::new();
    for round in 0..40 {
        let frame = pool.allocate_copy(&[round; PAGE_SIZE]).unwrap();
        drop(table.insert(u64::from(round) % 5 * 512, frame).unwrap());
        forks.push(table.fork());
        if round % 3 == 0 {
            forks.swap_remove(usize::from(round) % forks.len());
        }
    }
    let taken: Vec<Entry> = forks.iter_mut().filter_map(|fork| fork.remove(0).unwrap()).collect();
    let copies: Vec<Option<Frame>> = taken.iter().cloned().map(Entry::into_frame).collect();
    drop((table, forks));
    assert!(pool.free_frames() < pool.frames());
    drop(taken);
    drop(copies);
    assert_eq!(pool.free_frames(), pool.frames());
}

#[test]
fn a_pool_lives_as_long_as_its_last_frame() {
    let pool = pool(64);
    let kept = pool.allocate_copy(&[5; PAGE_SIZE]).unwrap().share();
    let weak = Arc::downgrade(&pool);
    drop(pool);
    assert_eq!(*kept, [5; PAGE_SIZE]);
    drop(kept);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_run_is_one_slice_and_then_single_frames() {
    let pool = pool(128);
    let mut run = pool.allocate_run(usize::MAX).unwrap();
    assert_eq!(run.len(), FrameRun::MAX_FRAMES);
    for (fill, page) in (0..).zip(run.iter_mut()) {
        page.fill(fill);
    }
    run.as_flattened_mut()[PAGE_SIZE] = 99;
    let frames: Vec<_> = run.by_ref().take(3).collect();
    assert_eq!((run.len(), run[0][0]), (FrameRun::MAX_FRAMES - 3, 3));
    drop(run);
    assert_eq!([frames[0][0], frames[1][0], frames[1][1], frames[2][0]], [0, 99, 1, 2]);
    assert_eq!(pool.free_frames(), 125);
}

#[test]
fn memory_of_free_frames_goes_back_to_the_system() {
    let pool = pool(256);
    let mut kept = Vec::new();
    for frame in 0..256 {
        let page = pool.allocate_copy(&[0xff; PAGE_SIZE]).unwrap();
        if frame % 100 == 0 {
            kept.push(page);
        }
    }
    drop(pool.allocate_run(64).unwrap());
    assert_eq!(pool.release_free_memory().unwrap(), 253);
    assert_eq!(pool.free_frames(), 253);
    assert!(kept.iter().all(|frame| **frame == [0xff; PAGE_SIZE]));
    while let Ok(frame) = pool.allocate() {
        assert!(is_zero_page(&frame));
        kept.push(frame);
    }
    assert_eq!((kept.len(), pool.counters().exhausted), (256, 1));
}

#[test]
fn impossible_sizes_are_refused() {
    for bytes in [0, 63 * PAGE_SIZE as u64, u64::MAX] {
        let refused = FramePool::new(&PoolConfig::new(bytes)).unwrap_err();
        assert!(matches!(refused, PoolError::BadSize { .. }), "{refused}");
    }
}
