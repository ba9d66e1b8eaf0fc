//! A fault holds the lock twice: when it is planned and when it is carried out. Between the two its
//! source is asked. Every change is tried at that point, for every kind of fault: since each holds
//! the lock as a whole, there are no other interleavings.

use super::*;

/// A space with a file of its own, in pages 0 to 8; page `n` is page `n` of the file.
fn setup(shared: bool) -> (Arc<FramePool>, Arc<Space>, Arc<File>) {
    let pool = pool();
    let (space, file) = (Arc::new(space(&pool)), File::new(&pool, 8, 20));
    let source = Arc::clone(&file);
    let backing = match shared {
        true => Backing::Shared { source, first: 0 },
        false => Backing::Private { source, first: 0 },
    };
    space.map(0..8, backing, Protection::ReadWrite).unwrap();
    (pool, space, file)
}

/// Lets a fault of page 1 be interrupted; returns what it came to.
fn interrupted(
    shared: bool,
    access: Access,
    interruption: impl FnOnce(&Space, &File) + Send + 'static,
) -> (Result<u8, Signal>, Arc<Space>, Arc<File>) {
    let (_pool, space, file) = setup(shared);
    let (inner_space, inner_file) = (Arc::clone(&space), Arc::clone(&file));
    file.interrupt(move || interruption(&inner_space, &inner_file));
    let seen = space.fault(1, access, &mut Last::new(), |resolved| {
        assert_eq!(resolved.writable, access == Access::Write);
        resolved.content.frame().map_or(0, |frame| frame.page()[0])
    });
    (seen.map_err(|fault| fault.signal()), space, file)
}

const KINDS: [(bool, Access); 4] =
    [(false, Access::Read), (true, Access::Read), (false, Access::Write), (true, Access::Write)];

#[test]
fn a_discard_in_the_middle_asks_again() {
    for (shared, access) in KINDS {
        let (seen, _, file) = interrupted(shared, access, |space, file| {
            file.set(1, 77);
            space.discard(1..2, |_| {}).unwrap();
        });
        let written = shared && access == Access::Write;
        assert_eq!(seen, Ok(77 + u8::from(written)), "the old page must not be installed");
        assert_eq!(file.take_asked().len(), 2);
    }
}

#[test]
fn a_discard_of_other_pages_in_the_middle_changes_nothing() {
    for (shared, access) in KINDS {
        let (seen, space, file) = interrupted(shared, access, |space, _| {
            space.discard(2..8, |_| {}).unwrap();
        });
        assert_eq!(seen, Ok(21 + u8::from(shared && access == Access::Write)));
        assert_eq!(file.take_asked().len(), 1);
        assert_eq!(space.counts().present(), 1);
    }
}

#[test]
fn a_cut_in_the_middle_is_beyond_the_end() {
    for (shared, access) in KINDS {
        let (seen, space, _) = interrupted(shared, access, |space, file| {
            file.cut(1);
            space.discard(1..8, |_| {}).unwrap();
        });
        assert_eq!(seen, Err(Signal::Bus));
        assert_eq!(space.counts().present(), 0);
    }
}

#[test]
fn an_unmap_in_the_middle_leaves_nothing_behind() {
    for (shared, access) in KINDS {
        let (seen, space, _) = interrupted(shared, access, |space, _| {
            space.unmap(0..8, |_| {}).unwrap();
        });
        assert_eq!(seen, Err(Signal::Segv));
        assert_eq!(space.counts().present(), 0, "an entry outside of all regions");
    }
}

#[test]
fn another_mapping_in_the_middle_is_asked_instead() {
    for (shared, access) in KINDS {
        let (seen, _, _) = interrupted(shared, access, |space, file| {
            space.unmap(0..8, |_| {}).unwrap();
            let other = File::new(&file.pool, 8, 90);
            let backing = Backing::Private { source: other, first: 2 };
            space.map(0..8, backing, Protection::ReadWrite).unwrap();
        });
        assert_eq!(seen, Ok(93));
    }
}

