//! The first things anybody does with a pool and a table.

use braidfs_mm::{
    Content, FramePool, PAGE_SIZE, PageTable, PoolConfig, PoolError, Tag, TagSet, ZeroPages,
};

#[test]
fn a_fork_keeps_what_the_live_table_overwrites() {
    let pool = FramePool::new(&PoolConfig::new(1 << 20)).unwrap();
    let mut live = PageTable::new(&pool);
    live.insert_tagged(7, pool.allocate_copy(&[1; PAGE_SIZE]).unwrap(), Tag::Dirty).unwrap();
    live.page_mut(7).unwrap()[0] = 2;

    let frozen = live.fork();
    assert!(live.page_mut(7).is_none());
    live.insert(7, pool.allocate_copy(&[3; PAGE_SIZE]).unwrap()).unwrap();
    live.page_mut(7).unwrap()[0] = 4;

    let zero = ZeroPages::default();
    assert_eq!(frozen.get(7).unwrap().content.page(7, &zero).unwrap()[..2], [2, 1]);
    assert_eq!(live.get(7).unwrap().content.page(7, &zero).unwrap()[..2], [4, 3]);
    assert!(live.is_tagged(7, Tag::Dirty) && frozen.is_tagged(7, Tag::Dirty));
    assert_eq!(pool.free_frames(), pool.frames() - 2);
    drop((live, frozen));
    assert_eq!(pool.free_frames(), pool.frames());
    assert_eq!(pool.counters().table_bytes, 0);
}

#[test]
fn runs_of_a_tag_cross_leaves() {
    let pool = FramePool::new(&PoolConfig::new(1 << 20)).unwrap();
    let mut table = PageTable::new(&pool);
    for index in (500..530).chain(2000..2001) {
        table.insert_tagged(index, Content::DedupZero, Tag::Dirty).unwrap();
    }
    let runs: Vec<_> = table.tagged_runs(Tag::Dirty, 0..u64::MAX).collect();
    assert_eq!(runs, [500..530, 2000..2001]);
    assert_eq!(table.remove_range(510..1 << 40, |_, _| ()).unwrap(), 21);
    assert_eq!(table.counts().tagged(Tag::Dirty), 10);
    assert_eq!(table.change_tags(500, TagSet::EMPTY, Tag::Dirty).unwrap(), Tag::Dirty.into());
    assert_eq!(table.next_tagged(0, Tag::Dirty), Some(501));
}

#[test]
fn an_exhausted_pool_says_so() {
    let pool = FramePool::new(&PoolConfig::new(64 * PAGE_SIZE as u64)).unwrap();
    let run = pool.allocate_run(64).unwrap();
    assert_eq!(run.len(), 64);
    assert!(matches!(pool.allocate(), Err(PoolError::Exhausted { frames: 64 })));
    drop(run);
    assert!(pool.allocate_zeroed().is_ok());
}
