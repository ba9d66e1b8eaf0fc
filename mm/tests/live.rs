//! Live mappings over an arena, by each mechanism that works here.

// The helpers of tests count as tests here.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use braidfs_mm::{
    Access, Arena, FaultHandler, FaultMechanism, FramePool, LiveRange, MappedMemory, PAGE_SIZE,
    PlacedFrame, PoolConfig, Section, Unresolvable, is_mapped,
};

/// Page `n` holds the byte `n`, and cannot be had if it is 13.
struct Pages {
    arena: Arc<Arena>,
    frames: Mutex<BTreeMap<u64, PlacedFrame>>,
    written: Mutex<Vec<u64>>,
    faults: AtomicU64,
}

impl FaultHandler for Pages {
    fn resolve(&self, range: &LiveRange, page: u64, access: Access) -> Result<(), Unresolvable> {
        self.faults.fetch_add(1, Ordering::Relaxed);
        let mut frames = self.frames.lock().unwrap();
        if page == 13 {
            return Err(Unresolvable);
        }
        frames.entry(page).or_insert_with(|| {
            let content = [page as u8; PAGE_SIZE];
            self.arena.place(page as usize, Some(&content)).expect("a frame")
        });
        if access == Access::Write {
            self.written.lock().unwrap().push(page);
        }
        range.show(page..page + 1, access).map_err(|_| Unresolvable)
    }
}

const PAGE: usize = PAGE_SIZE;
const PAGES: usize = 64;

fn setup(mechanism: FaultMechanism, writable: bool, end: u64) -> (Arc<Pages>, MappedMemory) {
    let pool = FramePool::new(&PoolConfig::new(1 << 20)).unwrap();
    let arena = Arena::new(&pool).unwrap();
    let pages = Arc::new(Pages {
        arena: Arc::clone(&arena),
        frames: Mutex::default(),
        written: Mutex::default(),
        faults: AtomicU64::new(0),
    });
    // Two sections side by side, to have the boundary in the tests.
    let section = |first, pages| Section { arena: Arc::clone(&arena), first, pages };
    let sections = vec![section(0, 20), section(20, PAGES - 20)];
    let memory = MappedMemory::new(sections, writable, mechanism, pages.clone(), end).unwrap();
    (pages, memory)
}

fn mechanisms() -> impl Iterator<Item = FaultMechanism> {
    FaultMechanism::ALL.into_iter().filter(|mechanism| mechanism.is_available())
}

#[test]
fn pages_are_faulted_in_and_written_in_place() {
    for mechanism in mechanisms() {
        let (pages, memory) = setup(mechanism, true, PAGES as u64);
        assert_eq!(memory.range().mechanism(), mechanism);
        let mut bytes = [0; 3 * PAGE];
        // Across the boundary of the sections.
        memory.load(18 * PAGE + 1, &mut bytes);
        assert_eq!([bytes[0], bytes[PAGE], bytes[2 * PAGE - 1]], [18, 19, 20], "{mechanism:?}");
        assert!(pages.written.lock().unwrap().is_empty());
        memory.store(18 * PAGE, &[7; 2 * PAGE]);
        memory.word(40 * PAGE).unwrap().fetch_add(1, Ordering::Relaxed);
        assert_eq!(*pages.written.lock().unwrap(), [18, 19, 40], "{mechanism:?}");
        let frames = pages.frames.lock().unwrap();
        assert_eq!(frames[&18].as_ref().to_page(), [7; PAGE]);
        assert_eq!(frames[&40].as_ref().to_page()[..8], (0x2828_2828_2828_2829_u64).to_le_bytes());
        // What the cache writes, the program reads.
        frames[&19].as_ref().store(5, &[99]);
        drop(frames);
        memory.load(19 * PAGE + 5, &mut bytes[..1]);
        assert_eq!(bytes[0], 99);
    }
}

#[test]
fn protected_pages_fault_once_more_and_hidden_ones_are_shown_anew() {
    for mechanism in mechanisms() {
        let (pages, memory) = setup(mechanism, true, PAGES as u64);
        for page in 0..12 {
            memory.store(page * PAGE, &[1]);
        }
        let faults = pages.faults.load(Ordering::Relaxed);
        for page in 0..12 {
            memory.store(page * PAGE, &[2]);
        }
        assert_eq!(pages.faults.load(Ordering::Relaxed), faults, "{mechanism:?}: no fault");
        memory.range().protect([0..2, 5..6].into_iter()).unwrap();
        pages.written.lock().unwrap().clear();
        for page in [0, 1, 5] {
            memory.load(page * PAGE, &mut [0]);
        }
        assert_eq!(pages.faults.load(Ordering::Relaxed), faults, "{mechanism:?}: still readable");
        for page in [0, 1, 5] {
            memory.store(page * PAGE, &[3]);
        }
        assert_eq!(*pages.written.lock().unwrap(), [0, 1, 5], "{mechanism:?}");
        memory.range().hide(3..5).unwrap();
        let mut byte = [0];
        memory.load(3 * PAGE, &mut byte);
        assert_eq!((byte, pages.faults.load(Ordering::Relaxed)), ([2], faults + 4));
    }
}

#[test]
fn memory_given_back_is_faulted_in_again() {
    for mechanism in mechanisms() {
        let (pages, memory) = setup(mechanism, true, PAGES as u64);
        memory.store(4 * PAGE, &[200]);
        memory.range().hide(4..5).unwrap();
        pages.frames.lock().unwrap().clear();
        let mut byte = [0];
        memory.load(4 * PAGE, &mut byte);
        assert_eq!(byte, [4], "{mechanism:?}: what was there is gone");
    }
}

