//! What each operation promises, one at a time.

use super::*;

#[test]
fn accesses_are_refused_with_the_signal_a_program_would_get() {
    let pool = pool();
    let (space, mut last) = (space(&pool), Last::new());
    let file = File::new(&pool, 4, 10);
    let backing = Backing::Private { source: Arc::clone(&file), first: 0 };
    space.map(0..8, backing, Protection::Read).unwrap();
    assert_eq!(read(&space, 1, &mut last), Ok(11));
    assert_eq!(read(&space, 9, &mut last), Err(Signal::Segv));
    assert_eq!(read(&space, 4, &mut last), Err(Signal::Bus), "beyond the end");
    assert_eq!(write(&space, 1, 7, &mut last), Err(Signal::Segv));
    space.protect(0..8, Protection::None, |_| {}).unwrap();
    assert_eq!(read(&space, 1, &mut last), Err(Signal::Segv));
    space.protect(0..8, Protection::Read, |_| {}).unwrap();
    file.contents.lock().failing = true;
    assert_eq!(read(&space, 1, &mut last), Ok(11), "it is there");
    assert_eq!(read(&space, 3, &mut last), Err(Signal::Bus));
    let fault = space.read_page(3, &mut last, |_| ()).unwrap_err();
    assert_eq!(fault.to_string(), "the disk is gone");
    file.contents.lock().failing = false;
    assert_eq!(read(&space, 3, &mut last), Ok(13));
}

#[test]
fn a_hole_is_looked_up_once() {
    let pool = pool();
    let (space, mut last) = (space(&pool), Last::new());
    let file = File::new(&pool, 9, 10);
    space
        .map(0..9, Backing::Shared { source: Arc::clone(&file), first: 0 }, Protection::Read)
        .unwrap();
    for _ in 0..3 {
        assert_eq!(read(&space, 2, &mut last), Ok(0));
    }
    assert_eq!(file.take_asked(), [(2, Access::Read)]);
    assert_eq!(space.counts().hole_zeros, 1);
    let colour = |page| space.read_page(page, &mut Last::new(), |bytes| bytes.as_ptr().addr());
    assert_ne!(colour(2).unwrap(), colour(5).unwrap(), "pages of different colours");
}

#[test]
fn private_writes_stay_private_and_shared_ones_go_to_the_source() {
    let pool = pool();
    let (space, mut last) = (space(&pool), Last::new());
    let file = File::new(&pool, 16, 100);
    space
        .map(0..8, Backing::Private { source: Arc::clone(&file), first: 0 }, Protection::ReadWrite)
        .unwrap();
    space
        .map(8..16, Backing::Shared { source: Arc::clone(&file), first: 0 }, Protection::ReadWrite)
        .unwrap();
    assert_eq!(space.regions().len(), 2);
    write(&space, 1, 7, &mut last).unwrap();
    assert_eq!((read(&space, 1, &mut last), file.byte(1)), (Ok(7), 101));
    assert_eq!(read(&space, 9, &mut last), Ok(101));
    file.take_asked();
    for _ in 0..3 {
        let writable = space.fault(9, Access::Write, &mut last, |resolved| resolved.writable);
        assert!(writable.unwrap());
    }
    assert_eq!(file.take_asked(), [(1, Access::Write)], "asked once until it is taken back");
    assert_eq!((read(&space, 9, &mut last), file.byte(1)), (Ok(102), 102));
    assert!(matches!(space.write_page(9, &mut last, |_| ()), Err(Fault::NotOwned { page: 9 })));
    let mut runs = Vec::new();
    assert_eq!(space.take_written(0..16, |run| runs.push(run)).unwrap(), 2);
    assert_eq!(pages_of(&runs), [1, 9]);
    assert_eq!(space.take_written(0..16, |_| panic!("nothing was written since")).unwrap(), 0);
    space.fault(9, Access::Write, &mut last, |_| ()).unwrap();
    assert_eq!(file.byte(1), 103, "asked again");
}