#[test]
fn a_protection_in_the_middle_holds() {
    for (shared, access) in KINDS {
        let (seen, _, _) = interrupted(shared, access, |space, _| {
            space.protect(0..8, Protection::Read, |_| {}).unwrap();
        });
        let allowed = access == Access::Read;
        assert_eq!(seen, if allowed { Ok(21) } else { Err(Signal::Segv) });
    }
}

/// A page asked for to be written before a snapshot must not become writable after it: the source
/// froze it meanwhile.
#[test]
fn a_right_to_write_that_is_taken_back_in_the_middle_is_asked_for_again() {
    let (seen, _, file) = interrupted(true, Access::Write, |space, _| {
        space.take_written(0..8, |_| {}).unwrap();
    });
    assert_eq!(seen, Ok(23), "the second frame, not the first");
    assert_eq!(file.take_asked(), [(1, Access::Write), (1, Access::Write)]);
}

#[test]
fn a_fork_in_the_middle_shares_no_right_to_write() {
    for (shared, access) in KINDS {
        let (pool, space, file) = setup(shared);
        let fork = Arc::new(Mutex::new(None));
        let (inner, place) = (Arc::clone(&space), Arc::clone(&fork));
        file.interrupt(move || *place.lock() = Some(inner.fork(|_| {}).unwrap()));
        space.fault(1, access, &mut Last::new(), |_| ()).unwrap();
        let fork = fork.lock().take().unwrap();
        assert_eq!(fork.counts().present(), 0);
        assert_eq!(read(&fork, 1, &mut Last::new()), Ok(file.byte(1)));
        drop((space, fork, file));
        assert_nothing_left(&pool);
    }
}

#[test]
fn another_fault_of_the_same_page_in_the_middle_is_kept() {
    for (shared, access) in KINDS {
        let (_, space, _) = interrupted(shared, access, move |space, _| {
            if shared {
                space.fault(1, Access::Write, &mut Last::new(), |_| ()).unwrap();
            } else {
                write(space, 1, 200, &mut Last::new()).unwrap();
            }
        });
        let seen = read(&space, 1, &mut Last::new()).unwrap();
        // A private write must not be lost to a page that was read before it.
        assert!(if shared { seen >= 22 } else { seen == 200 }, "{seen}");
    }
}

/// Threads fault, discard, protect and fork at once; every page read is one that was there.
#[test]
fn threads_get_into_each_others_way() {
    let pool = pool();
    {
        let (space, file) = (space(&pool), File::new(&pool, 64, 1));
        let backing = Backing::Private { source: Arc::clone(&file), first: 0 };
        space.map(0..64, backing, Protection::ReadWrite).unwrap();
        std::thread::scope(|scope| {
            let (space, file) = (&space, &file);
            for thread in 0..2u64 {
                scope.spawn(move || {
                    let mut last = Last::new();
                    for turn in 0..4000u64 {
                        let page = (turn * 13 + thread * 7) % 64;
                        let seen = read(space, page, &mut last).unwrap();
                        assert!(seen == file.byte(page) || seen == 250, "{seen} in page {page}");
                        write(space, (turn * 5) % 64, 250, &mut last).unwrap();
                    }
                });
            }
            scope.spawn(move || {
                for turn in 0..1000u64 {
                    let page = turn * 11 % 60;
                    space.discard(page..page + 4, |_| {}).unwrap();
                    space.take_written(0..64, |_| {}).unwrap();
                    let fork = space.fork(|_| {}).unwrap();
                    let seen = read(&fork, page, &mut Last::new()).unwrap();
                    assert!(seen == file.byte(page) || seen == 250);
                    assert_eq!(read(&fork, page, &mut Last::new()), Ok(seen), "forks stand still");
                }
            });
        });
        space.unmap(0..64, |_| {}).unwrap();
    }
    assert_nothing_left(&pool);
}