#[test]
fn many_scattered_pages_cost_no_more_mappings_than_there_may_be() {
    let pool = FramePool::new(&PoolConfig::new(256 << 20)).unwrap();
    let arena = Arena::new(&pool).unwrap();
    let pages = Arc::new(Pages {
        arena: Arc::clone(&arena),
        frames: Mutex::default(),
        written: Mutex::default(),
        faults: AtomicU64::new(0),
    });
    let sections = vec![Section { arena, first: 0, pages: 120_000 }];
    let handler = pages.clone();
    let memory =
        MappedMemory::new(sections, true, FaultMechanism::Protect, handler, 120_000).unwrap();
    for page in (0..120_000).step_by(3).filter(|page| *page != 13) {
        memory.store(page * PAGE, &[1]);
    }
    assert_eq!(pages.written.lock().unwrap().len(), 40_000);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
    assert!(maps < 40_000, "{maps} mappings");
}

#[test]
fn system_calls_get_what_threads_handle() {
    let file = tempfile();
    for mechanism in mechanisms() {
        let (_, memory) = setup(mechanism, true, 32);
        // SAFETY: nobody writes the memory meanwhile.
        let bytes = unsafe { memory.slice() };
        assert!(is_mapped(&bytes[5..6]) && !is_mapped(&[1]) && !is_mapped(&bytes[..0]));
        let written = rustix::io::pwrite(&file, &bytes[PAGE..3 * PAGE], 0);
        if mechanism == FaultMechanism::Userfault {
            assert_eq!(written, Ok(2 * PAGE));
            let mut back = [0; 2 * PAGE];
            rustix::io::pread(&file, &mut back, 0).unwrap();
            assert_eq!([back[0], back[PAGE]], [1, 2]);
        } else {
            assert_eq!(written, Err(rustix::io::Errno::FAULT), "{mechanism:?}");
        }
        let beyond = rustix::io::pwrite(&file, &bytes[40 * PAGE..41 * PAGE], 0);
        assert_eq!(beyond, Err(rustix::io::Errno::FAULT), "{mechanism:?}");
        let broken = rustix::io::pwrite(&file, &bytes[13 * PAGE..14 * PAGE], 0);
        assert_eq!(broken, Err(rustix::io::Errno::FAULT), "{mechanism:?}");
        memory.range().set_end(48).unwrap();
        let mut byte = [0];
        memory.load(40 * PAGE, &mut byte);
        assert_eq!(byte, [40], "{mechanism:?}: what is there now");
    }
}

fn tempfile() -> std::os::fd::OwnedFd {
    rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap()
}

#[test]
fn threads_that_fault_on_the_same_pages_all_go_on() {
    for mechanism in mechanisms() {
        let (pages, memory) = setup(mechanism, true, PAGES as u64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..50 {
                        for page in (0..PAGES).filter(|page| *page != 13) {
                            memory.word(page * PAGE).unwrap().fetch_add(1, Ordering::Relaxed);
                        }
                        if round % 10 == 0 {
                            memory.range().protect(std::iter::once(0..PAGES as u64)).unwrap();
                        }
                    }
                });
            }
        });
        let frames = pages.frames.lock().unwrap();
        for (page, frame) in frames.iter() {
            let mut word = [0; 8];
            frame.as_ref().load(0, &mut word);
            let start = u64::from_ne_bytes([*page as u8; 8]);
            assert_eq!(u64::from_ne_bytes(word), start + 200, "{mechanism:?} page {page}");
        }
    }
}

/// What a child does that is to die: a mechanism and an action.
const ACTION: &str = "BRAIDFS_TEST_LIVE_ACTION";

/// Runs the test below in a process of its own, and says which signal ended it.
fn signal_of(mechanism: FaultMechanism, action: &str) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt;
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(ACTION, format!("{} {action}", mechanism.name()))
        .output()
        .unwrap();
    child.status.signal()
}

#[test]
fn child() {
    let Ok(action) = std::env::var(ACTION) else { return };
    let (name, action) = action.split_once(' ').unwrap();
    let mechanism = FaultMechanism::ALL.into_iter().find(|one| one.name() == name).unwrap();
    let (_, memory) = setup(mechanism, action != "write to read-only", 32);
    let mut byte = [0];
    memory.load(31 * PAGE, &mut byte);
    match action {
        "beyond the end" => memory.load(32 * PAGE, &mut byte),
        "broken" => memory.load(13 * PAGE, &mut byte),
        "after a cut" => {
            memory.store(20 * PAGE, &byte);
            memory.range().set_end(20).unwrap();
            memory.load(20 * PAGE, &mut byte)
        }
        "write to read-only" => memory.store(PAGE, &byte),
        other => unreachable!("{other}"),
    };
}

#[test]
fn what_is_not_there_raises_the_signals_that_posix_wants() {
    for mechanism in mechanisms() {
        for action in ["beyond the end", "broken", "after a cut"] {
            assert_eq!(signal_of(mechanism, action), Some(libc::SIGBUS), "{mechanism:?} {action}");
        }
        let signal = signal_of(mechanism, "write to read-only");
        assert_eq!(signal, Some(libc::SIGSEGV), "{mechanism:?}");
    }
}
