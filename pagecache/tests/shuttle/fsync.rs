//! An fsync among everything else that happens to a small file: writes, a cut, reads, evictions, and
//! versions that are closed and end in any order, several at once.
//!
//! What an fsync is, the user of the cache decides. This one is as the filesystem's: it freezes
//! what is dirty, and waits for the versions in flight at that moment. What must hold:
//!
//! * It is over only when each page is durable as it was at the call, or newer.
//! * It waits for nothing that was dirtied later: until it has returned, no version ends but those it
//!   waits for. If it waited for another one, nobody would go on, which the model checker reports.
//! * A read shows nothing older than the last write that ended before it, nor than an earlier read.
//! * No page is lost, or cleaned by the completion of an older copy: in the end, cache and disk have
//!   what was written last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::Mutex as Leaf;

use braidfs_pagecache::{
    Admission, Backing, CacheConfig, CacheError, Frozen, Mapping, PAGE_SIZE, PageCache, PageFill,
    Patience, WritebackPolicy,
};
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::{Condvar, Mutex, RwLock};
use shuttle::thread::{JoinHandle, spawn, yield_now};

use super::{PAGE, byte_of, explore, join, uniform};

const PAGES: usize = 2;
/// The page that is cut off.
const CUT: u64 = 1;
/// Pages of another file whose reads evict what is clean and cold: twice the pool.
const EVICTING: u64 = 128;
/// What is on the disk in the beginning.
const FIRST: u8 = 9;

/// What a page was, one content after the other. Contents differ, but for the zeros after a cut.
struct History {
    states: Vec<u8>,
    /// Where in it the last change is that ended.
    ended: usize,
}

/// A page on the disk: the version that it is of, and its content.
type Stored = (u64, u8);

/// What is durable, and the holes that are not yet: those with the version they belong to.
#[derive(Default)]
struct Disk {
    durable: BTreeMap<u64, Stored>,
    holes: BTreeMap<u64, u64>,
}

impl Disk {
    fn durable_byte(&self, page: u64) -> u8 {
        self.durable.get(&page).map_or(0, |(_, byte)| *byte)
    }

    /// What the file shows where the cache has nothing.
    fn visible_byte(&self, page: u64) -> u8 {
        let version = self.durable.get(&page).map_or(0, |(version, _)| *version);
        let is_hole = self.holes.get(&page).is_some_and(|hole| *hole > version);
        if is_hole { 0 } else { self.durable_byte(page) }
    }

    /// The newest version wins, in whatever order they get here.
    fn store(&mut self, page: u64, version: u64, byte: u8) {
        let stored = self.durable.entry(page).or_default();
        if stored.0 <= version {
            *stored = (version, byte);
        }
    }
}

/// A version on its way to the disk.
struct Flight {
    number: u64,
    frozen: Option<Frozen>,
    holes: BTreeSet<u64>,
}

/// Where the versions are.
#[derive(Default)]
struct Deck {
    waiting: Vec<Flight>,
    in_flight: BTreeSet<u64>,
    /// What the fsync under way waits for.
    awaited: Option<BTreeSet<u64>>,
    is_over: bool,
}

/// What the open version has besides pages.
struct Open {
    number: u64,
    holes: Leaf<BTreeSet<u64>>,
}

struct World {
    cache: Arc<PageCache>,
    mapping: Arc<Mapping>,
    disk: Leaf<Disk>,
    pages: Leaf<[History; PAGES]>,
    /// Changes hold it shared, closing a version takes it alone.
    gate: RwLock<Open>,
    /// Held while the file is changed.
    io: Mutex<()>,
    deck: Mutex<Deck>,
    deck_changed: Condvar,
}

impl Backing for World {
    type Error = CacheError;

    fn fill(&self, first: u64, pages: &mut [PageFill<'_>]) -> Result<(), CacheError> {
        for (page, fill) in (first..).zip(pages) {
            let byte = self.disk.lock().unwrap().visible_byte(page);
            if byte != 0 {
                fill.buffer().fill(byte);
            }
        }
        yield_now();
        Ok(())
    }
}

impl World {
    fn new(policy: WritebackPolicy) -> Arc<Self> {
        let config = CacheConfig { policy, ..CacheConfig::with_pool_bytes(64 * PAGE) };
        let cache = PageCache::new(config).unwrap();
        let open = Open { number: 1, holes: Leaf::default() };
        let durable = (0..PAGES as u64).map(|page| (page, (0, FIRST))).collect();
        Arc::new(Self {
            mapping: Mapping::new(&cache),
            cache,
            disk: Leaf::new(Disk { durable, ..Disk::default() }),
            pages: Leaf::new([FIRST; PAGES].map(|byte| History { states: vec![byte], ended: 0 })),
            gate: RwLock::new(open),
            io: Mutex::new(()),
            deck: Mutex::default(),
            deck_changed: Condvar::new(),
        })
    }