#[test]
fn a_write_in_place_copies_nothing_and_a_shared_frame_is_copied_once() {
    let pool = pool();
    let (space, mut last) = (space(&pool), Last::new());
    space.map(0..4, Backing::Anonymous, Protection::ReadWrite).unwrap();
    let address = |space: &Space, last: &mut Last| {
        space.write_page(1, last, |bytes| bytes.as_ptr().addr()).unwrap()
    };
    let first = address(&space, &mut last);
    assert_eq!(address(&space, &mut last), first);
    let fork = space.fork(|_| {}).unwrap();
    let copy = address(&space, &mut last);
    assert_ne!(copy, first, "the fork reads the other");
    assert_eq!(address(&space, &mut last), copy);
    assert_eq!(address(&fork, &mut last), first, "now nobody else has it");
}

#[test]
fn a_cut_file_is_seen_after_the_discard() {
    let pool = pool();
    let (space, mut last) = (space(&pool), Last::new());
    let file = File::new(&pool, 8, 50);
    space
        .map(0..8, Backing::Shared { source: Arc::clone(&file), first: 0 }, Protection::Read)
        .unwrap();
    (0..8).for_each(|page| assert_eq!(read(&space, page, &mut last), Ok(file.byte(page))));
    file.cut(3);
    let mut runs = Vec::new();
    assert_eq!(space.discard(3..8, |run| runs.push(run)).unwrap(), 5);
    assert_eq!(pages_of(&runs), [3, 4, 5, 6, 7]);
    assert_eq!(read(&space, 1, &mut last), Ok(51));
    assert_eq!(read(&space, 3, &mut last), Err(Signal::Bus));
}

#[test]
fn ranges_are_refused_before_anything_is_changed() {
    let pool = pool();
    let (space, mut last) = (space(&pool), Last::new());
    space.map(10..20, Backing::Anonymous, Protection::ReadWrite).unwrap();
    let overlap = space.map(15..30, Backing::Anonymous, Protection::Read);
    assert!(matches!(overlap, Err(SpaceError::Region(_))));
    let gap = space.protect(12..25, Protection::Read, |_| {});
    assert_eq!(gap, Err(SpaceError::Unmapped { page: 20 }));
    write(&space, 12, 1, &mut last).unwrap();
    let far = space.map(0..MAX_PAGES + 1, Backing::Anonymous, Protection::Read);
    assert_eq!(far, Err(SpaceError::Table(TableError::IndexTooLarge { index: MAX_PAGES })));
    assert_eq!(space.unmap(0..5, |_| panic!("nothing was there")), Ok(0));
}

#[test]
fn nothing_is_left_after_all_is_unmapped() {
    let pool = pool();
    {
        let (space, mut last) = (space(&pool), Last::new());
        space.map(0..1 << 30, Backing::Anonymous, Protection::ReadWrite).unwrap();
        for page in (0..1 << 30).step_by(1 << 20) {
            write(&space, page, 1, &mut last).unwrap();
            read(&space, page + 1, &mut last).unwrap();
        }
        let before = pool.counters().table_bytes;
        let forks = [space.fork(|_| {}).unwrap(), space.fork(|_| {}).unwrap()];
        space.discard(0..1 << 29, |_| {}).unwrap();
        forks[0].unmap(0..1 << 30, |_| {}).unwrap();
        assert!(pool.counters().table_bytes < before * 2, "emptying shares copies no leaves");
        assert_eq!(read(&forks[1], 0, &mut last), Ok(1));
        assert_eq!(read(&space, 0, &mut last), Ok(0));
        assert_eq!(read(&space, 1 << 29, &mut last), Ok(1));
        forks[1].unmap(0..1 << 30, |_| {}).unwrap();
        space.unmap(0..1 << 30, |_| {}).unwrap();
        assert_nothing_left(&pool);
    }
    assert_nothing_left(&pool);
}

#[test]
fn a_pool_without_frames_is_a_fault_and_harms_nothing() {
    let pool = FramePool::new(&PoolConfig::new(256 << 10)).unwrap();
    let (space, mut last) = (space(&pool), Last::new());
    space.map(0..1000, Backing::Anonymous, Protection::ReadWrite).unwrap();
    let written = (0..1000).take_while(|page| write(&space, *page, 3, &mut last).is_ok()).count();
    assert_eq!(written, pool.frames());
    assert_eq!(write(&space, 999, 3, &mut last), Err(Signal::Bus));
    assert_eq!(read(&space, 999, &mut last), Ok(0), "reading a hole takes no frame");
    space.discard(0..1, |_| {}).unwrap();
    write(&space, 999, 3, &mut last).unwrap();
}