    /// Changes a page to be full of `byte`, as a filesystem does: who would have to wait for writeback lets go
    /// of everything first.
    fn change(&self, page: u64, byte: u8, change: impl Fn(Admission<'_>, &Open)) {
        let mut patience = Patience::default();
        loop {
            let open = self.gate.read().unwrap();
            let io = self.io.lock().unwrap();
            let stall = match self.mapping.admit(page * PAGE..(page + 1) * PAGE) {
                Ok(admission) => {
                    self.pages.lock().unwrap()[page as usize].states.push(byte);
                    change(admission, &open);
                    self.pages.lock().unwrap()[page as usize].ended += 1;
                    return;
                }
                Err(stall) => stall,
            };
            drop((io, open));
            self.cache.wait_out(stall, &mut patience).unwrap();
        }
    }

    fn write(&self, page: u64, byte: u8) {
        self.change(page, byte, |admission, _| {
            admission.write(page * PAGE, &[byte; PAGE_SIZE], self).unwrap();
        });
    }

    fn cut(&self) {
        self.change(CUT, 0, |admission, open| {
            open.holes.lock().unwrap().insert(CUT);
            self.disk.lock().unwrap().holes.insert(CUT, open.number);
            admission.truncate(CUT * PAGE, self).unwrap();
        });
    }

    /// Reads pages one after the other; each is as new as can be asked for.
    fn read_on(&self, pages: impl IntoIterator<Item = u64>) {
        let mut seen = [0; PAGES];
        for page in pages {
            let at = page as usize;
            let from = seen[at].max(self.pages.lock().unwrap()[at].ended);
            let byte = self.read(page);
            let states = self.pages.lock().unwrap()[at].states.clone();
            let found = states[from..].iter().position(|state| *state == byte);
            let found =
                found.unwrap_or_else(|| panic!("page {page}: {byte} of {states:?}[{from}..]"));
            seen[at] = from + found;
        }
    }

    fn read(&self, page: u64) -> u8 {
        let mut bytes = [0xee; PAGE_SIZE];
        self.mapping.read(page * PAGE, &mut bytes, self).unwrap();
        uniform(&bytes)
    }

    /// Ends the open version. What `then` does, nothing comes between.
    fn close<R>(&self, then: impl FnOnce(&mut Deck) -> R) -> R {
        let mut open = self.gate.write().unwrap();
        let (frozen, holes) =
            (self.mapping.freeze(), std::mem::take(&mut *open.holes.lock().unwrap()));
        let mut deck = self.deck.lock().unwrap();
        if frozen.is_some() || !holes.is_empty() {
            deck.in_flight.insert(open.number);
            deck.waiting.push(Flight { number: open.number, frozen, holes });
            open.number += 1;
        }
        let result = then(&mut deck);
        drop(deck);
        self.deck_changed.notify_all();
        result
    }

    /// Makes what is dirty durable.
    fn fsync(&self) {
        let promised = self.close(|deck| {
            deck.awaited = Some(deck.in_flight.clone());
            self.pages.lock().unwrap().each_ref().map(|page| page.ended)
        });
        let mut deck = self.deck.lock().unwrap();
        while deck.awaited.as_ref().is_some_and(|awaited| !awaited.is_empty()) {
            deck = self.deck_changed.wait(deck).unwrap();
        }
        for (page, promised) in promised.into_iter().enumerate() {
            let durable = self.disk.lock().unwrap().durable_byte(page as u64);
            let states = &self.pages.lock().unwrap()[page].states;
            assert!(
                states[promised..].contains(&durable),
                "fsync returned with {durable} of {states:?}[{promised}..] in page {page}"
            );
        }
        deck.awaited = None;
        drop(deck);
        self.deck_changed.notify_all();
    }

    /// A version that may end now, any of them.
    fn take_flight(&self) -> Option<Flight> {
        let mut deck = self.deck.lock().unwrap();
        loop {
            let may_end = |flight: &Flight| {
                deck.awaited.as_ref().is_none_or(|awaited| awaited.contains(&flight.number))
            };
            let waiting = deck.waiting.iter().enumerate();
            let ready: Vec<usize> =
                waiting.filter(|(_, flight)| may_end(flight)).map(|(at, _)| at).collect();
            if !ready.is_empty() {
                let at = ready[thread_rng().gen_range(0..ready.len())];
                return Some(deck.waiting.remove(at));
            }
            if deck.is_over && deck.waiting.is_empty() {
                return None;
            }
            deck = self.deck_changed.wait(deck).unwrap();
        }
    }

    /// Writes versions back until all is over.
    fn write_back(&self) {
        while let Some(Flight { number, frozen, holes }) = self.take_flight() {
            let mut written: Vec<(u64, u8)> = holes.into_iter().map(|page| (page, 0)).collect();
            for run in frozen.iter().flat_map(Frozen::runs) {
                written.extend((run.first..).zip(run.pages.iter().map(byte_of)));
            }
            yield_now();
            let mut disk = self.disk.lock().unwrap();
            written.into_iter().for_each(|(page, byte)| disk.store(page, number, byte));
            drop(disk);
            let mut deck = self.deck.lock().unwrap();
            deck.in_flight.remove(&number);
            if let Some(awaited) = &mut deck.awaited {
                awaited.remove(&number);
            }
            drop(deck);
            self.deck_changed.notify_all();
            // Whoever waited for it may be on before the pages know.
            if let Some(frozen) = frozen {
                frozen.complete();
            }
        }
    }

    /// Cache and disk have what was written last.
    fn check(&self) {
        let last = self.pages.lock().unwrap().each_ref().map(|page| page.states[page.ended]);
        for (page, last) in (0..).zip(last) {
            assert_eq!(self.read(page), last, "page {page} in the cache");
            assert_eq!(
                self.disk.lock().unwrap().durable_byte(page),
                last,
                "page {page} on the disk"
            );
        }
        self.mapping.drop_clean(0..PAGES as u64);
        (0..).zip(last).for_each(|(page, last)| assert_eq!(self.read(page), last));
        let counters = self.cache.counters();
        assert_eq!((counters.dirty_bytes, counters.frozen_bytes), (0, 0));
    }
}

fn start(world: &Arc<World>, work: impl FnOnce(&World) + Send + 'static) -> JoinHandle<()> {
    let world = Arc::clone(world);
    spawn(move || work(&world))
}

/// Runs two who write back beside `threads`, until those are done; then closes the last version.
fn run(world: &Arc<World>, threads: impl IntoIterator<Item = JoinHandle<()>>) {
    let backends = [0, 1].map(|_| start(world, World::write_back));
    join(threads);
    world.close(|deck| deck.is_over = true);
    join(backends);
    world.check();
}

const POLICIES: [WritebackPolicy; 3] =
    [WritebackPolicy::Fork, WritebackPolicy::Wait, WritebackPolicy::Copy];

#[test]
fn an_fsync_among_writes_a_cut_reads_and_evictions_keeps_its_promise() {
    for policy in POLICIES {
        explore(move || {
            let world = World::new(policy);
            let writer = start(&world, |world| {
                for (page, byte) in [(0, 1), (1, 2), (0, 3), (1, 4)] {
                    world.write(page, byte);
                }
            });
            let closer = start(&world, |world| world.close(|_| ()));
            let syncer = start(&world, |world| (0..2).for_each(|_| world.fsync()));
            let cutter = start(&world, World::cut);
            let reader = start(&world, |world| world.read_on([0, 1, 0, 1]));
            let dropper =
                start(&world, |world| (0..2).for_each(|_| world.mapping.drop_clean(0..2)));
            run(&world, [writer, closer, syncer, cutter, reader, dropper]);
        });
    }
}

#[test]
fn one_page_in_three_versions_is_durable_as_promised_while_memory_is_short() {
    for policy in POLICIES {
        explore(move || {
            let world = World::new(policy);
            let writer = start(&world, |world| {
                for byte in 1..4 {
                    world.write(0, byte);
                    world.close(|_| ());
                }
            });
            let syncer = start(&world, World::fsync);
            let reader = start(&world, |world| world.read_on([0, 0]));
            let evictor = start(&world, |world| {
                let other = Mapping::new(&world.cache);
                let full = World::new(WritebackPolicy::Fork);
                let pages = (0..EVICTING).map(|page| (page, (1, 7)));
                full.disk.lock().unwrap().durable.extend(pages);
                let mut bytes = vec![0; 32 * PAGE_SIZE];
                for at in (0..EVICTING).step_by(32) {
                    other.read(at * PAGE, &mut bytes, &*full).unwrap();
                }
            });
            run(&world, [writer, syncer, reader, evictor]);
        });
    }
}
